import Engine
import FoundationEssentials
import Model
import Repository
import TestSupport
import Testing

/// What a network and a store do wrong, between the real client and a real server.
@Suite(.enabled(if: TestEnvironment.hasS3, "needs an S3 server"))
struct S3FaultTests {
    private static let key = ObjectKey("packs/3f/3f00")

    /// A bucket behind a proxy, with a deadline of its own.
    private func with(
        deadline: Double = 20, _ body: (S3Store, FaultProxy, S3Store) async throws -> Void
    ) async throws {
        let place = "faults/\(TestBucket.unusedName())"
        let direct = try await TestBucket.store(place: place)
        let proxy = try FaultProxy(to: TestEnvironment.s3Endpoint ?? "")
        var options = S3Options()
        options.deadline = TimeSpan(seconds: deadline)
        let store = try await TestBucket.store(at: proxy.url, place: place, options: options)
        try await body(store, proxy, direct)
        proxy.stop()
    }

    private func bytes(_ count: Int) -> Data {
        var random = SeededRandom.announced()
        return Data(random.bytes(count))
    }

    private func failure(_ body: () async throws -> Void) async -> Failure? {
        do { try await body() } catch { return Failure(wrapping: error) }
        return nil
    }

    /// Faults that pass: the call succeeds, and what is stored is right.
    private static let passing: [(String, FaultProxy.Fault)] = [
        ("503 SlowDown", .answer(status: 503, body: "<Error><Code>SlowDown</Code></Error>")),
        ("500", .answer(status: 500, body: "")),
        ("502 of a proxy", .answer(status: 502, body: "<html>bad gateway</html>")),
        ("429", .answer(status: 429, body: "")),
        ("a lost request", .dropRequest), ("a lost answer", .dropResponse),
        ("a cut answer", .cutResponse(after: 100)),
    ]

    @Test("What may pass is tried again, and nothing is stored wrong", arguments: 0..<7)
    func passingFaults(_ number: Int) async throws {
        let (name, fault) = Self.passing[number]
        let data = bytes(300_000)
        try await with { store, proxy, direct in
            for method in ["PUT", "HEAD"] {
                proxy.add(FaultProxy.Rule(fault, on: method, Self.key.path))
            }
            try await store.put(Self.key, [data])
            #expect(try await direct.get(Self.key, .whole) == data, "\(name)")
            proxy.add(FaultProxy.Rule(fault, on: "GET", Self.key.path, times: 2))
            #expect(try await store.get(Self.key, .whole) == data, "\(name)")
            proxy.add(FaultProxy.Rule(fault, on: "GET", "list-type"))
            #expect(try await store.list("packs").map(\.key) == [Self.key], "\(name)")
            proxy.add(FaultProxy.Rule(fault, on: "DELETE", Self.key.path))
            try await store.delete(Self.key)
            #expect(try await direct.size(Self.key) == nil, "\(name)")
            #expect(proxy.faults >= 5, "\(name)")
        }
    }

    @Test("A PUT that is answered and not done is noticed; once heals, always fails")
    func lyingPut() async throws {
        let data = bytes(70_000)
        try await with { store, proxy, direct in
            proxy.add(FaultProxy.Rule(.lie, on: "PUT", Self.key.path))
            try await store.put(Self.key, [data])
            #expect(try await direct.get(Self.key, .whole) == data)
            let other = ObjectKey("packs/3f/3f01")
            proxy.add(FaultProxy.Rule(.lie, on: "PUT", other.path, times: 1000))
            let failure = await failure { try await store.put(other, [data]) }
            #expect(failure?.side == .repository && failure?.hint?.contains("trusted") == true)
            #expect(try await direct.size(other) == nil)
        }
    }

    @Test("Bytes that change on their way are not stored")
    func flippedPut() async throws {
        let data = bytes(70_000)
        try await with { store, proxy, direct in
            proxy.add(FaultProxy.Rule(.flipRequest(1234), on: "PUT", Self.key.path))
            try await store.put(Self.key, [data])
            #expect(try await direct.get(Self.key, .whole) == data)
            #expect(proxy.faults == 1)
        }
    }

    @Test("An answer that is shorter than it should be is asked for again")
    func shortAnswers() async throws {
        let data = bytes(70_000)
        try await with { store, proxy, _ in
            try await store.put(Self.key, [data])
            for range in [ObjectRange.bytes(offset: 10, length: 5000), .suffix(5000)] {
                proxy.add(FaultProxy.Rule(.shorten(to: 700), on: "GET", Self.key.path))
                let found = try await store.get(Self.key, range)
                #expect(found.count == 5000)
            }
            proxy.add(FaultProxy.Rule(.shorten(to: 200), on: "GET", "list-type"))
            #expect(try await store.list("").count == 1)
            #expect(proxy.faults == 3)
        }
    }

