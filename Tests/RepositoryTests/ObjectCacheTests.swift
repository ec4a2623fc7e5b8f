import Engine
import FoundationEssentials
import Glibc
import Model
import Repository
import RepositorySupport
import TestSupport
import Testing

/// What is kept near of a store that is far away.
@Suite struct ObjectCacheTests {
    /// A repository in a store whose calls are counted, and machines that share a cache.
    private struct World: Sendable {
        var upkeep: UpkeepWorld
        let counted: FaultyStore
        let directory: String

        init(in scratch: TemporaryDirectory) async throws {
            counted = FaultyStore(MemoryStore())
            upkeep = try await UpkeepWorld(counted)
            directory = scratch.path("cache")
            var random = SeededRandom.announced("object cache")
            // More chunks than a reference holds: the content has nodes.
            for night in 0..<3 { try await upkeep.save(random.bytes(3 << 20), night: night) }
        }

        /// What a machine sees that knows nothing but its cache.
        func machine(limit: UInt64 = 64 << 20) async throws -> UpkeepWorld {
            let cache = ObjectCache(in: directory, limit: ByteCount(limit))
            return try await upkeep.moved(to: CachingStore(counted, cache: cache))
        }

        /// Does what making a plan does: learns the packs, opens every record, follows it to its
        /// chunks. All of it must be right.
        func look(from machine: UpkeepWorld) async throws {
            let change = try await machine.repository.refresh(machine.index)
            #expect(change.unreadable.isEmpty && change.learned > 0)
            let snapshots = try await machine.repository.listSnapshots()
            #expect(snapshots == Set(upkeep.truth.keys))
            for id in snapshots {
                let record = try await machine.repository.snapshot(id)
                let truth = try await upkeep.repository.snapshot(id)
                #expect(record.id == id && record.asOf == truth.asOf)
                #expect(record.parts[0].content == truth.parts[0].content)
                #expect(try await machine.repository.isWhole(record, index: machine.index))
            }
        }

        /// How many objects a look fetches from the store, besides what the comparison fetches.
        func fetched(from machine: UpkeepWorld) async throws -> Int {
            let before = gets
            try await look(from: machine)
            return gets - before - upkeep.truth.count
        }

        private var gets: Int { counted.count(.get, "snapshots") + counted.count(.get, "packs") }

        var files: [String] {
            get async throws {
                try await OutsideProgram.run(["find", directory, "-type", "f"]).text
                    .split(separator: "\n").map(String.init).sorted()
            }
        }

        var bytes: UInt64 {
            get async throws {
                try await files.reduce(0) { $0 + (try FileSystem().size(of: $1) ?? 0) }
            }
        }
    }

    private func with(_ body: (World) async throws -> Void) async throws {
        try await TemporaryDirectory.with("cache") { scratch in
            try await body(try await World(in: scratch))
        }
    }

    @Test("A second look fetches nothing again, and still asks what there is")
    func secondLook() async throws {
        try await with { world in
            // Records, lists of packs, and nodes.
            #expect(try await world.fetched(from: world.machine()) >= 9)
            let lists = world.counted.count(.list)
            let machine = try await world.machine()
            #expect(try await world.fetched(from: machine) == 0)
            #expect(world.counted.count(.list) - lists >= 3)
            // Contents are not kept: they would push out the rest.
            let kept = try await world.bytes
            try await machine.expectWhole()
            #expect(try await world.bytes < kept + (1 << 20))
        }
    }

    @Test("Nothing is kept in clear, and nobody else reads it")
    func sealed() async throws {
        try await with { world in
            var world = world
            let secret = "a canary that sings in the dark"
            try await world.upkeep.save(Array(secret.utf8), "canary", night: 9)
            try await world.look(from: world.machine())
            let files = try await world.files
            #expect(!files.isEmpty)
            for path in files {
                let text = String(decoding: try FileSystem().read(path), as: UTF8.self)
                #expect(!text.contains("canary"))
                var status = stat()
                #expect(lstat(path, &status) == 0 && status.st_mode & 0o077 == 0)
            }
        }
    }

    @Test("The bound holds at every moment, and what is used stays")
    func bound() async throws {
        var random = SeededRandom.announced()
        let limit: UInt64 = 2 << 20
        try await TemporaryDirectory.with("cache") { scratch in
            let base = FaultyStore(MemoryStore())
            let cache = ObjectCache(in: scratch.path("cache"), limit: ByteCount(limit))
            let store = CachingStore(base, cache: cache)
            let favourite = ObjectKey("snapshots/favourite")
            try await base.put(favourite, [Data(random.bytes(5000))])
            _ = try await store.get(favourite, .whole, .kept)
            for number in 0..<150 {
                let key = ObjectKey("packs/\(number)")
                let data = Data(random.bytes(Int.random(in: 1...150_000, using: &random)))
                try await base.put(key, [data])
                #expect(try await store.get(key, .whole, .kept) == data)
                _ = try await store.get(favourite, .whole, .kept)
                let used = try await OutsideProgram.run(["du", "-sb", scratch.path("cache")]).text
                let bytes = UInt64(used.prefix { $0.isNumber }) ?? .max
                // Directories have a size too.
                #expect(bytes < limit + 257 * 4096, "\(number)")
            }
            #expect(base.count(.get, favourite.path) == 1)
            // What is larger than a share of it is not kept.
            let large = ObjectKey("packs/large")
            try await base.put(large, [Data(random.bytes(400_000))])
            for _ in 0..<2 { _ = try await store.get(large, .whole, .kept) }
            #expect(base.count(.get, large.path) == 2)
            // The one that was read last is there; the first one is long gone.
            _ = try await store.get(ObjectKey("packs/149"), .whole, .kept)
            _ = try await store.get(ObjectKey("packs/0"), .whole, .kept)
            #expect(base.count(.get, "packs/149") == 1 && base.count(.get, "packs/0") == 2)
        }
    }

