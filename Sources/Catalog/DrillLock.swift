import Engine
import Model

/// The right to drill from this catalog: one drill, or the removal of what one has left, at a time.
///
/// A process that dies loses it at once: what then is there of a drill is nobody's.
public final class DrillLock: Sendable {
    private let lock: FileLock

    private init(_ lock: FileLock) { self.lock = lock }

    /// - Throws: `Failure` with code `busy` while another process drills.
    public static func acquire(in directory: String) throws -> DrillLock {
        try StateDirectory.make(directory)
        guard let lock = try FileLock.attempt(directory + "/drill.lock") else {
            throw Failure(
                .busy, "another drill is going on",
                hint: "wait until it has ended", side: .local, isTransient: true)
        }
        return DrillLock(lock)
    }

    /// Gives the right back.
    public func release() { lock.release() }
}
