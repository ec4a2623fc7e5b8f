import Crypto
import Engine
import FoundationEssentials
import Model
import Repository
import TestSupport
import Testing

/// Decoders on bytes that no writer made: they decode or throw `FormatError`, and take no more
/// memory than the bytes account for. Whatever traps ends the whole test program.
@Suite struct CodecFuzzTests {
    private static let rounds = TestEnvironment.isFull ? 1_000_000 : 30_000

    /// Decodes spoiled copies of `good` and prints how many were refused; the rest decoded.
    private func fuzz(
        _ good: [[UInt8]], rounds: Int = rounds, _ name: String = #function,
        _ decode: ([UInt8]) throws -> Void
    ) {
        var mutation = Mutation(random: SeededRandom.announced(name))
        var refused = 0
        for _ in 0..<rounds {
            let number = Int.random(in: good.indices, using: &mutation.random)
            let bytes = mutation.spoiled(good[number])
            do {
                try decode(bytes)
            } catch is FormatError {
                refused += 1
            } catch {
                Issue.record("\(error) is no FormatError, of \(Hexadecimal.encode(bytes))")
            }
        }
        print("\(name): \(refused) of \(rounds) spoiled inputs refused")
        #expect(refused > rounds / 20 && refused <= rounds)
    }

    // MARK: Numbers

    @Test func everyNumberComesBack() throws {
        var random = SeededRandom.announced()
        var wrong: [UInt64] = []
        for _ in 0..<20_000 {
            // Of every length, not only of ten bytes.
            let bits = UInt64.random(in: 0..<64, using: &random)
            let value = UInt64.random(in: 0 ... .max, using: &random) >> bits
            var writer = ByteWriter()
            writer.appendVariable(value)
            var reader = ByteReader(writer.bytes[...], in: "number")
            let isShort = writer.bytes.count == max(1, (64 - value.leadingZeroBitCount + 6) / 7)
            let comesBack = try reader.readVariable() == value && reader.isAtEnd
            // Cut short it is no number at all.
            let isWhole = writer.bytes.indices.allSatisfy { end in
                var cut = ByteReader(writer.bytes[..<end], in: "number")
                return (try? cut.readVariable()) == nil
            }
            if !isShort || !comesBack || !isWhole { wrong.append(value) }
        }
        #expect(wrong.isEmpty)
    }

    @Test(arguments: [
        [UInt8](repeating: 0xFF, count: 10), [UInt8](repeating: 0x80, count: 9) + [2],
        [UInt8](repeating: 0x80, count: 64), [UInt8](repeating: 0xFF, count: 9) + [0x81, 0],
    ])
    func numbersOfMoreThan64BitsAreRefused(_ bytes: [UInt8]) {
        var reader = ByteReader(bytes[...], in: "number")
        #expect(throws: FormatError.self) { try reader.readVariable() }
    }

    // MARK: Nodes and trees

    private func references(_ count: Int, using random: inout SeededRandom) -> [ChunkReference] {
        (0..<count).map { _ in
            if Int.random(in: 0..<5, using: &random) == 0 {
                return .zeros(.random(in: 1...(1 << 62), using: &random))
            }
            return ChunkReference(id: .random(), length: .random(in: 1...262_144, using: &random))
        }
    }

    @Test func spoiledNodes() {
        var random = SeededRandom(seed: 1)
        let good = (1...20).map {
            NodeFormat.encode(references($0, using: &random)[...], depth: 0)
        }
        fuzz(good) { bytes in
            let decoded = try NodeFormat.decode(bytes[...], depth: 0, object: "node")
            #expect(decoded.allSatisfy { $0.isPlausible })
            #expect(NodeFormat.encode(decoded[...], depth: 0).count <= bytes.count)
        }
    }

    private func entries(using random: inout SeededRandom) -> [TreeEntry] {
        var entries = [TreeEntry(path: [], type: .directory)]
        for name in ["a", "a/b", "a/b/c", "b", "c", "dd", "dd/e", "f"] {
            let number = Int.random(in: EntryType.allCases.indices, using: &random)
            var entry = TreeEntry(path: Array(name.utf8), type: EntryType.allCases[number])
            entry.mode = .random(in: 0...0o7777, using: &random)
            entry.userID = Bool.random(using: &random) ? .max : 1000
            entry.modified = Timestamp(nanoseconds: .random(in: .min ... .max, using: &random))
            entry.inode = .random(in: 0 ... .max, using: &random)
            switch entry.type {
            case .file:
                let count = Int.random(in: 0...4, using: &random)
                entry.content = ContentReference(
                    length: .random(in: 0...(1 << 62), using: &random), depth: 0,
                    references: references(count, using: &random))
                entry.size = entry.content.length
                if Bool.random(using: &random) { entry.hardLink = Array("a".utf8) }
            case .symlink: entry.linkTarget = Array("../x".utf8)
            case .characterDevice, .blockDevice: entry.deviceNumber = (1, 300)
            case .directory, .fifo: break
            }
            if Bool.random(using: &random) {
                entry.attributes = [
                    ExtendedAttribute(name: Array("user.a".utf8), value: random.bytes(30))
                ]
            }
            entries.append(entry)
        }
        return entries
    }

