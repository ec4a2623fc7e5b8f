import Catalog
public import Model
import Repository

extension Copying.Side {
    /// Looks which state of each workload the place holds, and locks that for longer where the place
    /// locks what it is given.
    ///
    /// A workload's newest snapshot is kept locked, and the newest that nothing speaks against.
    ///
    /// - Parameters:
    ///   - services: Whose workloads.
    ///   - listed: Only these snapshots; nil for all that the catalog knows.
    /// - Returns: In the order of workloads; and how many objects were locked for longer.
    public func keepPlaced(
        _ services: Set<ServiceName>, among listed: Set<SnapshotID>? = nil
    ) async throws -> (workloads: [PlacedWorkload], renewed: Int) {
        let accepted = try await catalog.snapshots(marked: .accepted)
        let snapshots = try await catalog.snapshots().filter {
            services.contains($0.service) && listed?.contains($0.id) ?? true
        }
        func isGood(_ snapshot: SnapshotRecord) -> Bool {
            snapshot.omissions.isEmpty
                && (snapshot.suspicions.isEmpty || accepted.contains(snapshot.id))
        }
        var asOf: [(workload: WorkloadID, moment: Timestamp)] = []
        var groups: [[SnapshotRecord]] = []
        let byWorkload = Dictionary(grouping: snapshots, by: \.workload)
        for (workload, all) in byWorkload.sorted(by: { $0.key < $1.key }) {
            let newestFirst = all.sorted { ($0.asOf, $0.id) > ($1.asOf, $1.id) }
            guard let newest = newestFirst.first else { continue }
            let good = newestFirst.first(where: isGood) ?? newest
            asOf.append((workload, good.asOf))
            groups.append(good.id == newest.id ? [newest] : [newest, good])
        }
        let kept = try await repository.keepLocked(groups, index: index)
        let workloads = asOf.enumerated().map { number, state in
            PlacedWorkload(
                workload: state.workload, asOf: state.moment, lockedUntil: kept?.until[number])
        }
        return (workloads, kept?.renewed ?? 0)
    }
}
