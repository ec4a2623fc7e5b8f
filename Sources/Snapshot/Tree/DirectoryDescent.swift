import CLinux
import Engine
import Glibc
import Model

/// The directories from the root of a capture down to the one that is being read, with what of each
/// is still to be looked at.
///
/// Only the root and the lowest few are open: a tree may be deeper than descriptors, paths and
/// stacks allow.
struct DirectoryDescent {
    private struct Level {
        /// -1 while closed.
        var descriptor: Int32
        var device: dev_t
        var inode: ino_t
        /// Length of its path within `path`.
        var end: Int
        var children: [ListedEntry]
        var next = 0
    }

    /// Directories that are open beside the root.
    private static let limit = 32

    private var levels: [Level] = []
    /// Of the lowest directory, from the root.
    private(set) var path: [UInt8] = []

    /// The lowest directory; nil when all were left.
    var descriptor: Int32? { levels.last?.descriptor }

    /// The next entry of the lowest directory; nil when it has no more.
    mutating func nextChild() -> ListedEntry? {
        guard let level = levels.last, level.next < level.children.count else { return nil }
        levels[levels.count - 1].next += 1
        return level.children[level.next]
    }

    /// Goes to a directory of the lowest one, or to the root.
    ///
    /// - Parameter descriptor: Open; closed when the directory is left.
    mutating func enter(
        _ descriptor: Int32, named name: [UInt8], status: stat, children: [ListedEntry]
    ) {
        if !path.isEmpty { path.append(UInt8(ascii: "/")) }
        path += name
        levels.append(
            Level(
                descriptor: descriptor, device: status.st_dev, inode: status.st_ino,
                end: path.count, children: children))
        let spare = levels.count - 1 - Self.limit
        if spare >= 1, levels[spare].descriptor >= 0 {
            close(levels[spare].descriptor)
            levels[spare].descriptor = -1
        }
    }

    /// Leaves the lowest directory.
    ///
    /// - Parameter lost: Called with the path of a directory that cannot be found again, so that
    ///   what was left of it cannot be read.
    mutating func leave(lost: ([UInt8]) -> Void) {
        guard let left = levels.popLast() else { return }
        var below = left.descriptor
        path.removeLast(path.count - (levels.last?.end ?? 0))
        while let level = levels.last, level.descriptor < 0 {
            let found = reopened(level, from: below)
            if below >= 0 { close(below) }
            below = -1
            if found >= 0 {
                levels[levels.count - 1].descriptor = found
                return
            }
            if level.next < level.children.count { lost(path) }
            levels.removeLast()
            path.removeLast(path.count - (levels.last?.end ?? 0))
        }
        if below >= 0 { close(below) }
    }

    /// Closes what is open.
    mutating func closeAll() {
        for level in levels where level.descriptor >= 0 { close(level.descriptor) }
        levels = []
    }

    /// A directory that was closed, reached from the one below it, or else from the root; -1 when
    /// it is not there any more.
    private func reopened(_ level: Level, from below: Int32) -> Int32 {
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        if below >= 0 {
            let above = dr_openat(below, "..", flags, 0)
            if above >= 0, isSame(above, level) { return above }
            if above >= 0 { close(above) }
        }
        guard let root = levels.first?.descriptor, root >= 0 else { return -1 }
        var current = root
        for name in path.split(separator: UInt8(ascii: "/")) {
            let next = withName(Array(name)) { dr_openat(current, $0, flags, 0) }
            if current != root { close(current) }
            guard next >= 0 else { return -1 }
            current = next
        }
        if current != root, isSame(current, level) { return current }
        if current != root { close(current) }
        return -1
    }

    private func isSame(_ descriptor: Int32, _ level: Level) -> Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_dev == level.device
            && status.st_ino == level.inode
    }
}