    @Test("A store that hangs, stands still or is gone is given up by the deadline")
    func deadline() async throws {
        for fault in [FaultProxy.Fault.hang, .dropRequest, .answer(status: 503, body: "")] {
            try await with(deadline: 2) { store, proxy, _ in
                proxy.add(FaultProxy.Rule(fault, times: 10_000))
                let began = ContinuousClock.now
                let failure = await failure { try await store.put(Self.key, [Data([1])]) }
                #expect(ContinuousClock.now - began < .seconds(6), "\(fault)")
                #expect(failure?.side == .repository && failure?.isTransient == true, "\(fault)")
                #expect(failure?.message.contains("tries over") == true, "\(fault)")
            }
        }
        try await with(deadline: 2) { store, proxy, _ in
            proxy.stop()
            let began = ContinuousClock.now
            let failure = await failure { _ = try await store.list("") }
            #expect(failure?.cause != nil && ContinuousClock.now - began < .seconds(5))
        }
    }

    @Test("What will not pass is not tried again")
    func refusals() async throws {
        try await with(deadline: 60) { store, proxy, _ in
            let cases: [(Int, String, ExitCode)] = [
                (403, "<Error><Code>AccessDenied</Code></Error>", .failed),
                (403, "<Error><Code>SignatureDoesNotMatch</Code></Error>", .failed),
                (507, "", .noSpace), (500, "<Error><Code>StorageFull</Code></Error>", .noSpace),
                (404, "<Error><Code>NoSuchBucket</Code></Error>", .failed),
            ]
            for (status, body, code) in cases {
                proxy.add(FaultProxy.Rule(.answer(status: status, body: body), on: "PUT"))
                let before = proxy.requests
                let failure = await failure { try await store.put(Self.key, [Data([1])]) }
                #expect(failure?.code == code && failure?.isTransient == false, "\(status) \(body)")
                #expect(proxy.requests == before + 1, "\(status) \(body)")
            }
            proxy.add(
                FaultProxy.Rule(
                    .answer(status: 404, body: "<Error><Code>NoSuchBucket</Code></Error>"),
                    on: "GET"))
            let failure = await failure { _ = try await store.list("") }
            #expect(failure?.code == .noRepository)
        }
    }

    @Test("A refusal for its time that does not say what time it is, is not tried again")
    func skewedClock() async throws {
        try await with { store, proxy, direct in
            proxy.add(
                FaultProxy.Rule(
                    .answer(
                        status: 403, body: "<Error><Code>RequestTimeTooSkewed</Code></Error>"),
                    on: "PUT"))
            let failure = await failure { try await store.put(Self.key, [Data([1])]) }
            #expect(failure?.cause?.contains("RequestTimeTooSkewed") == true)
            try await store.put(Self.key, [Data([1])])
            #expect(try await direct.size(Self.key) == 1)
        }
    }

    @Test("Many requests are under way at once, and no more than allowed")
    func manyAtOnce() async throws {
        try await with { store, proxy, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        let key = ObjectKey("packs/\(number)")
                        try await store.put(key, [Data([UInt8(number)])])
                        #expect(try await store.get(key, .whole) == Data([UInt8(number)]))
                    }
                }
                try await group.waitForAll()
            }
            #expect((3...24).contains(proxy.mostAtOnce), "\(proxy.mostAtOnce)")
            #expect(try await store.list("packs").count == 100)
        }
    }

    @Test("Listings have as many pages as it takes")
    func pages() async throws {
        let count = 1003
        try await with { _, _, store in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<16 {
                    group.addTask {
                        for number in stride(from: worker, to: count, by: 16) {
                            try await store.put(ObjectKey("packs/x\(number)"), [Data()])
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(Set(try await store.list("packs").map(\.key)).count == count)
        }
    }

    @Test("Uploads together stay below their limit")
    func uploadLimit() async throws {
        var options = S3Options()
        options.uploadRate = ByteCount(1 << 20)
        let store = try await TestBucket.store(options: options)
        let data = bytes(512 << 10)
        let began = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<4 {
                group.addTask { try await store.put(ObjectKey("packs/\(number)"), [data]) }
            }
            try await group.waitForAll()
        }
        let elapsed = ContinuousClock.now - began
        #expect(elapsed > .seconds(1.7) && elapsed < .seconds(10), "\(elapsed)")
        #expect(try await store.get(ObjectKey("packs/3"), .whole) == data)
    }
}
