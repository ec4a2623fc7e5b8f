import Engine
import FoundationEssentials
import Model
import Repository
import TestSupport
import Testing

/// What is particular to a directory behind SSH.
@Suite(.enabled(if: TemporarySSHServer.isPossible, "needs sshd"))
struct SFTPStoreTests {
    private static let key = ObjectKey("packs/3f/3f00")

    private func with(
        deadline: Double = 30,
        _ body: (SFTPStore, TemporarySSHServer, TemporaryDirectory) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with("sftp") { scratch in
            let server = try await TemporarySSHServer(in: scratch)
            let place = "sftp://127.0.0.1:\(server.port)\(scratch.path("repo"))"
            guard case .sftp(let address) = try StorePlace(parsing: place) else { return }
            let store = SFTPStore(
                address, ssh: SSHProgram(words: server.words),
                deadline: TimeSpan(seconds: deadline))
            try await body(store, server, scratch)
        }
    }

    @Test("Its files are a directory's: each reads what the other wrote")
    func sameLayout() async throws {
        var random = SeededRandom.announced()
        let data = Data(random.bytes(5 << 20))
        try await with { store, _, scratch in
            let directory = DirectoryStore(root: scratch.path("repo"))
            try await store.put(Self.key, [data.prefix(1), data.dropFirst(1)])
            #expect(try await directory.get(Self.key, .whole) == data)
            try await directory.put(ObjectKey("packs/40/4000"), [data])
            #expect(try await store.get(ObjectKey("packs/40/4000"), .whole) == data)
            #expect(
                try await store.list("packs").sorted { $0.key < $1.key }.map(\.key)
                    == directory.list("packs").sorted { $0.key < $1.key }.map(\.key))
        }
    }

    @Test("A connection that is cut is made again, and nothing is lost or half there")
    func cutConnections() async throws {
        var random = SeededRandom.announced()
        let data = Data(random.bytes(8 << 20))
        try await with { store, server, scratch in
            try await store.prepare()
            for number in 0..<6 {
                let key = ObjectKey("packs/\(number)")
                async let put: Void = store.put(key, [data])
                if number % 2 == 0 { await server.cutConnections() }
                try await put
                if number % 2 == 1 { await server.cutConnections() }
                #expect(try await store.get(key, .whole) == data)
            }
            #expect(
                try await store.list("packs").map(\.size) == Array(repeating: 8 << 20, count: 6))
            // What the cuts left behind is swept once it is old enough.
            let left = try await DirectoryStore(root: scratch.path("repo")).list("").count
            #expect(left == 6)
            _ = try await store.sweep(olderThan: TimeSpan(seconds: -10))
            let names = try await OutsideProgram.run(["ls", scratch.path("repo/packs")]).text
            #expect(!names.contains(".tmp") && names.split(separator: "\n").count == 6)
        }
    }

    @Test("Uploads together, and downloads together, stay below their limits")
    func limits() async throws {
        var random = SeededRandom.announced()
        let data = Data(random.bytes(512 << 10))
        try await with { free, server, _ in
            let rate = 1 << 20
            let store = SFTPStore(
                free.address, ssh: SSHProgram(words: server.words),
                uploadRate: ByteCount(UInt64(rate)), downloadRate: ByteCount(UInt64(rate * 2)))
            try await store.prepare()
            // What is sent at once at the beginning, and while clocks are read, is little.
            func expect(_ bytes: Int, at rate: Int, took elapsed: Duration) {
                let least = Double(bytes) / Double(rate)
                #expect(elapsed > .seconds(least * 0.95), "\(elapsed)")
                #expect(elapsed < .seconds(least * 5 + 5), "\(elapsed)")
            }
            func each(_ body: @escaping @Sendable (ObjectKey) async throws -> Void) async throws
                -> Duration
            {
                let began = ContinuousClock.now
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<4 {
                        group.addTask { try await body(ObjectKey("packs/\(number)")) }
                    }
                    try await group.waitForAll()
                }
                return ContinuousClock.now - began
            }
            expect(
                4 * data.count, at: rate, took: try await each { try await store.put($0, [data]) })
            expect(
                4 * data.count, at: rate * 2,
                took: try await each {
                    let found = try await store.get($0, .whole)
                    #expect(found == data)
                })
        }
    }

    @Test("A machine that is gone is given up by the deadline; a refusal at once")
    func gone() async throws {
        try await with(deadline: 2) { store, server, scratch in
            try await store.put(Self.key, [Data([1])])
            await server.stop()
            let began = ContinuousClock.now
            do {
                _ = try await store.list("")
                Issue.record("listed")
            } catch let failure as Failure {
                #expect(failure.side == .repository && failure.isTransient, "\(failure)")
                #expect(failure.description.contains("refused"), "\(failure)")
            }
            #expect(ContinuousClock.now - began < .seconds(8))
            try await server.start()
            #expect(try await store.size(Self.key) == 1)

            // Another key than the one that it knows.
            let stranger = SFTPStore(
                store.address,
                ssh: SSHProgram(
                    words: server.words + ["-o", "IdentityFile=/dev/null", "-i", "/dev/null"]),
                deadline: TimeSpan(seconds: 30))
            try await OutsideProgram.run(["rm", scratch.path("ssh/user")])
            let start = ContinuousClock.now
            do {
                _ = try await stranger.list("")
                Issue.record("listed")
            } catch let failure as Failure {
                #expect(
                    !failure.isTransient && failure.hint?.contains("sftp ") == true, "\(failure)")
            }
            #expect(ContinuousClock.now - start < .seconds(10))
        }
    }
}
