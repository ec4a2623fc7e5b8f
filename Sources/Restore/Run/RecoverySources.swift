import Model
import Workloads

/// The snapshots of one run, each opened once and only when it is needed.
actor RecoverySources {
    private let open: SourceProvider
    private let records: [SnapshotID: SnapshotRecord]
    private var opened: [SnapshotID: Task<any ReplaySource, any Error>] = [:]

    init(_ records: [SnapshotRecord], open: @escaping SourceProvider) {
        self.open = open
        self.records = Dictionary(records.map { ($0.id, $0) }) { first, _ in first }
    }

    /// - Throws: `Failure` with code `damaged` for an unknown snapshot; what opening throws.
    func source(_ id: SnapshotID) async throws -> any ReplaySource {
        if let task = opened[id] { return try await task.value }
        guard let record = records[id] else {
            throw Failure(
                .damaged, "snapshot \(id.short) is not in the repository",
                hint: "make a new plan: dr plan", side: .repository)
        }
        let task = Task { [open] in try await open(record) }
        opened[id] = task
        do {
            return try await task.value
        } catch {
            // A later attempt may have better luck.
            opened[id] = nil
            throw error
        }
    }
}
