import Catalog
import Model
import Repository

/// Leaves a run's record in this machine's chain.
struct ChainKeeping {
    let repository: BackupRepository
    let catalog: Catalog

    /// Appends one record and remembers the heads.
    ///
    /// Another machine may use the same writer id, as a clone of this one or of its catalog does:
    /// then this one takes a new id, whose chain begins with this record.
    func append(
        run: RunRecord, at time: Timestamp, added: [SnapshotID] = [], removed: [SnapshotID] = [],
        marks: [MarkChange] = []
    ) async throws {
        var writer = try await catalog.writer()
        for _ in 0..<3 {
            let known = try await catalog.chainHeads()
            if let heads = try await repository.appendToChain(
                writer: writer, run: run.id, host: run.host, at: time, added: added,
                removed: removed, marks: marks, known: known)
            {
                return try await catalog.remember(chainHeads: heads)
            }
            writer = try await catalog.replaceWriter()
        }
        throw Failure(
            .failed, "the run cannot be recorded in \(repository.store.place)",
            hint: "run the command again", side: .repository)
    }
}
