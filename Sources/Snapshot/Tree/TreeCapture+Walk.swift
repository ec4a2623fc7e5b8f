import CLinux
import Engine
import Glibc
import Model
import Workloads

extension TreeCapture {
    /// A file alone is the root of its tree.
    func single(_ path: String) throws {
        let name = Array(path.utf8).split(separator: UInt8(ascii: "/")).last.map(Array.init) ?? []
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let directory = dr_openat(
            AT_FDCWD, parent.isEmpty ? "/" : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard directory >= 0 else { throw SystemError.last("open", parent).failure(side: .source) }
        defer { close(directory) }
        var status = stat()
        guard withName(name, { fstatat(directory, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 else {
            throw SystemError.last("stat", path).failure(side: .source)
        }
        try entry(ListedEntry(name: name, status: status), in: directory, path: [])
        // Of nothing but this file there is no tree without it.
        guard pending.count > pendingHead || entries > 0 else {
            throw Failure(
                .failed, "cannot be captured: \(printable(path.utf8))",
                cause: omissions.first, side: .source)
        }
    }

    // MARK: The walk

    func walk(from root: Int32, status: stat) throws {
        var descent = DirectoryDescent()
        defer { descent.closeAll() }
        try enter(root, named: [], status: status, &descent)
        while let descriptor = descent.descriptor {
            guard let child = descent.nextChild() else {
                descent.leave { path in
                    note("\(shownPath(path)): was moved while it was read, not all of it is here")
                }
                continue
            }
            try cancelled()
            let above = descent.path
            let path = above.isEmpty ? child.name : above + [UInt8(ascii: "/")] + child.name
            if !exclude.isEmpty {
                let whole = rootPath + [UInt8(ascii: "/")] + path
                if exclude.contains(where: { $0.matches(whole) }) { continue }
            }
            guard child.status.st_mode & S_IFMT == S_IFDIR else {
                try entry(child, in: descriptor, path: path)
                continue
            }
            let opened = withName(child.name) {
                dr_openat(descriptor, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
            }
            guard opened >= 0 else {
                omit(path, errno)
                continue
            }
            try enter(opened, named: child.name, status: child.status, &descent)
            try settleOften()
        }
    }

    /// Puts the directory's entry and goes into it, if there is something to be read; takes the
    /// descriptor over.
    private func enter(
        _ descriptor: Int32, named name: [UInt8], status: stat, _ descent: inout DirectoryDescent
    ) throws {
        let above = descent.path
        let path = above.isEmpty ? name : above + [UInt8(ascii: "/")] + name
        var entry = TreeEntry(at: path, .directory, status)
        attachAttributes(of: descriptor, to: &entry, unlessKnownFrom: previous?.entry(at: path))
        put(.ready(entry))
        if options.oneFileSystem && status.st_dev != rootDevice {
            close(descriptor)
            return
        }
        do throws(SystemError) {
            // Nobody sees the path of the error: to show it would cost more than to list it.
            let children = try DirectoryListing.read(descriptor, path: "") { name, number in
                omit(path.isEmpty ? name : path + [47] + name, number)
            }
            descent.enter(descriptor, named: name, status: status, children: children)
        } catch {
            close(descriptor)
            omit(path, error.number)
        }
    }

    private func entry(_ listed: ListedEntry, in directory: Int32, path: [UInt8]) throws {
        let status = listed.status
        switch status.st_mode & S_IFMT {
        case S_IFREG: try file(listed, in: directory, path: path)
        case S_IFLNK:
            guard
                let target = readSymlink(listed.name, in: directory, length: Int(status.st_size))
            else { return omit(path, errno) }
            var entry = TreeEntry(at: path, .symlink, status)
            entry.linkTarget = target
            attachAttributes(listed.name, in: directory, to: &entry)
            put(.ready(entry))
        case S_IFIFO: special(listed, .fifo, in: directory, path: path)
        case S_IFCHR: special(listed, .characterDevice, in: directory, path: path)
        case S_IFBLK: special(listed, .blockDevice, in: directory, path: path)
        // A socket is made by the program that listens on it: never data.
        default: break
        }
        try settleOften()
    }

    private func settleOften() throws {
        if pending.count - pendingHead > 2048 { try settle() }
    }

    private func special(
        _ listed: ListedEntry, _ type: EntryType, in directory: Int32, path: [UInt8]
    ) {
        var entry = TreeEntry(at: path, type, listed.status)
        let device = listed.status.st_rdev
        entry.deviceNumber = (dr_major(device), dr_minor(device))
        attachAttributes(listed.name, in: directory, to: &entry)
        put(.ready(entry))
    }
}
