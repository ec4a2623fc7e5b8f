import Engine
import FoundationEssentials
import Model
import Repository
import TestSupport
import Testing

/// Objects that somebody made to do harm, with or without the keys: refused, and cheaply.
@Suite struct HostileObjectTests {
    private func refusal(_ body: () async throws -> Void) async -> String? {
        do {
            try await body()
            return nil
        } catch let error as FormatError {
            return error.description
        } catch let failure as Failure where failure.code == .damaged {
            return failure.message
        } catch {
            Issue.record("\(error)")
            return "\(error)"
        }
    }

    // MARK: Contents

    @Test func contentsThatCannotBeAreRefused() async throws {
        let fixture = try await RepositoryFixture()
        let written = try await fixture.write([randomContent(3 << 20)])[0]
        let stranger = ChunkReference(id: .random(), length: 1 << 40)
        var longer = written
        longer.length += 1
        var shorter = written
        shorter.length -= 1
        var deep = written
        deep.depth += 1
        let hostile = [
            ContentReference(length: 3, depth: 0, references: [.zeros(.max)]),
            ContentReference(length: .max, depth: 0, references: [.zeros(1 << 62)]),
            ContentReference(
                length: .max, depth: 0, references: Array(repeating: .zeros(1 << 62), count: 5)),
            ContentReference(length: 1 << 40, depth: 0, references: [stranger]),
            ContentReference(length: 1 << 40, depth: 7, references: [stranger]),
            ContentReference(length: 5, depth: 3, references: [.zeros(5)]), longer, shorter, deep,
        ]
        for content in hostile {
            let message = await refusal {
                try await BlockingPool.shared.run {
                    let reader = fixture.repository.makeReader(index: fixture.index)
                    try reader.stream(content) { _, _ in }
                }
            }
            #expect(message != nil, "\(content.length) \(content.depth)")
        }
        #expect(try await fixture.read(written).count == 3 << 20)
    }

    private func randomContent(_ count: Int) -> [UInt8] {
        var random = SeededRandom(seed: 5)
        return random.bytes(count)
    }

    @Test(arguments: [
        #"{"length":18446744073709551615,"references":["0:18446744073709551615"]}"#,
        #"{"length":9223372036854775808}"#, #"{"length":0,"references":["0:0"]}"#,
        #"{"length":1,"depth":8,"references":["0:1"]}"#, #"{"length":1,"depth":256}"#,
        #"{"length":1,"references":["00:1"]}"#, #"{"length":-1}"#, #"{"length":1e30}"#, "[]",
    ])
    func snapshotsWithImpossibleContents(_ content: String) async throws {
        let known = try await KnownSecrets()
        let id = SnapshotID.random()
        try await known.put(known.snapshot(id, content: content).utf8, as: "snapshots/\(id)")
        let message = await refusal { _ = try await known.repository.snapshot(id) }
        #expect(message?.contains("its content is not a snapshot's") == true)
        // Checked, it is one finding among others, and does not stop them.
        let report = try await known.repository.check(index: MemoryChunkIndex())
        #expect(report.findings.map(\.object) == ["snapshots/\(id)"])
    }

    @Test func spoiledSnapshotsAreRefusedOrRead() async throws {
        let known = try await KnownSecrets()
        let id = SnapshotID.random()
        let name = SnapshotID.random()
        let content = #"{"length":70000,"depth":1,"references":["\#(name):1234","0:7"]}"#
        let good = Array(known.snapshot(id, content: content).utf8)
        var mutation = Mutation(random: SeededRandom.announced())
        let rounds = TestEnvironment.isFull ? 100_000 : 3000
        var refused = 0
        for _ in 0..<rounds {
            try await known.put(mutation.spoiled(good), as: "snapshots/\(id)")
            do {
                let record = try await known.repository.snapshot(id)
                _ = try StableJSON.encode(record)
                let repository = known.repository
                for part in record.parts {
                    let outcome = await refusal {
                        try await BlockingPool.shared.run {
                            try repository.makeReader(index: MemoryChunkIndex())
                                .stream(part.content) { _, _ in }
                        }
                    }
                    #expect(outcome != nil || part.content.length == 0)
                }
            } catch is FormatError {
                refused += 1
            }
        }
        print("spoiled snapshots: \(refused) of \(rounds) refused at once")
        #expect(refused > rounds / 2)
    }

    // MARK: Objects that are too large

    @Test func objectsThatAreTooLargeAreNotTakenIn() async throws {
        let known = try await KnownSecrets()
        let id = SnapshotID.random()
        let name = ObjectKey("snapshots/\(id)")
        try await known.store.put(name, [Data(count: (65 << 20) + 1)])
        let message = await refusal { _ = try await known.repository.snapshot(id) }
        #expect(message == "\(name) is damaged: it is larger than such an object may be")
        // A slot is passed over, and the one beside it opens.
        try await known.store.put(
            ObjectKey("keys/" + String(repeating: "0", count: 64)), [Data(count: (1 << 20) + 1)])
        _ = try await BackupRepository.open(in: known.store, credential: known.credential)
        try await known.store.put(ObjectKey("config"), [Data(count: (1 << 20) + 1)])
        let refused = await refusal {
            _ = try await BackupRepository.open(in: known.store, credential: known.credential)
        }
        #expect(refused == "config is damaged: it is larger than such an object may be")
    }

    @Test func aSlotThatAsksForTooMuchIsPassedOver() async throws {
        let known = try await KnownSecrets()
        let password = Credential.password("correct horse")
        func slot(_ n: Int, _ r: Int, _ p: Int) throws -> KeySlot {
            var slot = try KeySlot.wrap(
                known.secrets, under: password, label: "", created: Timestamp(nanoseconds: 0),
                cost: 1024)
            slot.scrypt?.n = n
            slot.scrypt?.r = r
            slot.scrypt?.p = p
            // Whoever writes slots can leave the sum out.
            slot.sum = nil
            return slot
        }
        func put(_ slot: KeySlot) async throws {
            try await known.store.put(slot.objectKey, [try JSONEncoder().encode(slot)])
        }
        let limits = [
            (1 << 24, 32, 1), (1 << 23, 8, 1), (1 << 62, 1, 1), (1000, 8, 1), (0, 8, 1),
            (-1024, 8, 1), (1024, 0, 1), (1024, 8, 1 << 40), (1024, .max, 1),
        ]
        for (n, r, p) in limits { try await put(try slot(n, r, p)) }
        let refused = await refusal {
            _ = try await BackupRepository.open(in: known.store, credential: password)
        }
        #expect(refused?.contains("its scrypt parameters are out of range") == true)
        try await put(try slot(1024, 8, 1))
        let opened = try await BackupRepository.open(in: known.store, credential: password)
        #expect(opened.id == known.secrets.repository)
    }

    // MARK: Packs

    @Test func manyTinyChunksAreSpreadOverPacks() async throws {
        let fixture = try await RepositoryFixture()
        let count = PackLayout.maximumChunks + 20_000
        let contents = (0..<count).map { number in
            [UInt8(number & 255), UInt8(number >> 8 & 255), UInt8(number >> 16)]
        }
        let references = try await fixture.write(contents)
        #expect(references.count == count)
        let index = MemoryChunkIndex()
        let change = try await fixture.repository.refresh(index)
        #expect(change.learned >= 2 && change.unreadable.isEmpty)
        for (pack, size) in try index.packs() {
            let listed = try await fixture.repository.packs.contents(of: pack, size: size)
            #expect(listed.chunks.count <= PackLayout.maximumChunks)
        }
        #expect(try await fixture.read(references[count - 1]) == contents[count - 1])
    }
}
