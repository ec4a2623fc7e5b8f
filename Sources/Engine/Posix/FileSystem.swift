import CLinux
import Glibc

/// The write layer: every call that makes something durable goes through here, and can be made to
/// fail.
///
/// Foundation's atomic writes never sync the directory, and fold errors into one code: nothing of
/// `dr` that must survive a power cut is written by them. Calls are blocking; call them from a
/// ``BlockingPool`` or a thread of your own.
public struct FileSystem: Sendable {
    private let faults: (any FaultInjector)?

    /// - Parameter faults: Makes chosen calls fail; nil outside tests.
    public init(faults: (any FaultInjector)? = nil) { self.faults = faults }

    /// Opens `path`; the descriptor is closed on exec.
    public func open(_ path: String, flags: Int32, mode: UInt32 = 0o600) throws(SystemError)
        -> Int32
    {
        try faults?.before(.open, path: path)
        while true {
            let descriptor = dr_openat(AT_FDCWD, path, flags | O_CLOEXEC, mode)
            if descriptor >= 0 { return descriptor }
            if errno != EINTR { throw .last("open", path) }
        }
    }

    /// Closes `descriptor`; an error of the file system that comes as late as this is thrown.
    public func close(_ descriptor: Int32, path: String) throws(SystemError) {
        let result = Glibc.close(descriptor)
        let number = errno
        try faults?.before(.close, path: path)
        if result != 0, number != EINTR {
            throw SystemError("close", path: path, number: number)
        }
    }

