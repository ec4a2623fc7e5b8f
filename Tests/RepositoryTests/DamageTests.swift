import Engine
import FoundationEssentials
import Model
import Repository
import TestSupport
import Testing

/// What a repository says when its objects are not as they were written.
@Suite struct DamageTests {
    private func snapshot(of fixture: RepositoryFixture, _ content: ContentReference) async throws
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

    /// Reads everything: true when it is all as it was, false when it fails, an issue when it is
    /// wrong and does not say so.
    private func readsBack(_ fixture: RepositoryFixture, _ record: SnapshotRecord, _ bytes: [UInt8])
        async -> Bool
    {
        do {
            let repository = try await BackupRepository.open(
                in: fixture.store, credential: .key([UInt8](repeating: 1, count: 32)))
            let index = MemoryChunkIndex()
            _ = try await repository.refresh(index)
            let found = try await repository.snapshot(record.id)
            let content = found.parts[0].content
            let back = try await BlockingPool.shared.run {
                try repository.makeReader(index: index).bytes(content, limit: 1 << 30)
            }
            #expect(back == bytes, "wrong bytes without an error")
            return true
        } catch {
            return false
        }
    }

    @Test(arguments: ["flip", "cut", "zero"])
    func everyDamageIsLoud(_ damage: String) async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        let bytes = random.text(3 << 20)
        let record = try await snapshot(of: fixture, try await fixture.write([bytes])[0])
        #expect(await readsBack(fixture, record, bytes))
        let objects = try await fixture.store.list("").sorted { $0.key < $1.key }
        var silent: [String] = []
        let tried = 200
        for _ in 0..<tried {
            let object = objects[Int.random(in: 0..<objects.count, using: &random)]
            let good = try await fixture.store.get(object.key, .whole)
            var bad = good
            let position = Int.random(in: 0..<bad.count, using: &random)
            switch damage {
            case "flip": bad[position] ^= UInt8(1) << UInt8.random(in: 0...7, using: &random)
            case "cut": bad = Data(bad.prefix(position))
            default:
                let end = min(position + 4096, bad.count)
                bad.replaceSubrange(
                    position..<end, with: repeatElement(UInt8(0), count: end - position))
            }
            guard bad != good else { continue }
            try await fixture.store.put(object.key, [bad])
            if await readsBack(fixture, record, bytes) {
                silent.append("\(object.key) at \(position)")
            }
            try await fixture.store.put(object.key, [good])
        }
        // Padding of packs is not read; names and times in plaintext JSON are for people.
        let serious = silent.filter {
            !$0.hasPrefix("packs/") && !$0.hasPrefix("keys/") && !$0.hasPrefix("config")
        }
        #expect(serious.isEmpty, "unnoticed, of \(tried): \(serious)")
    }

    @Test func aRecordCannotStandInForAnother() async throws {
        let fixture = try await RepositoryFixture()
        let reference = try await fixture.write([[1, 2, 3]])[0]
        let one = try await snapshot(of: fixture, reference)
        let two = try await snapshot(of: fixture, reference)
        let bytes = try await fixture.store.get(ObjectKey("snapshots/\(one.id)"), .whole)
        try await fixture.store.put(ObjectKey("snapshots/\(two.id)"), [bytes])
        await #expect(throws: FormatError.self) { try await fixture.repository.snapshot(two.id) }
        #expect(try await fixture.repository.snapshot(one.id).id == one.id)
    }

    @Test func aPackCannotStandInForAnother() async throws {
        let fixture = try await RepositoryFixture()
        _ = try await fixture.write([[1, 2, 3]])
        _ = try await fixture.write([[4, 5, 6]])
        let packs = try await fixture.store.list("packs").sorted { $0.key < $1.key }
        try #require(packs.count == 2)
        let bytes = try await fixture.store.get(packs[0].key, .whole)
        try await fixture.store.put(packs[1].key, [bytes])
        let change = try await fixture.repository.refresh(MemoryChunkIndex())
        #expect(change.learned == 1)
        #expect(change.unreadable.count == 1)
    }
}
