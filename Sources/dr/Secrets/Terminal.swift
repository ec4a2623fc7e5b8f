import CLinux
import Engine
import Glibc
import Model
import Synchronization

/// The terminal a person sits at, whatever standard input and output are connected to.
struct Terminal: Sendable {
    private static let path = "/dev/tty"
    /// How soon a cancelled question is given up, in milliseconds.
    private static let patience: Int32 = 200
    private static let lineLimit = 4096

    /// Set from the cancelled task, looked at by the thread that waits.
    private final class Flag: Sendable {
        let isSet = Mutex(false)
    }

    /// Whether there is one.
    var isThere: Bool {
        let descriptor = dr_openat(AT_FDCWD, Self.path, O_RDWR | O_CLOEXEC | O_NOCTTY, 0)
        if descriptor >= 0 { _ = close(descriptor) }
        return descriptor >= 0
    }

    /// Asks a question and reads a line; nil when there is no terminal.
    ///
    /// - Parameter isSecret: What is typed is not shown.
    /// - Throws: `CancellationError` when the task is cancelled while it waits.
    func ask(_ question: String, isSecret: Bool) async throws -> String? {
        let cancelled = Flag()
        return try await withTaskCancellationHandler {
            try await BlockingPool.shared.run {
                try Self.ask(question, isSecret: isSecret) { cancelled.isSet.withLock { $0 } }
            }
        } onCancel: {
            cancelled.isSet.withLock { $0 = true }
        }
    }

    private static func ask(
        _ question: String, isSecret: Bool, isCancelled: () -> Bool
    ) throws -> String? {
        let descriptor = dr_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC | O_NOCTTY, 0)
        guard descriptor >= 0 else { return nil }
        defer { _ = close(descriptor) }
        var before = termios()
        guard tcgetattr(descriptor, &before) == 0 else { return nil }
        if isSecret {
            var silent = before
            silent.c_lflag &= ~tcflag_t(ECHO)
            silent.c_lflag |= tcflag_t(ECHONL)
            guard tcsetattr(descriptor, TCSAFLUSH, &silent) == 0 else { return nil }
        }
        defer { if isSecret { tcsetattr(descriptor, TCSANOW, &before) } }
        _ = Array(question.utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        return try line(from: descriptor, isCancelled: isCancelled)
    }

    private static func line(from descriptor: Int32, isCancelled: () -> Bool) throws -> String? {
        var bytes: [UInt8] = []
        while bytes.count < lineLimit {
            if isCancelled() {
                _ = write(descriptor, "\n", 1)
                throw CancellationError()
            }
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, patience) > 0 else { continue }
            var byte: UInt8 = 0
            let count = read(descriptor, &byte, 1)
            if count < 0, errno == EINTR { continue }
            if count <= 0 || byte == 0x0A { break }
            bytes.append(byte)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Failure(.usage, "what was typed is not UTF-8 text")
        }
        return text
    }
}
