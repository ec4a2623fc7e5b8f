import Engine
import Glibc
public import Model

/// The right to work on one restore: a second process that takes it up waits for the first to end.
///
/// A process that dies loses it at once. Restores keep each other from running only where both write
/// into the same directory of their own.
public final class RestoreLock: Sendable {
    private let lock: FileLock
    private let path: String

    private init(_ lock: FileLock, _ path: String) {
        self.lock = lock
        self.path = path
    }

    /// - Throws: `Failure` with code `busy` while another process works on the run.
    public static func acquire(_ run: RunID, in directory: String) throws -> RestoreLock {
        let path = path(of: run, in: directory)
        guard let lock = try FileLock.attempt(path) else {
            throw Failure(
                .busy, "another process works on run \(run.short)",
                hint: "wait until it has ended", side: .local, isTransient: true)
        }
        return RestoreLock(lock, path)
    }

    /// The right to restore into a directory of one's own: two at once would mix.
    ///
    /// - Parameter target: Its path, seen from the working directory.
    /// - Throws: `Failure` with code `busy` while another restore writes there.
    public static func acquire(target: String, in directory: String) throws -> RestoreLock {
        let absolute = target.hasPrefix("/") ? target : workingDirectory() + "/" + target
        let names = absolute.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
        // FNV-1a: a name for a file, no proof of anything.
        let hash = names.utf8.reduce(UInt64(0xCBF2_9CE4_8422_2325)) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01B3
        }
        let path = "\(directory)/restore-to-\(String(hash, radix: 16)).lock"
        guard let lock = try FileLock.attempt(path) else {
            throw Failure(
                .busy, "another restore writes to \(target)",
                hint: "wait until it has ended, or name another directory", side: .target,
                isTransient: true)
        }
        return RestoreLock(lock, path)
    }

    /// Whether a process works on the run.
    public static func isHeld(_ run: RunID, in directory: String) -> Bool {
        let path = path(of: run, in: directory)
        guard (try? FileSystem().size(of: path)).flatMap({ $0 }) != nil else { return false }
        guard let lock = try? FileLock.attempt(path) else { return true }
        lock.release()
        return false
    }

    /// Gives the right back.
    public func release() {
        try? FileSystem().unlink(path)
        lock.release()
    }

    private static func workingDirectory() -> String {
        guard let pointer = getcwd(nil, 0) else { return "" }
        defer { free(pointer) }
        return String(cString: pointer)
    }

    private static func path(of run: RunID, in directory: String) -> String {
        "\(directory)/restore-\(run.short).lock"
    }
}
