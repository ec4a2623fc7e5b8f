import CLinux
import Engine
import Glibc
import Model

/// A name in a directory, with its status.
struct ListedEntry {
    var name: [UInt8]
    var status: stat
}

/// Reads one directory whole: names sorted by their bytes, each with its status.
enum DirectoryListing {
    /// Entries of the open directory `descriptor`, which stays open.
    ///
    /// Status is asked for in inode order, which spares a cold disk most of its seeks.
    ///
    /// - Parameter vanished: Called with names that were gone before they could be looked at, or
    ///   could not be, with the error's number.
    static func read(
        _ descriptor: Int32, path: String, unreadable: ([UInt8], Int32) -> Void
    ) throws(SystemError) -> [ListedEntry] {
        // A descriptor of its own: closedir closes what fdopendir was given.
        let own = dr_openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard own >= 0, let stream = fdopendir(own) else { throw .last("opendir", path) }
        defer { closedir(stream) }
        var names: [(inode: UInt64, name: [UInt8])] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw .last("readdir", path) }
                break
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: UInt8.self, capacity: 256) { bytes in
                    Array(
                        UnsafeBufferPointer(
                            start: bytes,
                            count: strlen(
                                UnsafeRawPointer(bytes).assumingMemoryBound(to: CChar.self))))
                }
            }
            if name == [46] || name == [46, 46] { continue }
            names.append((UInt64(entry.pointee.d_ino), name))
        }
        names.sort { $0.inode < $1.inode }
        var entries: [ListedEntry] = []
        entries.reserveCapacity(names.count)
        for (_, name) in names {
            var status = stat()
            let result = withName(name) {
                fstatat(descriptor, $0, &status, AT_SYMLINK_NOFOLLOW)
            }
            if result == 0 {
                entries.append(ListedEntry(name: name, status: status))
            } else {
                unreadable(name, errno)
            }
        }
        entries.sort { $0.name.lexicographicallyPrecedes($1.name) }
        return entries
    }
}

/// Calls `body` with `name` as a C string.
func withName<Result>(_ name: [UInt8], _ body: (UnsafePointer<CChar>) -> Result) -> Result {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: name.count + 1) { buffer in
        for (index, byte) in name.enumerated() { buffer[index] = CChar(bitPattern: byte) }
        buffer[name.count] = 0
        guard let base = buffer.baseAddress else { preconditionFailure("a buffer has an address") }
        return body(base)
    }
}
