import Engine
import FoundationEssentials
import Model
import Repository
import RepositorySupport
import Synchronization
import TestSupport
import Testing

/// Reading from a store that is far away: several journeys at once, and the same bytes.
@Suite struct ReadAheadTests {
    /// A store whose every answer comes a little later, as over a line; counts who waits.
    private final class FarStore: ObjectStore {
        private let base: any ObjectStore
        let isRemote: Bool
        private let waiting = Mutex((now: 0, most: 0, all: 0))

        init(_ base: any ObjectStore, isRemote: Bool) {
            self.base = base
            self.isRemote = isRemote
        }

        /// The most requests for objects that were under way at once, and all of them; from now on
        /// counted anew.
        func takeCounts() -> (most: Int, all: Int) {
            waiting.withLock { counts in
                let (most, all) = (counts.most, counts.all)
                counts = (0, 0, 0)
                return (most, all)
            }
        }

        func get(_ key: ObjectKey, _ range: ObjectRange) async throws -> Data {
            waiting.withLock {
                $0.now += 1
                $0.all += 1
                $0.most = max($0.most, $0.now)
            }
            defer { waiting.withLock { $0.now -= 1 } }
            try await Task.sleep(for: .milliseconds(10))
            return try await base.get(key, range)
        }

        var place: String { base.place }
        func put(_ key: ObjectKey, _ parts: [Data]) async throws { try await base.put(key, parts) }
        func size(_ key: ObjectKey) async throws -> UInt64? { try await base.size(key) }
        func list(_ prefix: String) async throws -> [StoredObject] {
            try await base.list(prefix)
        }
        func delete(_ key: ObjectKey) async throws { try await base.delete(key) }
        func now() async throws -> Timestamp { try await base.now() }
    }

    /// The same repository, near and far.
    private func open(_ fixture: RepositoryFixture, isRemote: Bool) async throws
        -> (BackupRepository, FarStore)
    {
        let store = FarStore(fixture.store, isRemote: isRemote)
        let repository = try await BackupRepository.open(
            in: store, credential: .key([UInt8](repeating: 1, count: 32)))
        _ = store.takeCounts()
        return (repository, store)
    }

    private func bytes(
        _ content: ContentReference, _ repository: BackupRepository, _ index: any ChunkIndex
    ) async throws -> [UInt8] {
        try await BlockingPool.shared.run {
            var all: [UInt8] = []
            try repository.makeReader(index: index).stream(content) { piece, length in
                if let piece {
                    all += piece
                } else {
                    all += repeatElement(0, count: Int(length))
                }
            }
            return all
        }
    }

    @Test(
        "A long content comes in several pieces at once, and is the same", arguments: [true, false])
    func stream(_ isRemote: Bool) async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        // Parts that come again make it jump back to frames that it has left behind.
        let first = random.bytes(9_000_000)
        let whole =
            first + [UInt8](repeating: 0, count: 3_000_000) + random.bytes(16_000_000)
            + first[2_000_000..<7_000_000] + random.bytes(5_000_000)
        let content = try await fixture.write([whole])[0]
        let (repository, store) = try await open(fixture, isRemote: isRemote)
        #expect(try await bytes(content, repository, fixture.index) == whole)
        let (most, _) = store.takeCounts()
        if isRemote { #expect(most >= 4) } else { #expect(most == 1) }
    }

    /// Trees of large files: the first of all but the last of them, the second of all.
    ///
    /// Each file is long enough for a list of its own; in sessions of their own, so in packs of their
    /// own.
    private func trees(of count: Int, _ fixture: RepositoryFixture) async throws
        -> [ContentReference]
    {
        var random = SeededRandom.announced()
        var trees: [ContentReference] = []
        var entries = [TreeEntry(path: [], type: .directory)]
        for number in 0..<count {
            var entry = TreeEntry(path: Array("file-\(10 + number)".utf8), type: .file)
            entry.content = try await fixture.write([random.bytes(4_000_000)])[0]
            entry.size = entry.content.length
            #expect(entry.content.depth == 1)
            entries.append(entry)
            guard number >= count - 2 else { continue }
            var encoder = TreeEncoder()
            var text: [UInt8] = []
            for entry in entries {
                encoder.append(entry)
                encoder.flush { text += $0 }
            }
            trees.append(try await fixture.write([text])[0])
        }
        return trees
    }

    @Test("The lists of large files are fetched side by side")
    func lists() async throws {
        let fixture = try await RepositoryFixture()
        let tree = try await trees(of: 24, fixture)[1]
        func read(_ repository: BackupRepository) async throws -> [[ChunkReference]] {
            let (index, tree) = (fixture.index, tree)
            return try await BlockingPool.shared.run {
                var found: [[ChunkReference]] = []
                let reader = repository.makeReader(index: index)
                try reader.entries(tree, reads: true) { entry in
                    guard entry.type == .file else { return }
                    var references: [ChunkReference] = []
                    try reader.forEachLeaf(entry.content) { references += $0 }
                    found.append(references)
                }
                return found
            }
        }
        let near = try await read(try await open(fixture, isRemote: false).0)
        #expect(near.count == 24)
        #expect(near.allSatisfy { $0.reduce(0) { $0 + $1.length } == 4_000_000 })
        let (repository, store) = try await open(fixture, isRemote: true)
        #expect(try await read(repository) == near)
        let (most, all) = store.takeCounts()
        #expect(most >= 8)
        // Each list once, and the tree.
        #expect(all <= 26, "\(all)")
    }

    @Test("What a prune has to keep is found with several requests at once, each list read once")
    func prune() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        for (age, tree) in try await trees(of: 24, fixture).enumerated() {
            var record = SnapshotRecord.ofStream(
                tree, asOf: Timestamp(nanoseconds: Int64(age) * 1_000_000_000))
            record.parts = [
                SnapshotPart(name: "tree/0", kind: .tree, content: tree, bytes: ByteCount(0))
            ]
            try await fixture.repository.put(record)
        }
        _ = try await fixture.write([random.bytes(3_000_000)])
        let near = try await open(fixture, isRemote: false).0.prunePlan(index: fixture.index)
        #expect(near.deleted.count == 1)
        let (repository, store) = try await open(fixture, isRemote: true)
        let far = try await repository.prunePlan(index: fixture.index)
        #expect(far.deleted == near.deleted && far.kept == near.kept)
        let (most, all) = store.takeCounts()
        #expect(most >= 8)
        // Two snapshots, their trees, 24 lists, and what tells of sessions and packs.
        #expect(all <= 34, "\(all)")
    }

    @Test("What is missing is told as ever, whatever else is on its way")
    func missing() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        let content = try await fixture.write([random.bytes(60_000_000)])[0]
        let packs = try await fixture.store.list("packs").sorted { $0.stored < $1.stored }
        try await fixture.store.delete(packs[packs.count / 2].key)
        let (repository, _) = try await open(fixture, isRemote: true)
        await #expect(throws: (any Error).self) {
            try await bytes(content, repository, fixture.index)
        }
    }
}
