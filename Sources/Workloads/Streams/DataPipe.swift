import CLinux
import Engine
import Glibc
import Model
import Synchronization

/// A pipe between a program and this process. Each end is closed once, at the latest with the pipe.
final class DataPipe: Sendable {
    private let ends: Mutex<(reading: Int32, writing: Int32)>
    /// Open until ``closeReading()``.
    let reading: Int32
    /// Open until ``closeWriting()``.
    let writing: Int32

    /// A program that ends early must not end this process too: writing to it is an error instead.
    private static let ignoresBrokenPipes: Void = { _ = signal(SIGPIPE, SIG_IGN) }()

    init() throws {
        Self.ignoresBrokenPipes
        var descriptors: [Int32] = [-1, -1]
        guard dr_pipe(&descriptors) == 0 else {
            throw SystemError.last("pipe", "pipe").failure(side: .local)
        }
        // Fewer switches between the two sides; refused where the user has too many pipes.
        _ = dr_fcntl_int(descriptors[1], 1031 /* F_SETPIPE_SZ */, 1 << 20)
        reading = descriptors[0]
        writing = descriptors[1]
        ends = Mutex((descriptors[0], descriptors[1]))
    }

    deinit {
        closeReading()
        closeWriting()
    }

    func closeReading() {
        ends.withLock { ends in
            if ends.reading >= 0 { _ = close(ends.reading) }
            ends.reading = -1
        }
    }

    func closeWriting() {
        ends.withLock { ends in
            if ends.writing >= 0 { _ = close(ends.writing) }
            ends.writing = -1
        }
    }
}
