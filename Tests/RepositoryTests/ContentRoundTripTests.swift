import Engine
import FoundationEssentials
import Model
import Repository
import Synchronization
import TestSupport
import Testing

@Suite struct ContentRoundTripTests {
    @Test func contentsOfAllSizesComeBack() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        var contents: [[UInt8]] = [[], [1], Array("dr".utf8)]
        for size in [16383, 16384, 16385, 262_143, 262_145, 2 << 20, (2 << 20) + 1, 9_000_001] {
            contents.append(random.text(size))
        }
        for _ in 0..<200 {
            contents.append(random.text(Int.random(in: 0...9000, using: &random)))
        }
        let references = try await fixture.write(contents)
        try #require(references.count == contents.count)
        for (content, reference) in zip(contents, references) {
            #expect(reference.length == UInt64(content.count))
            let back = try await fixture.read(reference)
            #expect(back == content)
        }
    }

    @Test func whatIsThereAlreadyIsNotStoredAgain() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        let content = random.text(6 << 20)
        let first = try await fixture.write([content, content])
        let size = try await fixture.storedBytes()
        let second = try await fixture.write([content])
        #expect(first[0] == first[1] && first[0] == second[0])
        #expect(try await fixture.storedBytes() == size)
    }

    @Test func aSmallChangeAddsLittle() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        var content = (0..<(32 << 20)).map { _ in UInt8.random(in: 0...255, using: &random) }
        _ = try await fixture.write([content])
        let size = try await fixture.storedBytes()
        content.insert(42, at: 16 << 20)
        let reference = try await fixture.write([content])
        let added = try await fixture.storedBytes() - size
        // One or two chunks of at most 256 KiB, a node of references, and the pack around them.
        #expect(added < 700_000, "added \(added) bytes")
        #expect(try await fixture.read(reference[0]) == content)
    }

    @Test func aDiskOfZerosCostsNothing() async throws {
        let fixture = try await RepositoryFixture()
        var disk = [UInt8](repeating: 0, count: 32 << 20)
        for position in stride(from: 1_000_000, to: 1_065_536, by: 7) { disk[position] = 9 }
        let reference = try await fixture.write([disk], fixed: true)
        #expect(reference[0].references.count { $0.isZeros } == 2)
        #expect(try await fixture.storedBytes() < 200_000)
        #expect(try await fixture.read(reference[0]) == disk)
    }

    @Test func longContentsShareTheirNodes() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        // Blocks of a disk, many and small once compressed: more references than one node may list.
        var disk = [UInt8](repeating: 0, count: 272 << 20)
        for block in 0..<(disk.count >> 16) {
            let value = UInt64.random(in: 1 ... .max, using: &random)
            withUnsafeBytes(of: value) {
                disk.replaceSubrange(block << 16..<(block << 16 + 8), with: $0)
            }
        }
        let first = try await fixture.write([disk], fixed: true)
        #expect(first[0].depth == 1 && first[0].references.count >= 2)
        disk[100 << 20] ^= 1
        let second = try await fixture.write([disk], fixed: true)
        let shared = Set(first[0].references).intersection(second[0].references)
        #expect(shared.count >= first[0].references.count - 2)
        #expect(try await fixture.read(second[0]) == disk)
    }

    @Test func storageOrderGivesEveryChunkOnce() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        let contents = (0..<40).map { _ in
            random.text(Int.random(in: 1...900_000, using: &random))
        }
        let references = try await fixture.write(contents)
        let receiver = CollectingReceiver()
        let fixtureCopy = fixture
        let wanted: [WantedChunk] = references.flatMap { $0.references }.enumerated().map {
            WantedChunk(id: $1.id, length: UInt32($1.length), token: $0)
        }
        try await BlockingPool.shared.run {
            let reader = fixtureCopy.repository.makeStorageOrderReader(index: fixtureCopy.index)
            defer { reader.close() }
            try reader.read(wanted, into: receiver).wait()
        }
        let received = receiver.received
        #expect(received.count == wanted.count)
        var token = 0
        for (content, reference) in zip(contents, references) {
            var bytes: [UInt8] = []
            for _ in reference.references {
                bytes += received[token] ?? []
                token += 1
            }
            #expect(bytes == content)
        }
    }

    @Test(arguments: MemoryFaultPoint.allCases)
    func aBitThatFlipsInMemoryIsNoticed(_ point: MemoryFaultPoint) async throws {
        var random = SeededRandom.announced()
        let content = random.text(3 << 20)
        var caught = 0
        let tried = 20
        for _ in 0..<tried {
            let fixture = try await RepositoryFixture()
            let position = Int.random(in: 0..<100_000, using: &random)
            let done = Atomic<Bool>(false)
            var options = WriteOptions()
            options.memoryFault = { at, bytes in
                guard at == point, !done.exchange(true, ordering: .relaxed) else { return }
                // The first bytes of a sealed frame are its nonce, which is not stored.
                bytes[12 + position % (bytes.count - 12)] ^= 1
            }
            do {
                _ = try await fixture.write([content], options: options)
            } catch let failure as Failure {
                if failure.message == "a frame does not read back as it was written" { caught += 1 }
            }
        }
        #expect(caught == tried, "caught \(caught) of \(tried)")
    }
}

/// Keeps what it is given, by token.
private final class CollectingReceiver: ChunkReceiver {
    private let state = Mutex<[Int: [UInt8]]>([:])
    var received: [Int: [UInt8]] { state.withLock { $0 } }

    func receive(_ bytes: UnsafeRawBufferPointer, token: Int) throws {
        state.withLock { $0[token] = Array(bytes) }
    }
    func failed(_ token: Int, _ error: any Error) {
        Issue.record("chunk \(token): \(error)")
    }
}
