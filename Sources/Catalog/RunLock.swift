import CLinux
import Engine
import Glibc
public import Model

/// The right to change the repository from this catalog: one run at a time.
///
/// Backups and prunes take it; restores and readers never do. A process that dies loses it at once.
public final class RunLock: Sendable {
    /// Who has the lock.
    public struct Holder: Sendable, Hashable, Codable {
        public var processID: Int32
        public var host: String
        public var started: Timestamp
        /// What it does, for example `dr backup`.
        public var purpose: String

        public init(processID: Int32, host: String, started: Timestamp, purpose: String) {
            self.processID = processID
            self.host = host
            self.started = started
            self.purpose = purpose
        }

        /// This process.
        public static func current(purpose: String, at started: Timestamp) -> Holder {
            var name = [CChar](repeating: 0, count: 256)
            let known = gethostname(&name, name.count - 1) == 0
            let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            return Holder(
                processID: getpid(),
                host: known ? String(decoding: bytes, as: UTF8.self) : "unknown",
                started: started, purpose: purpose)
        }
    }

    private let lock: FileLock

    private init(_ lock: FileLock) { self.lock = lock }

    /// Takes the lock of the catalog in `directory`, or fails at once.
    ///
    /// - Throws: `Failure` with code `busy` that names the process, host and start of the other run.
    public static func acquire(in directory: String, as holder: Holder) throws -> RunLock {
        try StateDirectory.make(directory)
        let path = directory + "/run.lock"
        guard let lock = try FileLock.attempt(path) else {
            let other = (try? FileSystem().read(path)).flatMap {
                try? StableJSON.decode(Holder.self, from: $0)
            }
            let who = other.map {
                "\($0.purpose), process \($0.processID) on \($0.host) since"
                    + " \($0.started.shortDescription)"
            }
            throw Failure(
                .busy, "another run is going on: \(who ?? "an unknown process")",
                hint: "wait until it has ended, then run the same command again",
                side: .local, isTransient: true)
        }
        lock.write((try? StableJSON.encode(holder)) ?? [])
        return RunLock(lock)
    }

    /// Gives the lock back before the last reference is gone.
    public func release() { lock.release() }
}
