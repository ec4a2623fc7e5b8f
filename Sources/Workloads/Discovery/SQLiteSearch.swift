import CLinux
import Engine
import Glibc
import Model

/// Looks for SQLite databases in a tree, by their first bytes.
struct SQLiteSearch: Sendable {
    /// Most entries that are looked at in one tree.
    static let limit = 20_000

    /// Paths below the tree's root, in order.
    var found: [String] = []
    /// The tree has more entries than were looked at.
    var isCut = false

    private static let magic = Array("SQLite format 3\0".utf8)

    /// Looks through a directory, or at one file. May block.
    init(in root: String) {
        var status = stat()
        guard stat(root, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFREG {
            if Self.isDatabase(root, status) { found = [""] }
            return
        }
        var pending = [""]
        var count = 0
        let files = FileSystem()
        while let directory = pending.popLast() {
            for name in (try? files.names(in: root + directory)) ?? [] {
                count += 1
                guard count <= Self.limit else {
                    isCut = true
                    found.sort()
                    return
                }
                let path = "\(directory)/\(name)"
                guard lstat(root + path, &status) == 0 else { continue }
                switch status.st_mode & S_IFMT {
                case S_IFDIR: pending.append(path)
                case S_IFREG where Self.isDatabase(root + path, status): found.append(path)
                default: break
                }
            }
        }
        found.sort()
    }

    /// Whole pages of at least 512 bytes, and the first bytes that every one has.
    private static func isDatabase(_ path: String, _ status: stat) -> Bool {
        guard status.st_size >= 512, status.st_size % 512 == 0 else { return false }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var head = [UInt8](repeating: 0, count: magic.count)
        return read(descriptor, &head, head.count) == head.count && head == magic
    }
}
