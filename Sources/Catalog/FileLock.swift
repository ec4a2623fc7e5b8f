import CLinux
import Engine
import Glibc
import Model

/// An exclusive lock on an open file: it ends with the process that holds it, however that ends.
final class FileLock: Sendable {
    private let descriptor: Int32
    private let path: String

    private init(_ descriptor: Int32, _ path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    /// The lock on `path` when nobody has it, else nil. The file is made when missing and stays.
    static func attempt(_ path: String) throws -> FileLock? {
        let descriptor = try open(path)
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EINTR { continue }
            let error = SystemError.last("flock", path)
            _ = Glibc.close(descriptor)
            if error.number == EWOULDBLOCK { return nil }
            throw error.failure(side: .local)
        }
        return FileLock(descriptor, path)
    }

    /// The lock on `path`, waiting for it; blocks the thread.
    static func wait(for path: String) throws -> FileLock {
        let descriptor = try open(path)
        while flock(descriptor, LOCK_EX) != 0 {
            if errno == EINTR { continue }
            let error = SystemError.last("flock", path)
            _ = Glibc.close(descriptor)
            throw error.failure(side: .local)
        }
        return FileLock(descriptor, path)
    }

    /// Replaces what the locked file says.
    func write(_ bytes: [UInt8]) {
        // For people only: a full disk must not keep a run from starting.
        _ = ftruncate(descriptor, 0)
        _ = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
    }

    /// Gives the lock back; ends with the last reference too.
    func release() { _ = flock(descriptor, LOCK_UN) }

    deinit {
        // Closing alone would leave it to a child that was forked and has not begun its program.
        release()
        _ = Glibc.close(descriptor)
    }

    private static func open(_ path: String) throws -> Int32 {
        do {
            return try FileSystem().open(path, flags: O_RDWR | O_CREAT)
        } catch {
            throw error.failure(side: .local)
        }
    }
}