    /// Writes all of `bytes` at the descriptor's position.
    public func write(
        _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, path: String
    ) throws(SystemError) {
        try faults?.before(.write, path: path)
        var rest = bytes
        while let base = rest.baseAddress, !rest.isEmpty {
            let count = Glibc.write(descriptor, base, rest.count)
            if count >= 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            } else if errno != EINTR {
                throw .last("write", path)
            }
        }
    }

    /// Writes all of `bytes` at `offset`.
    public func write(
        _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at offset: UInt64, path: String
    ) throws(SystemError) {
        try faults?.before(.write, path: path)
        var rest = bytes
        var position = off_t(offset)
        while let base = rest.baseAddress, !rest.isEmpty {
            let count = pwrite(descriptor, base, rest.count, position)
            if count >= 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                position += off_t(count)
            } else if errno != EINTR {
                throw .last("pwrite", path)
            }
        }
    }

    /// Reads up to `buffer.count` bytes at `offset`; fewer only at the end of the file.
    public func read(
        into buffer: UnsafeMutableRawBufferPointer, from descriptor: Int32, at offset: UInt64,
        path: String
    ) throws(SystemError) -> Int {
        try faults?.before(.read, path: path)
        var filled = 0
        while filled < buffer.count, let base = buffer.baseAddress {
            let count = pread(
                descriptor, base + filled, buffer.count - filled, off_t(offset) + off_t(filled))
            if count > 0 {
                filled += count
            } else if count == 0 {
                break
            } else if errno != EINTR {
                throw .last("pread", path)
            }
        }
        return filled
    }

    /// Makes the content of an open file durable.
    public func synchronize(_ descriptor: Int32, path: String) throws(SystemError) {
        try faults?.before(.fsync, path: path)
        if fsync(descriptor) != 0 { throw .last("fsync", path) }
    }

    /// Makes the names in a directory durable.
    public func synchronizeDirectory(_ path: String) throws(SystemError) {
        let descriptor = try open(path, flags: O_RDONLY | O_DIRECTORY)
        defer { _ = Glibc.close(descriptor) }
        try synchronize(descriptor, path: path)
    }

    /// Renames, replacing what has the new name.
    public func rename(_ old: String, to new: String) throws(SystemError) {
        try faults?.before(.rename, path: new)
        if Glibc.rename(old, new) != 0 { throw .last("rename", new) }
    }

    /// Removes a file; one that is already gone is no error.
    public func unlink(_ path: String) throws(SystemError) {
        try faults?.before(.unlink, path: path)
        if Glibc.unlink(path) != 0, errno != ENOENT { throw .last("unlink", path) }
    }

    /// Makes a directory; one that exists is no error.
    public func makeDirectory(_ path: String, mode: UInt32 = 0o700) throws(SystemError) {
        try faults?.before(.mkdir, path: path)
        if mkdir(path, mode) != 0, errno != EEXIST { throw .last("mkdir", path) }
    }

    /// Makes a directory and those above it, durably; those that it makes have `mode` whatever the
    /// umask, and from the beginning: a kill leaves none that is closed to those it was made for.
    public func makeDirectories(_ path: String, mode: UInt32 = 0o700) throws(SystemError) {
        var built = path.hasPrefix("/") ? "/" : ""
        for component in path.split(separator: "/") {
            let parent = built.isEmpty ? "." : built
            built += (built.isEmpty || built.hasSuffix("/") ? "" : "/") + component
            if isDirectory(built) { continue }
            if mode & 0o077 == 0 {
                try makeDirectory(built, mode: mode)
            } else {
                try faults?.before(.mkdir, path: built)
                let number = dr_make_directory(built, mode)
                if number == EEXIST { continue }
                if number != 0 { throw SystemError("mkdir", path: built, number: number) }
                // Where a thread may not have a mask of its own.
                try permit(built, mode: mode)
            }
            do {
                try synchronizeDirectory(parent)
            } catch {
                // A directory that may be entered but not read cannot be synced either.
                if error.number != EACCES { throw error }
            }
        }
    }

    /// Says who may do what with a file, whatever the umask.
    public func permit(_ path: String, mode: UInt32) throws(SystemError) {
        if chmod(path, mode) != 0 { throw .last("chmod", path) }
    }

    /// Whether `path` is a directory, or a link to one.
    public func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Size of a file in bytes; nil when there is none.
    public func size(of path: String) throws(SystemError) -> UInt64? {
        var status = stat()
        if stat(path, &status) == 0 { return UInt64(status.st_size) }
        if errno == ENOENT || errno == ENOTDIR { return nil }
        throw .last("stat", path)
    }

    /// Size of a regular file in bytes; nil when there is none of that name.
    public func sizeOfFile(_ path: String) throws(SystemError) -> UInt64? {
        var status = stat()
        if stat(path, &status) == 0 {
            return status.st_mode & S_IFMT == S_IFREG ? UInt64(status.st_size) : nil
        }
        if errno == ENOENT || errno == ENOTDIR { return nil }
        throw .last("stat", path)
    }

    /// Writes a file so that it is either wholly there, durably, or not there at all.
    ///
    /// Writes a temporary file in the same directory, syncs it, renames it, syncs the directory. When
    /// any of it fails the temporary file is removed and nothing has the name: the same bytes can be
    /// written again under a new temporary name, but a failed sync is never tried again on the same
    /// file, because Linux forgets the pages that it could not write.
    ///
    /// - Parameter parts: The content, in pieces that are written one after the other.
    public func writeDurably(
        _ parts: [UnsafeRawBufferPointer], to path: String, mode: UInt32 = 0o600
    ) throws(SystemError) {
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let temporary = "\(path).\(String(UInt32.random(in: 0 ... .max), radix: 16)).tmp"
        do throws(SystemError) {
            let descriptor = try open(
                temporary, flags: O_WRONLY | O_CREAT | O_EXCL, mode: mode)
            do throws(SystemError) {
                for part in parts { try write(part, to: descriptor, path: temporary) }
                try synchronize(descriptor, path: temporary)
            } catch {
                _ = Glibc.close(descriptor)
                throw error
            }
            try close(descriptor, path: temporary)
            try rename(temporary, to: path)
            try synchronizeDirectory(directory)
        } catch {
            _ = Glibc.unlink(temporary)
            throw error
        }
    }

    /// Writes a small file durably.
    public func writeDurably(_ bytes: [UInt8], to path: String, mode: UInt32 = 0o600)
        throws(SystemError)
    {
        let result: Result<Void, SystemError> = bytes.withUnsafeBytes { buffer in
            do throws(SystemError) {
                try writeDurably([buffer], to: path, mode: mode)
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// All bytes of a file.
    public func read(_ path: String) throws(SystemError) -> [UInt8] {
        let descriptor = try open(path, flags: O_RDONLY)
        defer { _ = Glibc.close(descriptor) }
        try faults?.before(.read, path: path)
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = buffer.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress, $0.count)
            }
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw .last("read", path)
            }
            bytes.append(contentsOf: buffer[..<count])
        }
    }

    /// Names in a directory, without `.` and `..`, in no order.
    public func names(in path: String) throws(SystemError) -> [String] {
        guard let directory = opendir(path) else { throw .last("opendir", path) }
        defer { closedir(directory) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(directory) else {
                if errno != 0 { throw .last("readdir", path) }
                return names
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }

    /// Bytes that an unprivileged writer may still use on the file system of `path`.
    public func freeBytes(at path: String) throws(SystemError) -> UInt64 {
        var status = statvfs()
        if statvfs(path, &status) != 0 { throw .last("statvfs", path) }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }
}
