import Crypto
import Engine
import FoundationEssentials
import Model
import Repository
import TestSupport
import Testing

/// dr's own code against the vectors of FORMAT.md, which another implementation computed.
@Suite struct FormatVectorTests {
    private let vectors: FormatVectors
    private let secrets: MasterSecrets

    init() throws {
        vectors = try FormatVectors.load()
        func key(_ hex: Hex) -> SymmetricKey { SymmetricKey(data: hex.bytes) }
        let given = vectors.secrets
        secrets = MasterSecrets(
            repository: given.repository, naming: key(given.naming), chunker: key(given.chunker),
            records: key(given.records),
            dataKeys: Dictionary(
                uniqueKeysWithValues: given.dataKeys.map { (UInt32($0) ?? 0, key($1)) }))
    }

    @Test(.enabled(if: PythonReader.isThere, "needs python3 with cryptography and zstandard"))
    func theVectorsAreWhatTheDocumentSays() async throws {
        let computed = try await PythonReader.run("scripts/format-vectors")
        #expect(computed.status == 0, "\(computed.errorText)")
        let kept = try Data(contentsOf: URL(filePath: Checkout.path(FormatVectors.file)))
        #expect(computed.output == Array(kept), "docs/format-vectors.json is another")
    }

    @Test func secretsAndSlots() throws {
        #expect(secrets.encoded() == vectors.secrets.encoded.bytes)
        #expect(
            try MasterSecrets(decoding: vectors.secrets.encoded.bytes).encoded()
                == secrets.encoded())
        #expect(vectors.slots.count == 2)
        for vector in vectors.slots {
            let slot = vector.slot
            let opened = try #require(try slot.unwrap(with: vector.credential))
            #expect(opened.secrets.encoded() == secrets.encoded())
            #expect(try slot.unwrap(with: .key([1])) == nil || slot.kind == "password")
            let nonce = try AES.GCM.Nonce(
                data: (Hexadecimal.decode(slot.sealed) ?? []).prefix(12))
            let made = try KeySlot.wrap(
                secrets, under: vector.credential, label: slot.label, created: slot.created,
                cost: slot.scrypt?.n ?? 2, id: slot.id,
                salt: Hexadecimal.decode(slot.scrypt?.salt ?? "") ?? [], nonce: nonce)
            #expect(made.sealed == slot.sealed)
        }
    }

    @Test func gearTableAndCuts() {
        let table = GearTable(secret: secrets.chunker)
        let words = (0..<256).map { table.word(UInt8($0)) }
        #expect(
            words.prefix(4).map { Hexadecimal.encode(bigEndian($0)) } == vectors.gear.firstWords)
        let bytes = words.flatMap { bigEndian($0).reversed() }
        #expect(Array(SHA256.hash(data: bytes)) == vectors.gear.sha256.bytes)
        let cutter = ContentCutter(table: table)
        for vector in vectors.cuts {
            var random = SeededRandom(seed: vector.seed)
            let content =
                vector.content == "zeros"
                ? [UInt8](repeating: 0, count: vector.length) : random.bytes(vector.length)
            #expect(lengths(content, cutter) == vector.chunks)
        }
    }

    private func bigEndian(_ word: UInt64) -> [UInt8] {
        withUnsafeBytes(of: word.bigEndian) { Array($0) }
    }

    private func lengths(_ bytes: [UInt8], _ cutter: ContentCutter) -> [Int] {
        var lengths: [Int] = []
        bytes.withUnsafeBytes { whole in
            var start = 0
            while start < whole.count {
                lengths.append(
                    cutter.cut(UnsafeRawBufferPointer(rebasing: whole[start...])))
                start += lengths[lengths.count - 1]
            }
        }
        return lengths
    }

    @Test func chunkNames() throws {
        let namer = ChunkNamer(secret: secrets.naming)
        #expect(vectors.chunkNames.count == 10)
        for vector in vectors.chunkNames {
            let role = try #require(ChunkRole(rawValue: vector.role))
            let name = vector.plaintext.bytes.withUnsafeBytes { namer.name($0, role: role) }
            #expect(name == vector.name)
        }
    }

    @Test func numbersNodesAndPaddedSizes() throws {
        for vector in vectors.numbers {
            let value = try #require(UInt64(vector.value))
            var writer = ByteWriter()
            writer.appendVariable(value)
            #expect(writer.bytes == vector.bytes.bytes)
            var reader = ByteReader(writer.bytes[...], in: "vector")
            #expect(try reader.readVariable() == value && reader.isAtEnd)
        }
        for vector in vectors.nodes {
            let references = vector.references
            #expect(
                NodeFormat.encode(references[...], depth: vector.depth) == vector.bytes.bytes)
            #expect(
                try NodeFormat.decode(vector.bytes.bytes[...], depth: vector.depth, object: "node")
                    == references)
        }
        for pair in vectors.padded { #expect(PackLayout.padded(pair[0]) == pair[1]) }
    }

    /// As the vectors number them.
    private func reference(_ number: Int, zerosEvery: Int) -> ChunkReference {
        if zerosEvery > 0, number % zerosEvery == zerosEvery - 1 {
            return .zeros(4096 * UInt64(number + 1))
        }
        let name = SHA256.hash(data: Array("dr format 1: reference \(number)".utf8))
        return ChunkReference(
            id: name.withUnsafeBytes { ChunkID($0) }, length: UInt64(number % 262_144 + 1))
    }

    @Test(arguments: [false, true]) func referenceTrees(shorteningMeanwhile: Bool) {
        let namer = ChunkNamer(secret: secrets.naming)
        for vector in vectors.referenceTrees {
            var builder = ReferenceTreeBuilder()
            // Levels come interleaved when they are cut meanwhile: each is kept by itself.
            var nodes: [[UInt8]] = Array(repeating: [], count: 8)
            var count = 0
            func emit(_ node: [UInt8]) -> ChunkReference {
                nodes[Int(node[1])] += node
                count += 1
                return ChunkReference(
                    id: node.withUnsafeBytes { namer.name($0, role: .node) },
                    length: UInt64(node.count))
            }
            for number in 0..<vector.count {
                let next = reference(number, zerosEvery: vector.zerosEvery)
                if next.isZeros {
                    builder.appendZeros(next.length)
                } else {
                    builder.append(next)
                }
                if shorteningMeanwhile { builder.shorten(emit: emit) }
            }
            let content = builder.finish(emit: emit)
            #expect(content.length == vector.length && content.depth == vector.depth)
            #expect(content.references == vector.references && count == vector.nodes)
            let all = nodes.flatMap { $0 }
            #expect(Array(SHA256.hash(data: all)) == vector.sha256OfNodes.bytes)
        }
    }

    @Test func aRecord() throws {
        let vector = vectors.record
        let name = ObjectKey(vector.name)
        let sealed = try SealedRecord.seal(
            compressed: vector.compressed.bytes, salt: vector.salt.bytes, as: name, with: secrets)
        #expect(Array(sealed) == vector.sealed.bytes)
        #expect(
            try SealedRecord.open(sealed, as: name, with: secrets) == Array(vector.plaintext.utf8))
        #expect(throws: FormatError.self) {
            try SealedRecord.open(sealed, as: ObjectKey("sessions/" + name.name), with: secrets)
        }
    }

    @Test func aPackIsSealedByteForByte() throws {
        let vector = vectors.pack
        let layout = try #require(
            PackLayout(pack: vector.name, epoch: vector.epoch, secrets: secrets))
        var frames: [FrameLocation] = []
        var chunks: [PackContents.Entry] = []
        var middle = Data()
        for (number, frame) in vector.frames.enumerated() {
            let sealed = try frame.payload.bytes.withUnsafeBytes {
                try layout.sealFrame(UInt32(number), $0)
            }.dropFirst(12)
            var position: UInt32 = 0
            for chunk in frame.chunks {
                chunks.append(
                    .init(
                        id: chunk.name, frame: UInt32(number), offset: position,
                        length: chunk.length))
                position += chunk.length
            }
            frames.append(
                FrameLocation(
                    number: UInt32(number), offset: UInt64(16 + middle.count),
                    storedLength: UInt32(sealed.count), plainLength: position,
                    encoding: frame.encoding))
            middle += sealed
        }
        let envelope = try layout.envelope(frames: frames, chunks: chunks)
        #expect(Array(envelope.header + middle + envelope.rest) == vector.bytes.bytes)
        #expect(envelope.size == UInt64(vector.bytes.bytes.count))
    }

    /// The slot and the pack of the vectors as a repository, opened and read as any other.
    @Test func aRepositoryOfVectorsIsRead() async throws {
        let store = MemoryStore()
        let config =
            #"{"format":1,"features":[],"created":"2026-11-22T03:00:00Z","repository":""#
            + "\(vectors.secrets.repository)\"}"
        try await store.put(ObjectKey("config"), [Data(config.utf8)])
        for vector in vectors.slots {
            try await store.put(vector.slot.objectKey, [try JSONEncoder().encode(vector.slot)])
        }
        let pack = vectors.pack
        try await store.put(PackLayout.objectKey(pack.name), [Data(pack.bytes.bytes)])
        for vector in vectors.slots {
            let repository = try await BackupRepository.open(
                in: store, credential: vector.credential)
            let index = MemoryChunkIndex()
            let change = try await repository.refresh(index)
            #expect(change.learned == 1 && change.unreadable.isEmpty)
            let report = try await repository.check(
                index: index, options: CheckOptions(readData: true))
            #expect(report.findings.isEmpty && report.packsRead == 1)
            let chunks = pack.frames.flatMap(\.chunks)
            let found = try await BlockingPool.shared.run {
                let reader = repository.makeReader(index: index)
                return try chunks.map { chunk in
                    let reference = ChunkReference(id: chunk.name, length: UInt64(chunk.length))
                    var bytes: [UInt8] = []
                    // The third is the node.
                    let role: ChunkReader.Role = chunk.name == chunks[2].name ? .node : .data
                    try reader.read([reference], role: role) { plain, _ in bytes = Array(plain) }
                    return bytes
                }
            }
            #expect(found[0] == Array("hello, repository".utf8))
            #expect(found[3] == [UInt8](repeating: 0, count: 60000))
        }
    }

    @Test func aTree() throws {
        let entries = vectors.tree.entries.map(\.entry)
        var encoder = TreeEncoder()
        for entry in entries { encoder.append(entry) }
        var bytes: [UInt8] = []
        encoder.flush { bytes = Array($0) }
        #expect(bytes == vectors.tree.bytes.bytes)
        var decoder = TreeDecoder(object: "a tree")
        bytes.withUnsafeBytes { decoder.feed($0) }
        var decoded: [TreeEntry] = []
        while let entry = try decoder.next() { decoded.append(entry) }
        try decoder.finish()
        #expect(decoded == entries)
    }
}
