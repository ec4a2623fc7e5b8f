import Catalog
import Engine
import FoundationEssentials
import Model
import Repository
import RepositorySupport
import Snapshot
import TestSupport
import Testing

/// Copies of a repository in another one.
@Suite struct CopyingTests {
    /// A repository, a copy of it, and what one machine knows of both.
    private struct World {
        let sourceStore = MemoryStore()
        let targetStore: FaultyStore
        let source: Copying.Side
        let target: Copying.Side

        init() async throws {
            targetStore = FaultyStore(MemoryStore())
            let original = try await BackupRepository.create(
                in: sourceStore, credential: .key([UInt8](repeating: 1, count: 32)), label: "a")
            let copy = try await BackupRepository.create(
                in: targetStore, credential: .key([UInt8](repeating: 2, count: 32)), label: "b",
                copyOf: original)
            source = Copying.Side(
                repository: original, catalog: try await .inMemory(for: original.id),
                index: MemoryChunkIndex())
            target = Copying.Side(
                repository: copy, catalog: try await .inMemory(for: copy.id),
                index: MemoryChunkIndex())
        }

        /// Saves contents as one snapshot each.
        @discardableResult
        func save(_ contents: [[UInt8]], day: Int = 0) async throws -> [SnapshotRecord] {
            let run = try await source.repository.beginWriting(
                index: source.index, host: "host", processID: 1, timepiece: SystemTimepiece())
            var records: [SnapshotRecord] = []
            for content in contents {
                let reference = try await BlockingPool.shared.run {
                    try run.session.store([content])
                }
                let record = SnapshotRecord.ofStream(
                    reference[0],
                    asOf: Timestamp(seconds: day * 86400 + records.count, nanoseconds: 0))
                try await run.commit(record)
                records.append(record)
            }
            await run.end()
            return records
        }

        func copy(_ target: Copying.Side? = nil) async throws -> CopyResult {
            _ = try await source.repository.refresh(source.index)
            return try await Copying(
                from: source, to: target ?? self.target, timepiece: SystemTimepiece(),
                host: "host", version: "test"
            ).carryOut(name: "copy") { _, _, _ in }
        }

        /// All bytes of a snapshot, read from the copy alone.
        func restored(_ record: SnapshotRecord) async throws -> [UInt8] {
            let index = MemoryChunkIndex()
            _ = try await target.repository.refresh(index)
            let there = try await target.repository.snapshot(record.id)
            return try await BlockingPool.shared.run { [target] in
                try target.repository.makeReader(index: index).bytes(
                    there.parts[0].content, limit: 1 << 30)
            }
        }

        func packBytes(_ store: any ObjectStore) async throws -> UInt64 {
            try await store.list("packs").reduce(0) { $0 + $1.size }
        }
    }

    @Test("Everything comes over and reads back; a second time there is nothing to do")
    func wholeCopy() async throws {
        var random = SeededRandom.announced()
        let contents = [3 << 20, 500_000, 0, 10].map { random.bytes($0) }
        let world = try await World()
        let records = try await world.save(contents)
        let result = try await world.copy()
        #expect(Set(result.copied) == Set(records.map(\.id)) && result.failed.isEmpty)
        #expect(result.held == 4 && result.newest == records.map(\.asOf).max())
        for (record, content) in zip(records, contents) {
            #expect(try await world.restored(record) == content)
        }
        // Random bytes do not compress: what is stored is what was there, and once.
        let (own, there) = (
            try await world.packBytes(world.sourceStore),
            try await world.packBytes(world.targetStore)
        )
        #expect(there <= own + own / 8 && there >= own / 2, "\(own) \(there)")
        let again = try await world.copy()
        #expect(again.copied.isEmpty && again.stored == ByteCount(0) && again.held == 4)
        let chains = try await world.target.repository.readChains()
        #expect(chains.expected == Set(records.map(\.id)) && chains.findings.isEmpty)
    }

    @Test("A later night sends what is new, and frames that are mostly there chunk by chunk")
    func increments() async throws {
        var random = SeededRandom.announced()
        let world = try await World()
        var content = random.bytes(4 << 20)
        try await world.save([content])
        _ = try await world.copy()
        let before = try await world.packBytes(world.targetStore)
        content.replaceSubrange(1_000_000..<1_000_050, with: random.bytes(50))
        let records = try await world.save([content], day: 1)
        let result = try await world.copy()
        #expect(result.copied == records.map(\.id))
        #expect(try await world.restored(records[0]) == content)
        let added = try await world.packBytes(world.targetStore) - before
        #expect(added < 1 << 20, "\(added)")
    }

