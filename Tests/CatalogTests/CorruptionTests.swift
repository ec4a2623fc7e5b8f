import CLinux
import Catalog
import Engine
import Glibc
import Model
import TestSupport
import Testing

/// Bytes of the catalog that a disk has changed: it is right, or it is made again.
@Suite struct CorruptionTests {
    private let repository = RepositoryID.random()

    enum Damage: CaseIterable { case flip, cut, zeros }

    /// Damages a file at a place of its own.
    private func damage(
        _ path: String, _ kind: Damage, using random: inout SeededRandom
    ) throws -> String {
        let files = FileSystem()
        var bytes = try files.read(path)
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch kind {
        case .flip: bytes[place] ^= UInt8(1) << UInt8.random(in: 0...7, using: &random)
        case .cut: bytes.removeLast(bytes.count - place)
        case .zeros:
            for number in place..<min(place + 2048, bytes.count) { bytes[number] = 0 }
        }
        try files.writeDurably(bytes, to: path)
        return "\(kind) at \(place)"
    }

    @Test(arguments: Damage.allCases)
    func aCatalogIsNeverWrong(_ kind: Damage) async throws {
        var random = SeededRandom.announced()
        try await TemporaryDirectory.with("catalog") { scratch in
            let truth = (0..<30).map { Samples.snapshot(at: Int64($0)) }
            let heads = [ChainHead(writer: .random(), sequence: 7, hash: .random())]
            var writer: WriterID?
            do {
                let catalog = try await Catalog.open(
                    at: scratch.path("good"), repository: repository)
                try await catalog.record(snapshots: truth)
                try await catalog.remember(chainHeads: heads)
                let pinned = MarkedSnapshot(
                    snapshot: truth[3].id, mark: .pinned, reason: "x", at: Samples.moment)
                try await catalog.replace(marks: [pinned], read: [:])
                writer = try await catalog.writer()
            }
            try Database(scratch.path("good/catalog.sqlite")).checkpoint()
            var noticed = 0
            for number in 0..<50 {
                let directory = scratch.path("bad\(number)")
                try scratch.makeDirectory("bad\(number)")
                try await OutsideProgram.run(
                    ["cp", scratch.path("good/catalog.sqlite"), directory])
                let what = try damage(directory + "/catalog.sqlite", kind, using: &random)
                let catalog = try await Catalog.open(at: directory, repository: repository)
                if case .replacedDamaged = catalog.origin {
                    noticed += 1
                    continue
                }
                // A file that is cut off at its beginning is an empty one.
                if catalog.origin == .created { continue }
                #expect(
                    try await catalog.snapshots().map(\.id) == truth.map(\.id).reversed(), "\(what)"
                )
                for (found, record) in zip(try await catalog.snapshots(), truth.reversed()) {
                    #expect(
                        try StableJSON.encode(found) == StableJSON.encode(record), "\(what)")
                }
                #expect(
                    try await catalog.snapshots(SnapshotFilter(services: ["umami"])).count == 30,
                    "\(what)")
                #expect(try await catalog.chainHeads() == heads, "\(what)")
                #expect(try await catalog.snapshots(marked: .pinned) == [truth[3].id], "\(what)")
                #expect(try await catalog.writer() == writer, "\(what)")
                try await OutsideProgram.run(["rm", "-rf", directory])
            }
            print("\(kind): \(noticed) of 50 noticed, the others did no harm")
        }
    }

    @Test(arguments: Damage.allCases)
    func aChunkTableIsNeverWrong(_ kind: Damage) async throws {
        var random = SeededRandom.announced()
        try await TemporaryDirectory.with("chunks") { scratch in
            let good = scratch.path("good.sqlite")
            var packs: [PackContents] = []
            do {
                let table = try ChunkTable(at: good)
                for _ in 0..<8 {
                    let pack = Self.pack(using: &random)
                    packs.append(pack)
                    try table.record(pack)
                }
                // Some come and go, so that pages are used again.
                try table.remove([packs[2].pack])
                packs.remove(at: 2)
                #expect(try table.verify())
            }
            try Database(good).checkpoint()
            var noticed = 0
            for number in 0..<50 {
                let path = scratch.path("bad\(number).sqlite")
                try await OutsideProgram.run(["cp", good, path])
                let what = try damage(path, kind, using: &random)
                let table = try ChunkTable(at: path)
                let known = try table.packs()
                if known.isEmpty {
                    noticed += 1
                    // It can be filled again.
                    for pack in packs { try table.record(pack) }
                }
                #expect(try table.packs().count == packs.count, "\(what)")
                for pack in packs {
                    let places = try table.locate(pack.chunks.map(\.id))
                    let isRight = zip(places, pack.chunks).allSatisfy { place, chunk in
                        place?.pack == pack.pack && place?.offset == chunk.offset
                            && place?.frame == pack.frames[Int(chunk.frame)]
                    }
                    #expect(isRight, "\(what)")
                }
                #expect(try table.verify())
                try await OutsideProgram.run(["rm", "-f", path])
            }
            print("\(kind): \(noticed) of 50 noticed, the others did no harm")
        }
    }

    /// What one flipped bit in a row's header does: the same bytes, and no search finds them.
    @Test(arguments: [
        "UPDATE chunks SET id = CAST(id AS TEXT) WHERE id = (SELECT min(id) FROM chunks)",
        "UPDATE packs SET id = CAST(id AS TEXT) WHERE number = (SELECT min(number) FROM packs)",
    ])
    func anIdOfAnotherTypeIsNoticed(_ change: String) async throws {
        var random = SeededRandom.announced()
        try await TemporaryDirectory.with("chunks") { scratch in
            let path = scratch.path("chunks.sqlite")
            let table = try ChunkTable(at: path)
            try table.record(Self.pack(using: &random))
            #expect(try table.verify())
            let outcome = try await OutsideProgram.run(["sqlite3", path, change])
            #expect(outcome.status == 0, "\(outcome)")
            #expect(try !table.verify())
        }
    }

    private static func pack(using random: inout SeededRandom) -> PackContents {
        let frames = (0..<4).map {
            FrameLocation(
                number: UInt32($0), offset: 16 + UInt64($0) * 1000, storedLength: 900,
                plainLength: 64000, encoding: 1)
        }
        let chunks = (0..<200).map {
            PackContents.Entry(
                id: .random(), frame: UInt32($0 / 50), offset: UInt32($0 % 50) * 1000, length: 1000)
        }
        return PackContents(
            pack: .random(), size: UInt64.random(in: 5000...9000, using: &random), epoch: 1,
            frames: frames, chunks: chunks)
    }

    @Test func aChunkKeepsItsOtherPlaceWhenAPackGoes() throws {
        var random = SeededRandom.announced()
        let scratch = try TemporaryDirectory("chunks")
        let table = try ChunkTable(at: scratch.path("chunks.sqlite"))
        let first = Self.pack(using: &random)
        var second = first
        second.pack = .random()
        try table.record(first)
        let generation = try table.generation()
        try table.record(second)
        let id = first.chunks[7].id
        #expect(try table.locate([id])[0]?.pack == second.pack, "the newest")
        #expect(try table.generation() == generation)
        let usage = try table.usage { _ in true }
        #expect(usage[first.pack]?.live == 0 && usage[second.pack]?.live == 200)
        try table.remove([second.pack])
        #expect(try table.locate([id])[0]?.pack == first.pack)
        #expect(try table.generation() != generation && table.verify())
        try table.remove([first.pack])
        #expect(try table.locate([id])[0] == nil && table.verify())
    }
}
