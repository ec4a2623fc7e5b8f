import Engine
public import Model

/// The right to work on one restore: a second process that takes it up waits for the first to end.
///
/// A process that dies loses it at once. Restores never keep each other from running.
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

    private static func path(of run: RunID, in directory: String) -> String {
        "\(directory)/restore-\(run.short).lock"
    }
}
