public import Catalog
public import Model

/// Looks whether other machines save workloads of the same names into the repository.
public struct SharedWorkloads: Sendable {
    private let catalog: Catalog
    private let host: String

    /// - Parameter host: This machine.
    public init(catalog: Catalog, host: String) {
        self.catalog = catalog
        self.host = host
    }

    /// What is to be said after a night: another machine has saved a workload since this machine's
    /// own snapshot before. A machine that took the place of another one finds nothing: it has none
    /// from before, and later no other saves there.
    ///
    /// - Returns: A line for each such machine, by its name.
    public func remarks(on summary: BackupSummary, at now: Timestamp) async throws -> [String] {
        var shared: [String: [WorkloadID]] = [:]
        for item in summary.items where item.snapshot != nil {
            let all = try await catalog.snapshots(SnapshotFilter(workload: item.workload))
                .filter { $0.run != summary.run && !$0.isFromFuture(at: now) }
            guard let own = all.first(where: { $0.host == host }) else { continue }
            for other in Set(all.filter { $0.host != host && $0.asOf > own.asOf }.map(\.host)) {
                shared[other, default: []].append(item.workload)
            }
        }
        return shared.sorted { $0.key < $1.key }.map { other, workloads in
            let more = workloads.count > 1 ? " and \(workloads.count - 1) more" : ""
            return "host \(printable(other.utf8)) saves \(workloads[0])\(more) here too:"
                + " restores take the newest of both; give the services different names"
        }
    }
}
