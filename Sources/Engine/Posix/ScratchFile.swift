import CLinux
import Glibc

/// A file without a name, in `TMPDIR` or else `/var/tmp`: gone when it is closed, whatever happens.
///
/// Owned by one thread; what was never written reads as zeros and takes no room.
public final class ScratchFile {
    private let descriptor: Int32
    private let path: String
    private let files = FileSystem()

    /// - Throws: ``SystemError``.
    public init() throws(SystemError) {
        let named = getenv("TMPDIR").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        path = named ?? "/var/tmp"
        var template = Array("\(path)/.dr-scratch-\(getpid())-XXXXXX".utf8CString)
        descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw .last("mkstemp", path) }
        _ = dr_fcntl_int(descriptor, F_SETFD, FD_CLOEXEC)
        unlink(template)
    }

    deinit { close(descriptor) }

    /// Writes all of `bytes` at `offset`.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(SystemError) {
        try files.write(bytes, to: descriptor, at: offset, path: path)
    }

    /// Fills `buffer` from `offset` on, with zeros behind what was written.
    public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64)
        throws(SystemError)
    {
        let count = try files.read(into: buffer, from: descriptor, at: offset, path: path)
        for index in count..<buffer.count { buffer[index] = 0 }
    }
}
