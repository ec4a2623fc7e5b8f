import CLinux
import Engine
import Glibc
import Model

/// The place a tree is written to: one name in an open directory.
struct TreeTarget: Sendable {
    let path: String
    /// The directory that holds the target, open.
    let parent: Int32
    /// The target's name within `parent`.
    let name: [UInt8]
    private let mayHoldEntries: Bool

    /// - Parameter mayHoldEntries: Whether the target may exist with something in it.
    init(path: String, mayHoldEntries: Bool) throws {
        let components = path.split(separator: "/").filter { $0 != "." }
        guard !path.utf8.contains(0), !components.contains("..") else {
            throw Failure(
                .usage, "restore to \(printable(path.utf8)): the path has a .. or a zero byte")
        }
        let above = (path.hasPrefix("/") ? "/" : "") + components.dropLast().joined(separator: "/")
        self.path = path
        self.mayHoldEntries = mayHoldEntries
        name = components.last.map { Array($0.utf8) } ?? Array(".".utf8)
        let files = FileSystem()
        do {
            try files.makeDirectories(above, mode: 0o755)
            parent = try files.open(above.isEmpty ? "." : above, flags: dr_O_PATH | O_DIRECTORY)
        } catch {
            throw error.failure(side: .target)
        }
        do {
            try check()
        } catch {
            close()
            throw error
        }
    }

    func close() { _ = Glibc.close(parent) }

    /// The target as an open directory, made when missing, and whether it was.
    func openDirectory() throws(SystemError) -> (descriptor: Int32, isNew: Bool) {
        for _ in 0..<3 {
            let isNew = EntryName.withCString(name) { mkdirat(parent, $0, 0o700) } == 0
            if !isNew, dr_errno() != EEXIST { throw .last("mkdir", path) }
            let descriptor = open()
            if descriptor >= 0 { return (descriptor, isNew) }
            guard [ENOTDIR, ELOOP].contains(dr_errno()), mayHoldEntries else { break }
            try EntryName.remove(name, in: parent, path: Array(path.utf8))
        }
        throw .last("open", path)
    }

    /// Makes durable what was written beside it: a target that is no directory.
    func synchronizeParent() throws(SystemError) {
        let descriptor = dr_openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        if descriptor < 0 { throw .last("open", path) }
        defer { _ = Glibc.close(descriptor) }
        if dr_syncfs(descriptor) != 0 { throw .last("syncfs", path) }
    }

    private func open() -> Int32 {
        EntryName.withCString(name) {
            dr_openat(parent, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        }
    }

    private func check() throws {
        let shown = printable(path.utf8)
        var status = stat()
        let found = EntryName.withCString(name) {
            fstatat(parent, $0, &status, AT_SYMLINK_NOFOLLOW)
        }
        if found != 0 {
            if dr_errno() == ENOENT { return }
            throw SystemError.last("stat", path).failure(side: .target)
        }
        switch status.st_mode & S_IFMT {
        case S_IFLNK:
            throw Failure(
                .failed, "restore to \(shown): it is a symbolic link, which is never followed",
                hint: "name the directory it points to, or remove the link", side: .target)
        case S_IFDIR:
            if mayHoldEntries { return }
            let descriptor = open()
            guard descriptor >= 0, let entries = fdopendir(descriptor) else {
                throw SystemError.last("open", path).failure(side: .target)
            }
            defer { closedir(entries) }
            while let entry = readdir(entries) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                // A fresh file system has a lost+found.
                if [".", "..", "lost+found"].contains(name) { continue }
                throw Failure(
                    .failed, "restore to \(shown): the directory is not empty",
                    hint: "choose another place, or allow its content to be replaced",
                    side: .target)
            }
        default:
            if mayHoldEntries { return }
            throw Failure(
                .failed, "restore to \(shown): a file is in the way",
                hint: "choose another place, or allow it to be replaced", side: .target)
        }
    }
}

extension EntryName {
    /// Removes what has `name`: anything but a directory that holds something. Follows nothing.
    static func remove(_ name: [UInt8], in directory: Int32, path: [UInt8]) throws(SystemError) {
        if withCString(name, { unlinkat(directory, $0, 0) }) == 0 { return }
        if dr_errno() == EISDIR || dr_errno() == EPERM {
            if withCString(name, { unlinkat(directory, $0, AT_REMOVEDIR) }) == 0 { return }
        }
        if dr_errno() != ENOENT { throw .last("unlink", bytes: path) }
    }

    /// Opens `path` beneath `root` with `O_PATH`, following no symbolic link.
    ///
    /// - Returns: -1 when it cannot be reached so.
    static func openBeneath(_ path: [UInt8], under root: Int32) -> Int32 {
        let flags = dr_O_PATH | O_NOFOLLOW | O_CLOEXEC
        let opened = withCString(path) { dr_open_beneath(root, $0, UInt64(flags)) }
        if opened >= 0 || ![ENOSYS, EPERM, ENAMETOOLONG].contains(dr_errno()) { return opened }
        var directory = root
        let components = path.split(separator: slash, omittingEmptySubsequences: false)
        for (index, component) in components.enumerated() {
            let isLast = index == components.count - 1
            let next = withCString(component) {
                dr_openat(directory, $0, flags | (isLast ? 0 : O_DIRECTORY), 0)
            }
            if directory != root { _ = Glibc.close(directory) }
            if next < 0 || isLast { return next }
            directory = next
        }
        return -1
    }
}
