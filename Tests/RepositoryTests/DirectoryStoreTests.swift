import CLinux
import Engine
import FoundationEssentials
import Glibc
import Model
import Repository
import Synchronization
import TestSupport
import Testing

/// Lets one system call fail, once or from then on.
private final class FailingCall: FaultInjector {
    private let number: Int32
    private let isPersistent: Bool
    private let state: Mutex<(left: Int, hits: [String])>

    /// - Parameter position: Counts from 0.
    init(_ position: Int, _ number: Int32, isPersistent: Bool) {
        self.number = number
        self.isPersistent = isPersistent
        state = Mutex((position, []))
    }

    var hits: [String] { state.withLock { $0.hits } }

    func before(_ call: SystemCall, path: String) throws(SystemError) {
        let fails = state.withLock { state in
            defer { state.left -= 1 }
            guard state.left == 0 || (isPersistent && state.left < 0) else { return false }
            state.hits.append(call.rawValue)
            return true
        }
        if fails { throw SystemError(call.rawValue, path: path, number: number) }
    }
}

/// What a directory adds to the promises of every store.
@Suite struct DirectoryStoreTests {
    private static let key = ObjectKey("packs/3f/3f00")

    @Test(arguments: [ENOSPC, EIO, EDQUOT, EMFILE, EROFS], [false, true])
    func aPutWhoseSystemCallFailsLeavesAllOrNothing(_ number: Int32, isPersistent: Bool)
        async throws
    {
        var random = SeededRandom.announced()
        let parts = [Data(random.bytes(100_000)), Data(random.bytes(10))]
        try await TemporaryDirectory.with("store") { scratch in
            var tried = 0
            while true {
                let root = scratch.path("repository\(tried)")
                let fault = FailingCall(tried, number, isPersistent: isPersistent)
                let store = DirectoryStore(root: root, files: FileSystem(faults: fault))
                var thrown: (any Error)?
                do { try await store.put(Self.key, parts) } catch { thrown = error }
                guard let hit = fault.hits.first else {
                    #expect(thrown == nil)
                    break
                }
                tried += 1
                let failure = try #require(thrown as? Failure, "\(hit) \(tried)")
                #expect(failure.side == .repository)
                let isFull = number == ENOSPC || number == EDQUOT
                #expect(failure.code == (isFull ? .noSpace : .failed))
                #expect(failure.isTransient == (number == EMFILE))
                // Another process sees all of it or nothing.
                let other = DirectoryStore(root: root)
                let size = try await other.size(Self.key)
                #expect(size == nil || size == 100_010, "\(hit)")
                #expect(try await other.list("").count == (size == nil ? 0 : 1))
                let left = try await OutsideProgram.run(["find", scratch.path, "-name", "*.tmp"])
                #expect(left.text.isEmpty, "\(hit): \(left.text)")
                // The same process can go on when the fault has passed.
                if !isPersistent {
                    try await store.put(Self.key, parts)
                    #expect(try await other.size(Self.key) == 100_010)
                }
            }
            print("\(tried) system calls failed with \(number)")
            #expect(tried > 8)
        }
    }

