import Engine
public import Model

extension BackupRepository {
    /// Whether everything that a snapshot refers to has a place in `index`. Reads entry lists, not
    /// contents.
    public func isWhole(_ snapshot: SnapshotRecord, index: any ChunkIndex) async throws -> Bool {
        try await BlockingPool.shared.runCancellable { [self] check in
            do {
                try forEachReference(of: snapshot, reader: makeReader(index: index)) { references in
                    try check()
                    guard try index.contains(references.map(\.id)).allSatisfy({ $0 }) else {
                        throw FormatError("snapshot \(snapshot.id.short)", "a chunk has no place")
                    }
                }
                return true
            } catch is FormatError {
                return false
            } catch is ObjectMissing {
                return false
            } catch let failure as Failure where failure.code == .damaged {
                return false
            }
        }
    }

    /// Calls `body` with stored references of everything a snapshot is made of, some at a time.
    func forEachReference(
        of snapshot: SnapshotRecord, reader: ChunkReader,
        _ body: ([ChunkReference]) throws -> Void
    ) throws {
        var batch: [ChunkReference] = []
        func add(_ content: ContentReference) throws {
            try reader.forEachReference(content) { reference in
                guard !reference.isZeros else { return }
                batch.append(reference)
                guard batch.count >= 4096 else { return }
                try body(batch)
                batch.removeAll(keepingCapacity: true)
            }
        }
        for part in snapshot.parts {
            try add(part.content)
            guard part.kind == .tree else { continue }
            try reader.entries(part.content, reads: true) { try add($0.content) }
        }
        try body(batch)
    }
}
