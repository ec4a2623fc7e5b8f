public import Catalog
public import Model
public import Repository

/// Leaves a run's record in this machine's chain.
public struct ChainKeeping: Sendable {
    private let repository: BackupRepository
    private let catalog: Catalog

    public init(repository: BackupRepository, catalog: Catalog) {
        self.repository = repository
        self.catalog = catalog
    }

    /// Appends one record and remembers the heads.
    ///
    /// Another machine may use the same writer id, as a clone of this one or of its catalog does:
    /// then this one takes a new id, whose chain begins with this record. So it does when it does not
    /// know how its last record ended: a store may carry out a dead process's call much later, and
    /// would replace what is written now.
    ///
    /// - Parameters:
    ///   - marks: What a person has said about snapshots.
    ///   - writtenOff: Records of chains that are lost and not to be missed any more.
    public func append(
        run: RunRecord, at time: Timestamp, added: [SnapshotID] = [], removed: [SnapshotID] = [],
        marks: [MarkChange] = [], writtenOff: [LostRecord] = []
    ) async throws {
        var writer =
            try await catalog.beginChainRecord()
            ? try await catalog.replaceWriter() : try await catalog.writer()
        for _ in 0..<3 {
            let known = try await catalog.chainHeads().filter { head in
                !writtenOff.contains { ($0.writer, $0.sequence) == (head.writer, head.sequence) }
            }
            if let heads = try await repository.appendToChain(
                writer: writer, run: run.id, host: run.host, at: time, added: added,
                removed: removed, marks: marks, known: known, writtenOff: writtenOff)
            {
                return try await catalog.endChainRecord(heads)
            }
            writer = try await catalog.replaceWriter()
        }
        throw Failure(
            .failed, "the run cannot be recorded in \(repository.store.place)",
            hint: "run the command again", side: .repository)
    }
}