    @Test func everyPutIsSyncedInOrder() async throws {
        try await TemporaryDirectory.with("store") { scratch in
            let log = CallLog()
            let store = DirectoryStore(
                root: scratch.path("repository"), files: FileSystem(faults: log))
            try await store.put(Self.key, [Data([1]), Data([2])])
            let root = scratch.path("repository")
            let expected = [
                "mkdir \(root)", "fsync \(scratch.path)",
                "mkdir \(root)/packs", "fsync \(root)",
                "mkdir \(root)/packs/3f", "fsync \(root)/packs",
                "write TMP", "write TMP", "fsync TMP", "close TMP",
                "rename \(root)/packs/3f/3f00", "fsync \(root)/packs/3f",
            ]
            #expect(log.calls == expected)
            // A folder that is there and holds something has been synced by who made it.
            let other = CallLog()
            let second = DirectoryStore(root: root, files: FileSystem(faults: other))
            try await second.put(ObjectKey("packs/3f/3f01"), [Data([1])])
            #expect(
                other.calls == Array(expected.suffix(5)).map { $0.replacing("3f00", with: "3f01") })
            // One that is empty may not have been.
            try FileSystem().makeDirectory("\(root)/packs/40")
            let third = CallLog()
            try await DirectoryStore(root: root, files: FileSystem(faults: third))
                .put(ObjectKey("packs/40/4000"), [Data([1])])
            #expect(third.calls.first == "fsync \(root)/packs")
            let fourth = CallLog()
            try await DirectoryStore(root: root, files: FileSystem(faults: fourth)).delete(Self.key)
            #expect(fourth.calls == ["unlink \(root)/packs/3f/3f00", "fsync \(root)/packs/3f"])
        }
    }

    @Test func foreignFilesArePassedOver() async throws {
        try await TemporaryDirectory.with("store") { scratch in
            let store = DirectoryStore(root: scratch.path)
            try await store.put(Self.key, [Data([1, 2, 3])])
            for name in [
                "README.md", "lost+found/x", "packs/.nfs0001", "packs/3f/3f01.ab12.tmp",
                "packs/A b/3f", ".snapshot/packs/3f/3f02", "packs/3f/Thumbs.db",
            ] {
                try scratch.makeDirectory(
                    name.split(separator: "/").dropLast().joined(separator: "/"))
                try scratch.write(name, "foreign")
            }
            symlink(scratch.path("packs/3f/3f00"), scratch.path("packs/3f/3f03"))
            symlink(scratch.path("packs"), scratch.path("linked"))
            mkfifo(scratch.path("packs/3f/3f04"), 0o600)
            let bad = [UInt8](scratch.path("packs/3f/").utf8) + [0xff, 0xfe, 0]
            let descriptor = bad.withUnsafeBytes { bytes in
                bytes.withMemoryRebound(to: CChar.self) { path in
                    path.baseAddress.map {
                        dr_openat(AT_FDCWD, $0, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
                    } ?? -1
                }
            }
            #expect(descriptor >= 0)
            close(descriptor)
            #expect(try await store.list("").map(\.key) == [Self.key])
            #expect(try await store.list("packs").map(\.key) == [Self.key])
            #expect(try await store.list("packs/3f").map(\.key) == [Self.key])
        }
    }

    @Test func leftoversOfTheDeadGoAndThoseOfTheLivingStay() async throws {
        try await TemporaryDirectory.with("store") { scratch in
            let store = DirectoryStore(root: scratch.path)
            try await store.put(Self.key, [Data([1, 2, 3])])
            try await store.put(ObjectKey("config"), [Data([1])])
            for name in ["config.1.tmp", "packs/3f/3f01.ab12.tmp"] {
                try scratch.write(name, "left")
                var old = [timespec(), timespec()]
                old[0].tv_sec = time(nil) - 100_000
                old[1] = old[0]
                #expect(utimensat(AT_FDCWD, scratch.path(name), &old, 0) == 0)
            }
            try scratch.write("packs/3f/3f02.ab12.tmp", "being written")
            try scratch.makeDirectory("Mine")
            try scratch.write("Mine/letter.tmp", "foreign")
            let day = TimeSpan(seconds: 86400)
            #expect(try await store.sweep(olderThan: day) == 2)
            #expect(try await store.sweep(olderThan: day) == 0)
            let left = try await OutsideProgram.run(["find", scratch.path, "-name", "*.tmp"])
            #expect(left.text.split(separator: "\n").count == 2)
            #expect(try await store.list("").count == 2)
        }
    }
}

/// Notes the calls that make something durable.
private final class CallLog: FaultInjector {
    private let state = Mutex<[String]>([])

    var calls: [String] { state.withLock { $0 } }

    func before(_ call: SystemCall, path: String) throws(SystemError) {
        guard [.write, .fsync, .close, .rename, .unlink, .mkdir].contains(call) else { return }
        state.withLock { $0.append("\(call) \(path.hasSuffix(".tmp") ? "TMP" : path)") }
    }
}
