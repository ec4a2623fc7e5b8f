import Engine
import FoundationEssentials
import Model
import Repository
import RepositorySupport
import TestSupport
import Testing

@Suite struct PruneTests {
    private func snapshot(_ fixture: RepositoryFixture, _ content: ContentReference) async throws
        -> SnapshotRecord
    {
        let record = SnapshotRecord.ofStream(content)
        try await fixture.repository.put(record)
        return record
    }

    @Test func whatNobodyNeedsGoesAndTheRestStays() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        let kept = random.bytes(2 << 20)
        let keptRecord = try await snapshot(fixture, try await fixture.write([kept])[0])
        let gone = try await snapshot(
            fixture, try await fixture.write([random.bytes(3 << 20)])[0])
        let before = try await fixture.storedBytes()
        try await fixture.repository.remove(gone.id)
        let plan = try await fixture.repository.prunePlan(index: fixture.index)
        #expect(plan.deleted.count == 1 && plan.rewritten.isEmpty && plan.kept == 1)
        #expect(try await fixture.storedBytes() == before, "a plan changes nothing")
        let result = try await fixture.repository.prune(plan, index: fixture.index)
        #expect(result.deletedPacks == 1)
        #expect(try await fixture.storedBytes() < before - 3_000_000)
        #expect(try await fixture.read(keptRecord.parts[0].content) == kept)
        #expect(try await fixture.store.list("condemned").isEmpty)
    }

    @Test func aPackOfMostlyGarbageIsRewritten() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        let contents = (0..<20).map { _ in random.bytes(1 << 20) }
        let references = try await fixture.write(contents)
        let record = try await snapshot(fixture, references[7])
        let other = try await snapshot(fixture, references[8])
        let before = try await fixture.storedBytes()
        let old = MemoryChunkIndex()
        _ = try await fixture.repository.refresh(old)
        let plan = try await fixture.repository.prunePlan(index: fixture.index)
        #expect(plan.rewritten.count == 1 && plan.deleted.isEmpty)
        let result = try await fixture.repository.prune(plan, index: fixture.index)
        #expect(result.rewrittenPacks == 1 && result.deletedPacks == 1)
        #expect(try await fixture.storedBytes() < before / 5)
        #expect(try await fixture.read(record.parts[0].content) == contents[7])
        #expect(try await fixture.read(other.parts[0].content) == contents[8])
        // Who knows only the old place looks for the new one.
        let found = try await BlockingPool.shared.run { [repository = fixture.repository] in
            try repository.makeReader(index: old).bytes(record.parts[0].content, limit: 1 << 30)
        }
        #expect(found == contents[7])
        // A fresh machine sees the same.
        let index = MemoryChunkIndex()
        _ = try await fixture.repository.refresh(index)
        let report = try await fixture.repository.check(
            index: index, options: CheckOptions(readData: true))
        #expect(report.findings.isEmpty)
    }

    @Test("What the store refuses to delete stays condemned, and goes when it may")
    func refusedDeletion() async throws {
        var random = SeededRandom.announced()
        let store = FaultyStore(MemoryStore())
        var world = try await UpkeepWorld(store)
        var gone: [SnapshotID] = []
        for night in 0..<4 {
            gone.append(try await world.save(random.bytes(1 << 20), night: night))
        }
        try await world.save(random.bytes(1 << 20), "other")
        for id in gone { try await world.remove(id) }
        // One may go, three are locked.
        store.add(StoreRule(.forbidden, on: .delete, "packs", skip: 1, times: 3))
        let first = try await world.prune()
        #expect(first.deletedPacks == 1 && first.refusedPacks == 3)
        #expect(first.refusal?.contains("not allowed") == true)
        #expect(try await store.list("packs").count == 4)
        #expect(try await store.list("condemned").count == 1)
        // Nobody counts on them: what they hold is stored again.
        let run = try await world.repository.beginWriting(
            index: world.index, host: "host", processID: 1, timepiece: SystemTimepiece())
        #expect(try await world.repository.condemnedPacks().count == 4)
        await run.end()
        try await world.expectWhole()
        // They are refused once more, and go in the end.
        store.add(StoreRule(.forbidden, on: .delete, "packs", times: 3))
        #expect(try await world.prune().refusedPacks == 3)
        let last = try await world.prune()
        #expect(last.deletedPacks == 3 && last.refusedPacks == 0)
        #expect(try await store.list("packs").count == 1)
        #expect(try await store.list("condemned").isEmpty)
        try await world.expectWhole()
    }

    @Test func aLiveSessionHoldsDeletionBack() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        let content = random.bytes(1 << 20)
        let references = try await fixture.write([content])
        let clock = SystemTimepiece()
        let lease = try await fixture.repository.beginSession(
            host: "host", processID: 1, timepiece: clock)
        let plan = try await fixture.repository.prunePlan(index: fixture.index)
        let first = try await fixture.repository.prune(plan, index: fixture.index)
        #expect(first.waitingPacks == 1 && first.deletedPacks == 0 && first.liveSessions == 1)
        // The session, which began before, may still refer to the bytes.
        let record = try await snapshot(fixture, references[0])
        await lease.end()
        let again = try await fixture.repository.prunePlan(index: fixture.index)
        let second = try await fixture.repository.prune(again, index: fixture.index)
        #expect(second.deletedPacks == 0)
        #expect(try await fixture.read(record.parts[0].content) == content)
    }

    @Test func aWriterDoesNotCountOnWhatIsCondemned() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        let content = random.bytes(1 << 20)
        _ = try await fixture.write([content])
        let clock = SystemTimepiece()
        let other = try await fixture.repository.beginSession(
            host: "other", processID: 1, timepiece: clock)
        let plan = try await fixture.repository.prunePlan(index: fixture.index)
        _ = try await fixture.repository.prune(plan, index: fixture.index)
        #expect(try await fixture.repository.condemnedPacks().count == 1)
        let run = try await fixture.beginWriting()
        let reference = try await RepositoryFixture.write([content], in: run)[0]
        let record = SnapshotRecord.ofStream(reference)
        try await run.commit(record)
        await run.end()
        await other.end()
        let again = try await fixture.repository.prunePlan(index: fixture.index)
        _ = try await fixture.repository.prune(again, index: fixture.index)
        #expect(try await fixture.read(record.parts[0].content) == content)
        #expect(try await fixture.store.list("packs").count == 1)
    }

    @Test func aSessionRescuesWhatWasCondemnedWhileItRan() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        let content = random.bytes(1 << 20)
        _ = try await fixture.write([content])
        let run = try await fixture.beginWriting()
        let reference = try await RepositoryFixture.write([content], in: run)[0]
        // Meanwhile somebody else decides that nobody needs these bytes.
        let plan = try await fixture.repository.prunePlan(index: fixture.index)
        #expect(plan.deleted.count == 1)
        _ = try await fixture.repository.prune(plan, index: fixture.index)
        try await run.commit(SnapshotRecord.ofStream(reference))
        await run.end()
        let again = try await fixture.repository.prunePlan(index: fixture.index)
        let result = try await fixture.repository.prune(again, index: fixture.index)
        #expect(result.deletedPacks == 1)
        #expect(try await fixture.read(reference) == content)
    }

    @Test func aSnapshotThatDisappearsIsMissed() async throws {
        let fixture = try await RepositoryFixture()
        let record = try await snapshot(fixture, try await fixture.write([[1, 2, 3]])[0])
        let kept = try await snapshot(fixture, try await fixture.write([[4, 5, 6]])[0])
        let writer = WriterID.random()
        let heads = try await fixture.repository.appendToChain(
            writer: writer, run: .random(), host: "host", at: Timestamp(nanoseconds: 0),
            added: [record.id, kept.id], removed: [], known: [])
        #expect(try await fixture.repository.check(index: fixture.index).findings.isEmpty)
        // Somebody deletes the record: a machine that knows nothing notices.
        try await fixture.repository.remove(record.id)
        let report = try await fixture.repository.check(index: MemoryChunkIndex())
        #expect(report.findings.map(\.object) == ["snapshots/\(record.id)"])
        #expect(report.exitCode == .damaged)
        // A removal on purpose leaves a tombstone.
        _ = try await fixture.repository.appendToChain(
            writer: writer, run: .random(), host: "host", at: Timestamp(nanoseconds: 0), added: [],
            removed: [record.id], known: try #require(heads))
        #expect(try await fixture.repository.check(index: fixture.index).findings.isEmpty)
    }

    @Test func aRepositoryThatGoesBackInTimeIsNoticed() async throws {
        let fixture = try await RepositoryFixture()
        let writer = WriterID.random()
        var known: [ChainHead] = []
        for _ in 0..<3 {
            known = try #require(
                try await fixture.repository.appendToChain(
                    writer: writer, run: .random(), host: "host", at: Timestamp(nanoseconds: 0),
                    added: [], removed: [], known: known))
        }
        let newest = try #require(try await fixture.store.list("writers").map(\.key).max())
        try await fixture.store.delete(newest)
        let warm = try await fixture.repository.readChains(known: known)
        #expect(warm.findings.count == 1)
        // A fresh machine cannot know that there was a third; it says where the chain ends.
        let cold = try await fixture.repository.readChains()
        #expect(cold.findings.isEmpty && cold.heads[writer]?.sequence == 2)
    }

    @Test func aCloneTakesAWriterNameOfItsOwn() async throws {
        let fixture = try await RepositoryFixture()
        let writer = WriterID.random()
        func append(_ known: [ChainHead]) async throws -> [ChainHead]? {
            try await fixture.repository.appendToChain(
                writer: writer, run: .random(), host: "host", at: Timestamp(nanoseconds: 0),
                added: [], removed: [], known: known)
        }
        let first = try #require(try await append([]))
        _ = try #require(try await append(first))
        // The clone still believes that record 1 is the newest.
        #expect(try await append(first) == nil)
        #expect(try await fixture.store.list("writers").count == 2)
    }
}
