import Engine
import FoundationEssentials
import Model
import Repository
import TestSupport
import Testing

@Suite struct PruneTests {
    private func snapshot(_ fixture: RepositoryFixture, _ content: ContentReference) async throws
        -> SnapshotRecord
    {
        var record = SnapshotRecord(
            id: .random(), workload: WorkloadID(text: "site/files:files"), service: "site",
            kind: .files, host: "host", run: .random(), asOf: Timestamp(nanoseconds: 0))
        record.parts = [
            SnapshotPart(
                name: "part", kind: .stream, content: content, bytes: ByteCount(content.length))
        ]
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
        let plan = try await fixture.repository.prunePlan(index: fixture.index)
        #expect(plan.rewritten.count == 1 && plan.deleted.isEmpty)
        let result = try await fixture.repository.prune(plan, index: fixture.index)
        #expect(result.rewrittenPacks == 1 && result.deletedPacks == 1)
        #expect(try await fixture.storedBytes() < before / 5)
        #expect(try await fixture.read(record.parts[0].content) == contents[7])
        #expect(try await fixture.read(other.parts[0].content) == contents[8])
        // A fresh machine sees the same.
        let index = MemoryChunkIndex()
        _ = try await fixture.repository.refresh(index)
        let report = try await fixture.repository.check(
            index: index, options: CheckOptions(readData: true))
        #expect(report.findings.isEmpty)
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
        let condemned = try await fixture.repository.condemnedPacks()
        #expect(condemned.count == 1)
        let unknown = UncondemnedIndex(fixture.index, without: condemned)
        let session = fixture.repository.makeWriteSession(index: unknown)
        let reference = try await BlockingPool.shared.run {
            defer { session.close() }
            let writer = session.makeContentWriter()
            writer.begin()
            try content.withUnsafeBytes { try writer.append($0) }
            try writer.end()
            try writer.drain()
            let references = try writer.takeFinished()
            try session.flush()
            return references[0]
        }
        let record = try await snapshot(fixture, reference)
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
        let clock = SystemTimepiece()
        let lease = try await fixture.repository.beginSession(
            host: "host", processID: 1, timepiece: clock)
        let session = fixture.repository.makeWriteSession(index: fixture.index)
        let reference = try await BlockingPool.shared.run {
            let writer = session.makeContentWriter()
            writer.begin()
            try content.withUnsafeBytes { try writer.append($0) }
            try writer.end()
            try writer.drain()
            let references = try writer.takeFinished()
            try session.flush()
            return references[0]
        }
        // Meanwhile somebody else decides that nobody needs these bytes.
        let plan = try await fixture.repository.prunePlan(index: fixture.index)
        #expect(plan.deleted.count == 1)
        _ = try await fixture.repository.prune(plan, index: fixture.index)
        var record = SnapshotRecord(
            id: .random(), workload: WorkloadID(text: "a/files:files"), service: "a", kind: .files,
            host: "host", run: .random(), asOf: Timestamp(nanoseconds: 0))
        record.parts = [
            SnapshotPart(
                name: "part", kind: .stream, content: reference, bytes: ByteCount(reference.length))
        ]
        try await fixture.repository.commit(
            record, session: session, lease: lease, index: fixture.index, known: [])
        try await BlockingPool.shared.run { session.close() }
        await lease.end()
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
