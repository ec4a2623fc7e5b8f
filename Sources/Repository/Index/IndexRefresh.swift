public import Model

extension BackupRepository {
    /// What ``refresh(_:progress:)`` changed.
    public struct IndexChange: Sendable, Hashable {
        /// Packs that the index did not know.
        public var learned = 0
        /// Packs that the index knew and the store has no longer.
        public var vanished: Set<PackID> = []
        /// Packs whose list cannot be read, with the reason.
        public var unreadable: [PackID: String] = [:]
    }

    /// Of more packs at once than this the lists are not kept near.
    private static let listsKept = 512

    /// Makes `index` know exactly the packs that the store lists.
    ///
    /// Lists of unknown packs are read from their ends, several at once; a pack that is missing is
    /// only given up when a second listing lacks it too. An empty index is rebuilt by this.
    public func refresh(
        _ index: any ChunkIndex, progress: @escaping @Sendable (Int, Int) -> Void = { _, _ in }
    ) async throws -> IndexChange {
        var change = IndexChange()
        let known = try index.packs()
        let listed = try await listPacks()
        let unknown = listed.filter { known[$0.key] == nil }.sorted { $0.key < $1.key }
        let reader = packs
        // Who learns a large repository from nothing remembers it in the index, and would only push
        // out of the cache what is there.
        let nearness: Nearness = unknown.count <= Self.listsKept ? .kept : .store
        try await withThrowingTaskGroup(of: (PackID, Result<PackContents, any Error>).self) {
            group in
            var next = 0
            func add() {
                guard next < unknown.count else { return }
                let (pack, size) = unknown[next]
                next += 1
                group.addTask {
                    do {
                        let contents = try await reader.contents(of: pack, size: size, nearness)
                        return (pack, .success(contents))
                    } catch {
                        return (pack, .failure(error))
                    }
                }
            }
            for _ in 0..<16 { add() }
            while let (pack, result) = try await group.next() {
                switch result {
                case .success(let contents):
                    try index.record(contents)
                    change.learned += 1
                case .failure(let error as FormatError):
                    change.unreadable[pack] = error.reason
                case .failure(is ObjectMissing): break
                case .failure(let error): throw error
                }
                progress(change.learned, unknown.count)
                add()
            }
        }
        let missing = Set(known.keys).subtracting(listed.keys)
        if !missing.isEmpty {
            let again = try await listPacks()
            change.vanished = missing.filter { again[$0] == nil }
            try index.remove(change.vanished)
        }
        return change
    }
}
