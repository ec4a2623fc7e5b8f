import CLinux
import Glibc
import Synchronization

/// A pipe whose ends are closed once each, at the latest when it goes.
public final class Pipe: Sendable {
    public let reader: Int32
    public let writer: Int32
    private let state = Mutex((reader: true, writer: true))

    public init() throws(SystemError) {
        var ends: (Int32, Int32) = (-1, -1)
        let result = withUnsafeMutableBytes(of: &ends) {
            dr_pipe($0.assumingMemoryBound(to: Int32.self).baseAddress)
        }
        if result != 0 { throw .last("pipe", "pipe") }
        (reader, writer) = ends
    }

    deinit {
        closeReader()
        closeWriter()
    }

    /// Lets writers fail; closing again does nothing.
    public func closeReader() {
        state.withLock {
            if $0.reader { close(reader) }
            $0.reader = false
        }
    }

    /// Lets the reader come to the end; closing again does nothing.
    public func closeWriter() {
        state.withLock {
            if $0.writer { close(writer) }
            $0.writer = false
        }
    }
}
