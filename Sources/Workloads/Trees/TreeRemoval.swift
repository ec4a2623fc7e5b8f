import CLinux
import Engine
import Glibc
import Model

/// Removes a directory and everything in it, following no link and crossing no file system.
///
/// Holds one directory open at a time: a tree may be deeper than descriptors and stacks allow.
enum TreeRemoval {
    private struct Level {
        var name: [UInt8]
        var inode: ino_t
    }

    static func remove(_ path: String) throws {
        let slash = path.lastIndex(of: "/")
        let above = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let name = Array((slash.map { path[path.index(after: $0)...] } ?? path[...]).utf8)
        let parent = dr_openat(AT_FDCWD, above, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        if parent < 0 {
            if errno == ENOENT { return }
            throw SystemError.last("open", above).failure(side: .target)
        }
        defer { close(parent) }
        do { try remove(name, in: parent) } catch {
            throw error.failure(side: .target)
        }
    }

    private static func remove(_ name: [UInt8], in parent: Int32) throws(SystemError) {
        if try removeEntry(name, in: parent) { return }
        var (current, status) = try open(name, in: parent)
        let device = status.st_dev
        var levels = [Level(name: name, inode: status.st_ino)]
        defer { _ = close(current) }
        while let level = levels.last {
            if let child = try firstDirectory(in: current) {
                let (below, status) = try open(child, in: current)
                guard status.st_dev == device else {
                    _ = close(below)
                    throw error("rmdir", child, EXDEV)
                }
                _ = close(current)
                current = below
                levels.append(Level(name: child, inode: status.st_ino))
                continue
            }
            levels.removeLast()
            guard let above = levels.last else {
                try removeDirectory(level.name, in: parent)
                return
            }
            let (found, status) = try open(Array("..".utf8), in: current)
            guard status.st_ino == above.inode, status.st_dev == device else {
                _ = close(found)
                throw error("rmdir", level.name, ESTALE)
            }
            _ = close(current)
            current = found
            try removeDirectory(level.name, in: current)
        }
    }

    /// Removes all that is no directory.
    ///
    /// - Returns: A directory that holds something; nil when nothing is left.
    private static func firstDirectory(in directory: Int32) throws(SystemError) -> [UInt8]? {
        let own = dr_openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard own >= 0, let entries = fdopendir(own) else {
            throw .last("opendir", bytes: [])
        }
        defer { closedir(entries) }
        while let entry = readdir(entries) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: UInt8.self, capacity: 256) {
                    Array(UnsafeBufferPointer(start: $0, count: strlen($0)))
                }
            }
            if name == [46] || name == [46, 46] { continue }
            if try removeEntry(name, in: directory) { continue }
            if EntryName.withCString(name, { unlinkat(directory, $0, AT_REMOVEDIR) }) == 0 {
                continue
            }
            let number = dr_errno()
            if number == ENOENT { continue }
            guard number == ENOTEMPTY || number == EEXIST else {
                throw error("rmdir", name, number)
            }
            return name
        }
        return nil
    }

    /// - Returns: False for a directory.
    private static func removeEntry(_ name: [UInt8], in directory: Int32) throws(SystemError)
        -> Bool
    {
        if EntryName.withCString(name, { unlinkat(directory, $0, 0) }) == 0 { return true }
        switch dr_errno() {
        case ENOENT: return true
        case EISDIR, EPERM: return false
        case let number: throw error("unlink", name, number)
        }
    }

    private static func removeDirectory(_ name: [UInt8], in parent: Int32) throws(SystemError) {
        if EntryName.withCString(name, { unlinkat(parent, $0, AT_REMOVEDIR) }) != 0,
            dr_errno() != ENOENT
        {
            throw error("rmdir", name, dr_errno())
        }
    }

    private static func open(_ name: [UInt8], in directory: Int32) throws(SystemError)
        -> (Int32, stat)
    {
        let descriptor = EntryName.withCString(name) {
            dr_openat(directory, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        }
        var status = stat()
        guard descriptor >= 0, fstat(descriptor, &status) == 0 else {
            throw .last("open", bytes: name)
        }
        return (descriptor, status)
    }

    private static func error(_ call: String, _ name: [UInt8], _ number: Int32) -> SystemError {
        SystemError(call, path: String(decoding: name, as: UTF8.self), number: number)
    }
}
