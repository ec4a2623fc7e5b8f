import CLinux
import Glibc
import Model

extension TreeEntry {
    /// An entry with the metadata that `stat` tells.
    init(at path: [UInt8], _ type: EntryType, _ status: stat) {
        self.init(path: path, type: type)
        mode = UInt32(status.st_mode) & 0o7777
        userID = status.st_uid
        groupID = status.st_gid
        modified = Timestamp(status.st_mtim)
        changed = Timestamp(status.st_ctim)
        inode = UInt64(status.st_ino)
        device = UInt64(status.st_dev)
        linkCount = type == .file ? UInt32(clamping: status.st_nlink) : 1
        if type == .file { size = UInt64(status.st_size) }
    }
}

extension Timestamp {
    /// A file's time.
    init(_ time: timespec) { self.init(seconds: time.tv_sec, nanoseconds: time.tv_nsec) }
}

/// The target of a symbolic link; nil when it cannot be read, with the reason in `errno`.
///
/// - Parameter length: The length that its status told; a longer one is read all the same.
func readSymlink(_ name: [UInt8], in directory: Int32, length: Int) -> [UInt8]? {
    var target = [UInt8](repeating: 0, count: max(length, 1) + 1)
    while true {
        let count = target.withUnsafeMutableBufferPointer { buffer in
            buffer.withMemoryRebound(to: CChar.self) { buffer in
                withName(name) { name in
                    buffer.baseAddress.map { readlinkat(directory, name, $0, buffer.count) }
                        ?? -1
                }
            }
        }
        guard count >= 0 else { return nil }
        if count < target.count { return Array(target[..<count]) }
        target = [UInt8](repeating: 0, count: target.count * 2)
    }
}