    @Test("A damaged snapshot is not copied, names the damage, and keeps no other back")
    func damage() async throws {
        var random = SeededRandom.announced()
        let world = try await World()
        let bad = try await world.save([random.bytes(400_000)])
        let packs = try await world.sourceStore.list("packs")
        let good = try await world.save([random.bytes(400_000)], day: 1)
        var bytes = try await world.sourceStore.get(packs[0].key, .whole)
        bytes[bytes.startIndex + 5000] ^= 1
        try await world.sourceStore.put(packs[0].key, [bytes])
        let result = try await world.copy()
        #expect(result.copied == good.map(\.id))
        #expect(Array(result.failed.keys) == ["\(bad[0].id)"])
        #expect(result.failed.values.first?.contains("seal") == true, "\(result.failed)")
        #expect(try await world.target.repository.listSnapshots() == Set(good.map(\.id)))
    }

    @Test("Removed here, it stays there; forgotten there, it does not come again")
    func removals() async throws {
        let world = try await World()
        let records = try await world.save([[1], [2], [3]])
        _ = try await world.copy()
        try await world.source.repository.remove(records[0].id)
        // There by that repository's own retention, with a tombstone.
        try await world.target.repository.remove(records[1].id)
        let run = RunRecord(
            purpose: .prune, host: "host", processID: 1, version: "test",
            started: Timestamp(nanoseconds: 0))
        try await ChainKeeping(
            repository: world.target.repository, catalog: world.target.catalog
        ).append(run: run, at: Timestamp(nanoseconds: 0), removed: [records[1].id])
        let result = try await world.copy()
        #expect(result.copied.isEmpty && result.forgotten == 1)
        #expect(
            try await world.target.repository.listSnapshots()
                == [records[0].id, records[2].id])
    }

    @Test("Cut off anywhere, the next run goes on and ends with the same")
    func cutOff() async throws {
        var random = SeededRandom.announced()
        let contents = (0..<3).map { _ in random.bytes(300_000) }
        let world = try await World()
        let records = try await world.save(contents)
        for skip in 0..<12 {
            world.targetStore.add(
                StoreRule(
                    .failBefore(Failure(.failed, "cut", side: .repository)), on: .put, skip: skip))
            do { _ = try await world.copy() } catch { #expect(error is Failure) }
            world.targetStore.clear()
        }
        let result = try await world.copy()
        #expect(result.held == 3 && result.failed.isEmpty)
        for (record, content) in zip(records, contents) {
            #expect(try await world.restored(record) == content)
        }
        let chains = try await world.target.repository.readChains()
        #expect(chains.expected == Set(records.map(\.id)))
    }

    @Test("A store that lies about a pack is found out before the snapshot is written")
    func lie() async throws {
        var random = SeededRandom.announced()
        let world = try await World()
        try await world.save([random.bytes(300_000)])
        world.targetStore.add(StoreRule(.lie, on: .put, "packs"))
        await #expect(throws: (any Error).self) { try await world.copy() }
        #expect(try await world.target.repository.listSnapshots().isEmpty)
        world.targetStore.clear()
        #expect(try await world.copy().copied.count == 1)
    }

    @Test("A repository that was not made for it is refused, and so is the same one")
    func foreign() async throws {
        let world = try await World()
        try await world.save([[1]])
        let store = MemoryStore()
        let other = try await BackupRepository.create(
            in: store, credential: .key([UInt8](repeating: 3, count: 32)), label: "c")
        let side = Copying.Side(
            repository: other, catalog: try await .inMemory(for: other.id),
            index: MemoryChunkIndex())
        let failure = await #expect(throws: Failure.self) { try await world.copy(side) }
        #expect(failure?.code == .usage && failure?.hint?.contains("init --copy") == true)
        let same = await #expect(throws: Failure.self) { try await world.copy(world.source) }
        #expect(same?.code == .usage)
        #expect(try await store.list("snapshots").isEmpty)
    }
}
