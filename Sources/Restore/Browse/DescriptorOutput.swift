import CLinux
import Engine
import Glibc
import Model

/// Writes to a descriptor that may be a pipe, a file or a device.
enum DescriptorOutput {
    /// Writes all of `bytes`.
    ///
    /// - Throws: `Failure`; of its own words when the reader of a pipe went away.
    static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count >= 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                continue
            }
            switch dr_errno() {
            case EINTR: continue
            case EAGAIN:
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&ready, 1, 1000)
            case EPIPE:
                throw Failure(
                    .failed, "whoever read the output went away before its end", side: .target)
            default: throw SystemError.last("write", "").failure(side: .target)
            }
        }
    }
}

/// Writes a content from beginning to end: zeros into a pipe, holes into a file.
final class ContentOutput {
    private let descriptor: Int32
    /// The output is a regular file that was empty: zeros need not be written.
    private let keepsHoles: Bool
    private var hole: UInt64 = 0
    private let zeros = [UInt8](repeating: 0, count: 1 << 16)

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        var status = stat()
        keepsHoles =
            fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
            && status.st_size == 0 && lseek(descriptor, 0, SEEK_CUR) == 0
            && dr_fcntl_int(descriptor, F_GETFL, 0) & O_APPEND == 0
    }

    /// The next bytes; nil for a run of `length` zeros.
    func write(_ bytes: UnsafeRawBufferPointer?, _ length: UInt64) throws {
        if let bytes {
            try passHole()
            return try DescriptorOutput.write(bytes, to: descriptor)
        }
        if keepsHoles {
            hole += length
            return
        }
        var left = length
        while left > 0 {
            let count = Int(min(left, UInt64(zeros.count)))
            try zeros.withUnsafeBytes {
                try DescriptorOutput.write(
                    UnsafeRawBufferPointer(rebasing: $0[..<count]), to: descriptor)
            }
            left -= UInt64(count)
        }
    }

    /// Writes what is left; call it once, at the end.
    func finish() throws {
        guard hole > 0 else { return }
        try passHole()
        let end = lseek(descriptor, 0, SEEK_CUR)
        if end < 0 || ftruncate(descriptor, end) != 0 {
            throw SystemError.last("truncate", "").failure(side: .target)
        }
    }

    private func passHole() throws {
        guard hole > 0 else { return }
        guard let offset = off_t(exactly: hole), lseek(descriptor, offset, SEEK_CUR) >= 0 else {
            throw SystemError.last("lseek", "").failure(side: .target)
        }
        hole = 0
    }
}