    @Test("A cache that is damaged in any way does no harm, and heals")
    func damage() async throws {
        var random = SeededRandom.announced()
        try await with { world in
            try await world.look(from: world.machine())
            for way in 0..<5 {
                let files = try await world.files
                #expect(files.count >= 9)
                for (number, path) in files.enumerated() {
                    var bytes = try FileSystem().read(path)
                    switch way {
                    case 0: bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= 1
                    case 1:
                        bytes.removeLast(Int.random(in: 1...bytes.count, using: &random))
                    case 2: bytes = []
                    case 3: bytes = try FileSystem().read(files[(number + 1) % files.count])
                    default: bytes.append(0)
                    }
                    // Not in place: another one's bytes are read in their turn.
                    try FileSystem().writeDurably(bytes, to: path + ".new")
                }
                for path in files { try FileSystem().rename(path + ".new", to: path) }
                #expect(try await world.fetched(from: world.machine()) >= 9, "way \(way)")
                #expect(try await world.fetched(from: world.machine()) == 0, "way \(way)")
            }
            // A place where nothing can be kept.
            let blocked = world.directory + "/blocked"
            try FileSystem().writeDurably([1], to: blocked)
            let cache = ObjectCache(in: blocked, limit: ByteCount(64 << 20))
            try await world.look(
                from: try await world.upkeep.moved(
                    to: CachingStore(world.counted, cache: cache)))
        }
    }

    @Test("What came wrong from the store and was kept so is dropped when it does not open")
    func wrongOnItsWay() async throws {
        try await with { world in
            for prefix in ["snapshots", "packs"] {
                try await OutsideProgram.run(["rm", "-rf", world.directory])
                // Each of three twice in a row: what the second try gets is kept wrong, too. Of a pack
                // it is the end.
                world.counted.add(StoreRule(.flip(98_284), on: .get, prefix, times: 6))
                let machine = try await world.machine()
                _ = try? await machine.repository.refresh(machine.index)
                for id in world.upkeep.truth.keys { _ = try? await machine.repository.snapshot(id) }
                #expect(world.counted.faults % 6 == 0)
                world.counted.clear()
                try await world.look(from: world.machine())
                #expect(try await world.fetched(from: world.machine()) == 0, "\(prefix)")
            }
        }
    }

    @Test("A copy that is kept never hides a loss")
    func losses() async throws {
        try await with { world in
            try await world.look(from: world.machine())
            let store = world.counted
            // A record is damaged.
            let victim = try #require(world.upkeep.truth.keys.sorted().first)
            try await store.put(ObjectKey("snapshots/\(victim)"), [Data([1, 2, 3])])
            let stranger = try await world.upkeep.moved(to: store)
            let report = try await stranger.repository.check(index: stranger.index)
            #expect(report.findings.map(\.object) == ["snapshots/\(victim)"])

            // Everything is gone that the records refer to.
            for object in try await store.list("packs") { try await store.delete(object.key) }
            let machine = try await world.machine()
            #expect(try await machine.repository.refresh(machine.index).learned == 0)
            #expect(try await machine.repository.listPacks().isEmpty)
            for id in world.upkeep.truth.keys where id != victim {
                let record = try await machine.repository.snapshot(id)
                #expect(try await !machine.repository.isWhole(record, index: machine.index))
            }
            // Who removes one does not see it again.
            let other = try #require(world.upkeep.truth.keys.sorted().last)
            try await machine.repository.remove(other)
            await #expect(throws: ObjectMissing.self) {
                try await machine.repository.snapshot(other)
            }
        }
    }

    @Test("Several at once share a cache that is too small for any of them")
    func together() async throws {
        var random = SeededRandom.announced()
        let limit: UInt64 = 1 << 20
        try await TemporaryDirectory.with("cache") { scratch in
            let base = MemoryStore()
            var truth: [ObjectKey: Data] = [:]
            for number in 0..<40 {
                let data = Data(random.bytes(Int.random(in: 1...100_000, using: &random)))
                truth[ObjectKey("packs/\(number)")] = data
                try await base.put(ObjectKey("packs/\(number)"), [data])
            }
            let orders = (0..<4).map { _ in
                (0..<5).flatMap { _ in truth.shuffled(using: &random) }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for order in orders {
                    // As a process of its own has it.
                    let cache = ObjectCache(in: scratch.path("cache"), limit: ByteCount(limit))
                    let store = CachingStore(base, cache: cache)
                    group.addTask {
                        for (key, data) in order {
                            let found = try await store.get(key, .whole, .kept)
                            #expect(found == data)
                        }
                    }
                }
                try await group.waitForAll()
            }
            let files = try await OutsideProgram.run(["find", scratch.path("cache"), "-type", "f"])
                .text.split(separator: "\n").map(String.init)
            #expect(files.count > 5 && files.allSatisfy { !$0.hasSuffix(".tmp") })
            let bytes = try files.reduce(0) { $0 + (try FileSystem().size(of: $1) ?? 0) }
            #expect(bytes <= limit + limit / 8 * 3)
        }
    }
}
