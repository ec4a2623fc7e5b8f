import Engine
import FoundationEssentials
import Model
import Repository
import RepositorySupport
import TestSupport
import Testing

/// Credentials that may write and read, and not delete.
@Suite struct CredentialTests {
    @Test("They suffice for everything but making room")
    func withoutDelete() async throws {
        var random = SeededRandom.announced()
        let memory = MemoryStore()
        let store = FaultyStore(memory, [StoreRule(.forbidden, on: .delete, times: .max)])
        let credential = Credential.key([UInt8](repeating: 1, count: 32))
        let made = try await BackupRepository.create(
            in: store, credential: credential, label: "test")
        let repository = try await BackupRepository.open(in: store, credential: credential)
        #expect(repository.id == made.id)
        let index = MemoryChunkIndex()
        let clock = SystemTimepiece()
        var heads: [ChainHead] = []
        let writer = WriterID.random()
        var contents: [[UInt8]] = []
        var snapshots: [SnapshotRecord] = []
        for _ in 0..<3 {
            let bytes = random.bytes(200_000)
            let run = try await repository.beginWriting(
                index: index, host: "host", processID: 1, timepiece: clock)
            let reference = try await RepositoryFixture.write([bytes], in: run)[0]
            let record = SnapshotRecord.ofStream(reference)
            try await run.commit(record)
            heads = try #require(
                try await repository.appendToChain(
                    writer: writer, run: record.run, host: "host", at: record.asOf,
                    added: [record.id], removed: [], known: heads))
            await run.end()
            contents.append(bytes)
            snapshots.append(record)
        }
        let check = CheckOptions(readData: true)
        #expect(try await repository.check(index: index, options: check).findings.isEmpty)
        #expect(
            try await repository.check(index: MemoryChunkIndex(), options: check, known: heads)
                .findings.isEmpty)
        for (record, bytes) in zip(snapshots, contents) {
            let back = try await BlockingPool.shared.run {
                try repository.makeReader(index: index)
                    .bytes(record.parts[0].content, limit: 1 << 20)
            }
            #expect(back == bytes)
        }
        // Nothing of all that needed a deletion that it then missed: only sessions' ends tried one.
        let tried = store.calls.filter { $0.hasPrefix("delete") }
        #expect(tried.allSatisfy { $0.hasPrefix("delete sessions/") } && tried.count == 3)
        // Making room says what it may not do, and has done no harm.
        let before = Set(try await memory.list("").map(\.key))
        await #expect(throws: Failure.self) { try await repository.remove(snapshots[0].id) }
        memory.advance(by: TimeSpan(seconds: 7200))
        let garbage = try await repository.beginWriting(
            index: index, host: "host", processID: 1, timepiece: clock)
        _ = try await RepositoryFixture.write([random.bytes(200_000)], in: garbage)
        await garbage.end()
        memory.advance(by: TimeSpan(seconds: 7200))
        let plan = try await repository.prunePlan(index: index)
        #expect(plan.deleted.count == 1)
        let result = try await repository.prune(plan, index: index)
        #expect(result.deletedPacks == 0 && result.refusedPacks == 1)
        #expect(result.refusal?.contains("not allowed") == true)
        #expect(Set(try await memory.list("").map(\.key)).isSuperset(of: before))
        #expect(
            try await repository.check(index: MemoryChunkIndex(), options: check).findings.isEmpty)
    }
}