    private func encoded(_ entries: [TreeEntry]) -> [UInt8] {
        var encoder = TreeEncoder()
        for entry in entries { encoder.append(entry) }
        var bytes: [UInt8] = []
        encoder.flush { bytes = Array($0) }
        return bytes
    }

    @Test func spoiledTrees() {
        var random = SeededRandom(seed: 2)
        let good = (0..<50).map { _ in encoded(entries(using: &random)) }
        var slices = SeededRandom(seed: 3)
        fuzz(good) { bytes in
            var decoder = TreeDecoder(object: "a tree")
            var previous: [UInt8]?
            var start = 0
            while start < bytes.count {
                let end = min(start + Int.random(in: 1...400, using: &slices), bytes.count)
                bytes[start..<end].withUnsafeBytes { decoder.feed($0) }
                start = end
                while let entry = try decoder.next() {
                    // What comes out can be restored: in order, below the root, of sane sizes.
                    if let previous {
                        #expect(TreeOrder.precedes(previous, entry.path))
                        let components = entry.path.split(
                            separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
                        #expect(
                            components.allSatisfy {
                                !$0.isEmpty && !$0.contains(0) && Array($0) != [46]
                                    && Array($0) != [46, 46]
                            })
                    }
                    previous = entry.path
                    #expect(
                        entry.mode <= 0o7777
                            && entry.content.references.allSatisfy { $0.isPlausible }
                            && entry.content.length <= ContentReference.maximumLength)
                }
            }
            try decoder.finish()
        }
    }

    /// An entry that says that it goes on for ever is refused after 16 MiB, not at the end of the list.
    @Test func anEndlessEntryIsRefused() {
        var bytes = encoded([TreeEntry(path: [], type: .directory)])
        // A symbolic link whose target claims to have 2^40 bytes.
        bytes += [3, 0, 1, 97, 0, 0, 0] + [UInt8](repeating: 0, count: 16) + [0, 0]
        var writer = ByteWriter()
        writer.appendVariable(1 << 40)
        bytes += writer.bytes
        var decoder = TreeDecoder(object: "a tree")
        var fed = 0
        let block = [UInt8](repeating: 97, count: 1 << 20)
        #expect(throws: FormatError.self) {
            bytes.withUnsafeBytes { decoder.feed($0) }
            while try decoder.next() != nil {}
            for _ in 0..<64 {
                block.withUnsafeBytes { decoder.feed($0) }
                fed += block.count
                while try decoder.next() != nil {}
            }
        }
        #expect(fed <= TreeDecoder.largestEntry + (1 << 20))
    }

    // MARK: Packs and keys

    private struct Sealing {
        var secrets: MasterSecrets
        var pack = PackID.random()
        var layout: PackLayout

        init() throws {
            secrets = MasterSecrets.generate(for: .random())
            layout = try #require(PackLayout(pack: pack, epoch: 1, secrets: secrets))
        }

        /// Any bytes, sealed as a pack's trailer or footer are.
        func seal(_ bytes: [UInt8], as label: String, nonce number: UInt64) throws -> Data {
            let dataKey = secrets.encoded().suffix(32)
            let key = HKDF<SHA256>.deriveKey(
                inputKeyMaterial: SymmetricKey(data: dataKey), salt: pack.bytes,
                info: Array("dr pack 1".utf8), outputByteCount: 32)
            let nonce = try AES.GCM.Nonce(
                data: [0, 0, 0, 0] + withUnsafeBytes(of: number.bigEndian) { Array($0) })
            let box = try AES.GCM.seal(
                bytes, using: key, nonce: nonce,
                authenticating: Array(label.utf8) + secrets.repository.bytes + pack.bytes)
            return box.ciphertext + box.tag
        }
    }

    private func trailer(_ frames: [[UInt32]], using random: inout SeededRandom) -> [UInt8] {
        var writer = ByteWriter()
        writer.append(UInt8(1))
        writer.append(UInt32(frames.count))
        writer.append(UInt32(frames.reduce(0) { $0 + $1.count }))
        for chunks in frames {
            let plain = chunks.reduce(0, +)
            writer.append(plain + 16)
            writer.append(plain)
            writer.append(UInt8(0))
        }
        for (number, chunks) in frames.enumerated() {
            for length in chunks {
                writer.append(random.bytes(32))
                writer.append(UInt32(number))
                writer.append(length)
            }
        }
        return writer.bytes
    }

    @Test func spoiledTrailers() throws {
        var random = SeededRandom(seed: 4)
        let sealing = try Sealing()
        let good = (0..<20).map { _ in
            trailer(
                (0..<Int.random(in: 1...4, using: &random)).map { _ in
                    (0..<Int.random(in: 1...5, using: &random)).map { _ in
                        UInt32.random(in: 1...262_144, using: &random)
                    }
                }, using: &random)
        }
        for bytes in good {
            let sealed = try sealing.seal(bytes, as: "dr trailer 1", nonce: .max)
            #expect(throws: Never.self) {
                try sealing.layout.contents(trailer: sealed, size: 32 << 20)
            }
        }
        fuzz(good, rounds: Self.rounds / 3) { bytes in
            let sealed = try sealing.seal(bytes, as: "dr trailer 1", nonce: .max)
            let contents = try sealing.layout.contents(trailer: sealed, size: 32 << 20)
            for chunk in contents.chunks {
                let frame = contents.frames[Int(chunk.frame)]
                #expect(chunk.length >= 1 && chunk.length <= 262_144)
                #expect(UInt64(chunk.offset) + UInt64(chunk.length) <= UInt64(frame.plainLength))
            }
            #expect(
                contents.frames.allSatisfy { $0.offset + UInt64($0.storedLength) <= 32 << 20 })
        }
    }

    @Test func spoiledFooters() throws {
        let sealing = try Sealing()
        var writer = ByteWriter()
        writer.append(UInt64(900))
        writer.append(UInt64(52))
        let good = writer.bytes
        fuzz([good], rounds: Self.rounds / 3) { bytes in
            let footer = try sealing.seal(
                Array((bytes + [UInt8](repeating: 255, count: 16)).prefix(16)), as: "dr footer 1",
                nonce: .max - 1)
            let tail = footer + Data(repeating: 0, count: 16)
            let place = try sealing.layout.trailerPlace(tail: tail, size: 1000)
            // Another place that fits has no trailer's seal in it; one that does not fit is refused.
            #expect(place.offset >= 16 && place.offset + UInt64(place.length) == 952)
        }
        let footer = try sealing.seal(good, as: "dr footer 1", nonce: .max - 1)
        for size: UInt64 in [0, 48, 63, 64, 999, 1001, 1 << 40, .max] {
            #expect(throws: FormatError.self) {
                try sealing.layout.trailerPlace(
                    tail: footer + Data(repeating: 0, count: 16), size: size)
            }
        }
    }

    @Test func spoiledSecrets() {
        var secrets = MasterSecrets.generate(for: .random())
        secrets.add(dataKey: SymmetricKey(size: .bits256), epoch: 70_000)
        fuzz([secrets.encoded()], rounds: Self.rounds / 3) { bytes in
            _ = try MasterSecrets(decoding: bytes).encoded()
        }
    }

    @Test func spoiledRecordsDoNotDecompressInto() throws {
        let secrets = MasterSecrets.generate(for: .random())
        let key = ObjectKey("snapshots/x")
        let good = try SealedRecord.seal(Array("{}".utf8), as: key, with: secrets)
        #expect(try SealedRecord.open(good, as: key, with: secrets) == Array("{}".utf8))
        // One zstd frame that says that it holds 2^40 bytes, of which it has none.
        let bomb: [UInt8] =
            [0x28, 0xB5, 0x2F, 0xFD, 0xE0] + [0, 0, 0, 0, 0, 1, 0, 0] + [1, 0, 0]
        // And one that does not say its size.
        let silent: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x58, 0x01, 0x00, 0x00]
        for compressed in [bomb, silent, [], Array("no zstd".utf8)] {
            let sealed = try SealedRecord.seal(
                compressed: compressed, salt: [UInt8](repeating: 1, count: 32), as: key,
                with: secrets)
            #expect(throws: FormatError.self) {
                try SealedRecord.open(sealed, as: key, with: secrets)
            }
        }
    }
}
