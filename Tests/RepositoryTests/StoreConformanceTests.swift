import Engine
import FoundationEssentials
import Model
import Repository
import RepositorySupport
import Synchronization
import TestSupport
import Testing

/// How far a writer and its readers have come.
private final class Progress: Sendable {
    let isDone = Atomic<Bool>(false)
    let seen = Atomic<Int>(0)
}

/// Every promise of ``ObjectStore``, over every store.
@Suite struct StoreConformanceTests {
    private static let key = ObjectKey("packs/3f/3f00")

    private func failure(_ body: () async throws -> Void) async -> (any Error)? {
        do {
            try await body()
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: StoreKind.allCases)
    func whatWasPutComesBack(_ kind: StoreKind) async throws {
        var random = SeededRandom.announced()
        let parts = [1, 0, 70_000, 3, 1 << 20].map { Data(random.bytes($0)) }
        try await kind.with { store in
            try await store.put(Self.key, parts)
            let whole = parts.reduce(into: Data()) { $0.append($1) }
            #expect(try await store.get(Self.key, .whole) == whole)
            #expect(try await store.size(Self.key) == UInt64(whole.count))
            // Slices of a buffer do not begin at 0.
            let slice = whole.dropFirst(5).prefix(100)
            try await store.put(ObjectKey("slice"), [slice, slice])
            #expect(try await store.get(ObjectKey("slice"), .whole) == Data(slice) + Data(slice))
            for empty in [[], [Data()], [Data(), Data()]] {
                try await store.put(ObjectKey("empty"), empty)
                #expect(try await store.get(ObjectKey("empty"), .whole).isEmpty)
                #expect(try await store.size(ObjectKey("empty")) == 0)
            }
        }
    }

    @Test(arguments: StoreKind.allCases)
    func rangesEndWithTheObject(_ kind: StoreKind) async throws {
        let bytes = Data((0..<200).map { UInt8($0) })
        try await kind.with { store in
            try await store.put(Self.key, [bytes])
            try await store.put(ObjectKey("empty"), [])
            let cases: [(ObjectRange, Range<Int>)] = [
                (.whole, 0..<200),
                (.bytes(offset: 0, length: 200), 0..<200),
                (.bytes(offset: 0, length: 1), 0..<1),
                (.bytes(offset: 17, length: 30), 17..<47),
                (.bytes(offset: 199, length: 1), 199..<200),
                (.bytes(offset: 150, length: 1000), 150..<200),
                (.bytes(offset: 150, length: .max), 150..<200),
                (.bytes(offset: 0, length: 0), 0..<0),
                (.bytes(offset: 50, length: 0), 0..<0),
                (.bytes(offset: 200, length: 1), 0..<0),
                (.bytes(offset: 201, length: 10), 0..<0),
                (.bytes(offset: .max, length: 10), 0..<0),
                (.bytes(offset: UInt64(Int.max) + 5, length: .max), 0..<0),
                (.suffix(0), 0..<0),
                (.suffix(1), 199..<200),
                (.suffix(200), 0..<200),
                (.suffix(201), 0..<200),
                (.suffix(.max), 0..<200),
            ]
            for (range, expected) in cases {
                let found = try await store.get(Self.key, range)
                #expect(found == Data(bytes[expected]), "\(range)")
                #expect(try await store.get(ObjectKey("empty"), range).isEmpty, "\(range) of none")
            }
        }
    }

    @Test(arguments: StoreKind.allCases)
    func whatIsNotThereIsMissing(_ kind: StoreKind) async throws {
        try await kind.with { store in
            func expectMissing(_ path: String) async throws {
                let key = ObjectKey(path)
                #expect(try await store.size(key) == nil, "\(path)")
                for range in [ObjectRange.whole, .bytes(offset: 0, length: 0), .suffix(4)] {
                    let error = await failure { _ = try await store.get(key, range) }
                    #expect(error as? ObjectMissing == ObjectMissing(key), "\(path) \(range)")
                }
                try await store.delete(key)
            }
            // Even before there is anything at all.
            try await expectMissing("config")
            try await expectMissing("packs/3f/3f00")
            #expect(try await store.list("").isEmpty)
            #expect(try await store.list("packs").isEmpty)
            try await store.put(Self.key, [Data([1])])
            // What an object's name begins with is no object, nor is what begins with its name.
            for path in ["packs", "packs/3f", "packs/3f/3f", "packs/3f/3f00/x", "packs/3f/3f01"] {
                try await expectMissing(path)
            }
            #expect(try await store.get(Self.key, .whole) == Data([1]))
            try await store.delete(Self.key)
            try await expectMissing(Self.key.path)
            #expect(try await store.list("").isEmpty)
        }
    }

    @Test func oddNamesAreRefused() {
        for path in [
            "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", ".hidden", "a/.b",
            "A", "packs/3F", "a b", "a\nb", "a\0", "ü", "a\\b", "a*", "~", "a:b", "a.tmp",
            "a.tmp/b", "packs/3f/3f00.1234.tmp",
        ] {
            #expect(ObjectKey(validating: path) == nil, "\(path)")
        }
        for path in ["config", "a", "0", "a-b_c.d", "packs/3f/3f00", "a.tmpx", "tmp", "-", "_"] {
            #expect(ObjectKey(validating: path)?.path == path)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func listingsAreByWholeComponents(_ kind: StoreKind) async throws {
        try await kind.with { store in
            let paths = [
                "config", "keys/aa", "packs/00/0011", "packs/00/0012", "packs/ff/ff00",
                "packs-old/1", "writers/aa/000000000001", "writers/ab/000000000001",
            ].sorted()
            let before = try await store.now()
            for (number, path) in paths.enumerated() {
                try await store.put(ObjectKey(path), [Data(count: number)])
            }
            let after = try await store.now()
            func names(_ prefix: String) async throws -> [String] {
                try await store.list(prefix).map(\.key.path).sorted()
            }
            #expect(try await names("") == paths)
            #expect(
                try await names("packs") == ["packs/00/0011", "packs/00/0012", "packs/ff/ff00"])
            #expect(try await names("packs/00") == ["packs/00/0011", "packs/00/0012"])
            #expect(try await names("writers/aa") == ["writers/aa/000000000001"])
            for none in ["pack", "packs/0", "packs/00/001", "key", "snapshots"] {
                #expect(try await names(none).isEmpty, "\(none)")
            }
            // Clocks of file systems tick a few times in a hundredth of a second.
            let slack = TimeSpan(seconds: 1)
            for object in try await store.list("") {
                #expect(object.size == paths.firstIndex(of: object.key.path).map { UInt64($0) })
                #expect(object.stored + slack >= before && after + slack >= object.stored)
            }
        }
    }

    @Test(arguments: StoreKind.allCases)
    func aListingShowsEveryPutThatHasReturned(_ kind: StoreKind) async throws {
        try await kind.with { store in
            for number in 0..<50 {
                try await store.put(ObjectKey("snapshots/\(number)"), [Data([1])])
                #expect(try await store.list("snapshots").count == number + 1)
            }
            for number in 0..<50 {
                try await store.delete(ObjectKey("snapshots/\(number)"))
                #expect(try await store.list("snapshots").count == 49 - number)
            }
        }
    }

    @Test(arguments: StoreKind.allCases)
    func puttingTheSameAgainIsHarmless(_ kind: StoreKind) async throws {
        var random = SeededRandom.announced()
        let bytes = Data(random.bytes(300_000))
        try await kind.with { store in
            try await store.put(Self.key, [bytes])
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<24 {
                    group.addTask {
                        if number % 3 == 0 {
                            try await store.put(Self.key, [bytes.prefix(7), bytes.dropFirst(7)])
                        } else {
                            // Readers meanwhile see the whole of it.
                            #expect(try await store.get(Self.key, .whole) == bytes)
                            #expect(try await store.size(Self.key) == UInt64(bytes.count))
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await store.list("packs").map(\.key) == [Self.key])
        }
    }

    @Test(arguments: StoreKind.allCases)
    func anObjectIsNeverSeenInPart(_ kind: StoreKind) async throws {
        var random = SeededRandom.announced()
        let bytes = Data(random.bytes(2 << 20))
        try await kind.with { store in
            let progress = Progress()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    defer { progress.isDone.store(true, ordering: .relaxed) }
                    for number in 0..<20 {
                        try await store.put(ObjectKey("packs/\(number)"), [bytes])
                    }
                }
                for _ in 0..<2 {
                    group.addTask {
                        while !progress.isDone.load(ordering: .relaxed) {
                            // Memory answers at once: without this the writer would never go on.
                            await Task.yield()
                            for object in try await store.list("packs") {
                                #expect(object.size == UInt64(bytes.count))
                            }
                            let number = progress.seen.load(ordering: .relaxed) % 20
                            let key = ObjectKey("packs/\(number)")
                            guard let size = try await store.size(key) else { continue }
                            #expect(size == UInt64(bytes.count))
                            let tail = try await store.get(key, .suffix(64))
                            #expect(tail == bytes.suffix(64))
                            progress.seen.add(1, ordering: .relaxed)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test(arguments: StoreKind.allCases)
    func callsMayOverlap(_ kind: StoreKind) async throws {
        var random = SeededRandom.announced()
        let seed = random.next()
        try await kind.with { store in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        var random = SeededRandom(seed: seed &+ UInt64(number))
                        let size = Int.random(in: 0..<40_000, using: &random)
                        let bytes = Data(random.bytes(size))
                        let key = ObjectKey("packs/\(number % 7)/\(number)")
                        try await store.put(key, [bytes])
                        #expect(try await store.get(key, .whole) == bytes)
                        let offset = Int.random(in: 0...size, using: &random)
                        #expect(
                            try await store.get(
                                key, .bytes(offset: UInt64(offset), length: 100))
                                == bytes.dropFirst(offset).prefix(100))
                        if number % 3 == 0 { try await store.delete(key) }
                        let listed = try await store.list("packs/\(number % 7)").map(\.key)
                        #expect(listed.contains(key) == (number % 3 != 0))
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await store.list("packs").count == 66)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func whatIsMovedHasTheOtherNameAndANewTime(_ kind: StoreKind) async throws {
        try await kind.with { store in
            let other = ObjectKey("damaged/packs/3f/3f00")
            try await store.put(Self.key, [Data([1, 2, 3])])
            let before = try await store.list("packs")[0].stored
            try await store.move(Self.key, to: other)
            #expect(try await store.get(other, .whole) == Data([1, 2, 3]))
            #expect(try await store.size(Self.key) == nil)
            #expect(try await store.list("packs").isEmpty)
            let moved = try await store.list("damaged")
            #expect(moved.map(\.key) == [other] && moved[0].stored >= before)
            let error = await failure { try await store.move(Self.key, to: other) }
            #expect(error is ObjectMissing)
            #expect(try await store.size(other) == 3)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func theClockGoesForward(_ kind: StoreKind) async throws {
        try await kind.with { store in
            var last = try await store.now()
            for _ in 0..<20 {
                try await store.put(ObjectKey("sessions/a"), [Data([1])])
                let now = try await store.now()
                #expect(now >= last)
                last = now
            }
            let renewed = try await store.list("sessions")[0].stored
            try await store.put(ObjectKey("sessions/a"), [Data([2])])
            #expect(try await store.list("sessions")[0].stored >= renewed)
        }
    }
}
