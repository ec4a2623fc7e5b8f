import CLinux
import Glibc

/// Makes trees with everything in them that file systems allow and backups forget.
///
/// The same seed makes the same tree: names that are no UTF-8, hold a newline or 255 bytes, hard
/// links within and across directories, sparse files, FIFOs, dangling and absolute symbolic links,
/// extended attributes, an ACL, odd modes and times and, as root, owners and devices.
public struct TreeMaker {
    public let seed: UInt64
    private var random: SeededRandom
    private var files: [(directory: DirectoryHandle, name: [UInt8])] = []

    public init(seed: UInt64 = TestEnvironment.seed) {
        self.seed = seed
        random = SeededRandom(seed: seed)
    }

    /// Makes a tree at `path`, which must not exist: one of everything, then random entries.
    ///
    /// - Parameters:
    ///   - entries: How many random entries to add.
    ///   - largest: Size of the largest random file, in bytes.
    ///   - beyondPathMaximum: Nest directories deeper than a path can say; GNU tar fails on that.
    public mutating func make(
        at path: String, entries: Int = 200, largest: Int = 300_000,
        beyondPathMaximum: Bool = false
    ) throws {
        guard mkdir(path, 0o755) == 0 else { throw OutsideProgram.Problem("mkdir \(path)") }
        let top = try DirectoryHandle(path)
        try addOneOfEverything(in: top)
        try addDeep(levels: beyondPathMaximum ? 24 : 16, in: top)
        var directories = [top]
        // Few enough to be held open at once.
        for number in 0..<entries {
            let directory = directories[Int.random(in: 0..<directories.count, using: &random)]
            let name = oddName(number)
            switch Int.random(in: 0..<20, using: &random) {
            case 0,
                1 where directories.count < 64:
                directories.append(try addDirectory(name, in: directory))
            case 2: try addLink(name, to: oddName(number / 2), in: directory)
            case 3: try addHardLink(name, in: directory)
            case 4: try addFifo(name, in: directory)
            case 5: try addSparse(name, in: directory, largest: largest)
            default:
                // Most files are small.
                let scale = Double.random(in: 0..<1, using: &random)
                let size = Int(Double(largest) * scale * scale * scale * scale)
                try addFile(name, size: size, in: directory)
            }
        }
        // Every entry made changes its directory's time, so directories come last, deepest first.
        files = []
        for directory in directories.reversed() { try settle(directory) }
    }

    /// Changes some of a tree that `make` made: content, size, names, modes, presence.
    ///
    /// - Parameter count: How many changes.
    public mutating func change(at path: String, count: Int = 20) throws {
        let top = try DirectoryHandle(path)
        var regular = try top.names().filter { try top.status($0).st_mode & S_IFMT == S_IFREG }
        for number in 0..<count {
            let index = regular.isEmpty ? 0 : Int.random(in: 0..<regular.count, using: &random)
            switch regular.isEmpty ? 0 : Int.random(in: 0..<5, using: &random) {
            case 0: try addFile(Array("new-\(seed)-\(number)".utf8), size: 5000, in: top)
            case 1:
                try top.check(top.with(regular[index]) { unlink($0) }, "unlink", regular[index])
                regular.remove(at: index)
            case 2:
                let name = Array("renamed-\(seed)-\(number)".utf8)
                let result = top.with(regular[index]) { old in top.with(name) { rename(old, $0) } }
                try top.check(result, "rename", name)
                regular[index] = name
            case 3:
                let name = regular[index]
                try top.check(top.with(name) { chmod($0, 0o640) }, "chmod", name)
            default: try write(random.text(3000), to: regular[index], in: top, at: 100)
            }
        }
    }

    // MARK: One entry of each kind

    private mutating func addOneOfEverything(in top: DirectoryHandle) throws {
        let names: [[UInt8]] = [
            Array("plain".utf8), Array(" leading and trailing ".utf8), Array("new\nline".utf8),
            Array("tab\tquote'\"$`\\".utf8), Array("-rf".utf8), Array("grüße-日本-🌙".utf8),
            Array("e\u{301}".utf8), Array("é".utf8), [0xff, 0xfe, 0x80], Array("\u{1b}[31m".utf8),
            Array(repeating: UInt8(ascii: "n"), count: 255), Array("...".utf8),
        ]
        for name in names { try addFile(name, size: 100, in: top) }
        try addFile(Array("empty".utf8), size: 0, in: top)
        try addFile(Array("large".utf8), size: 700_000, in: top)
        try addSparse(Array("sparse".utf8), in: top, largest: 8 << 20)
        let hollow = Array("all hole".utf8)
        try write([], to: hollow, in: top, at: 0)
        try top.check(top.with(hollow) { truncate($0, 3 << 20) }, "truncate", hollow)
        try setTime(of: hollow, in: top)
        try addHardLink(Array("hard link".utf8), in: top)
        try addFifo(Array("fifo".utf8), in: top)
        try addLink(Array("dangling".utf8), to: Array("nowhere/at\u{20}all".utf8), in: top)
        try addLink(Array("absolute".utf8), to: Array("/etc/hostname".utf8), in: top)
        try addLink([0xc3, 0x28], to: [0xff, 0x2f, 0xfe], in: top)
        for (name, mode) in [("setuid", 0o4755), ("setgid", 0o2711)] {
            try addFile(Array(name.utf8), size: 10, in: top, mode: mode_t(mode))
        }
        let sticky = try addDirectory(Array("sticky".utf8), in: top)
        try addFile(Array("inside".utf8), size: 10, in: sticky)
        try sticky.check(fchmod(sticky.descriptor, 0o1777), "chmod", [])
        try settle(sticky)
        try settle(try addDirectory(Array("empty directory".utf8), in: top))
        let tagged = Array("tagged".utf8)
        try addFile(tagged, size: 10, in: top)
        try setAttribute("user.dr.text", Array("value".utf8), of: tagged, in: top)
        try setAttribute("user.dr.binary", [0, 1, 0xff, 0], of: tagged, in: top)
        try setAttribute("user.dr.empty", [], of: tagged, in: top)
        try setAttribute("system.posix_acl_access", Self.accessList, of: tagged, in: top)
        let old = Array("before 1970".utf8)
        try addFile(old, size: 10, in: top)
        try setTime(-86_400 * 365, of: old, in: top)
        guard TestEnvironment.isRoot else { return }
        try addFile(Array("unreadable".utf8), size: 10, in: top, mode: 0)
        try setAttribute("trusted.dr", Array("root only".utf8), of: tagged, in: top)
        let kinds: [mode_t] = [S_IFCHR, S_IFBLK]
        for (kind, name) in zip(kinds, ["character device", "block device"]) {
            let bytes = Array(name.utf8)
            let result = top.with(bytes) { mknod($0, kind | 0o640, dr_makedev(7, 99)) }
            try top.check(result, "mknod", bytes)
            try setTime(of: bytes, in: top)
        }
    }

    /// Directories of 200 bytes in one another, a file in the last.
    private mutating func addDeep(levels: Int, in top: DirectoryHandle) throws {
        var directories = [top]
        for _ in 0..<levels {
            let name = Array(repeating: UInt8(ascii: "d"), count: 200)
            directories.append(try addDirectory(name, in: directories[directories.count - 1]))
        }
        try addFile(Array("bottom".utf8), size: 50, in: directories[levels])
        for directory in directories.reversed() { try settle(directory) }
    }

    /// `user::rw-,user:1234:r--,group::r--,mask::r--,other::---`, as the kernel keeps it.
    private static let accessList: [UInt8] =
        [2, 0, 0, 0] + entry(1, 6, .max) + entry(2, 4, 1234) + entry(4, 4, .max)
        + entry(16, 4, .max) + entry(32, 0, .max)

    private static func entry(_ tag: UInt8, _ permissions: UInt8, _ id: UInt32) -> [UInt8] {
        [tag, 0, permissions, 0] + (0..<4).map { UInt8(truncatingIfNeeded: id >> (8 * $0)) }
    }

    private mutating func oddName(_ number: Int) -> [UInt8] {
        let plain = Array("\(number)".utf8)
        switch Int.random(in: 0..<8, using: &random) {
        case 0: return plain + random.bytes(9).filter { $0 != 0 && $0 != UInt8(ascii: "/") }
        case 1: return plain + Array(" ü\n".utf8)
        default: return plain + Array(".data".utf8)
        }
    }

    private mutating func addFile(
        _ name: [UInt8], size: Int, in directory: DirectoryHandle, mode: mode_t? = nil
    ) throws {
        let isText = Bool.random(using: &random)
        try write(isText ? random.text(size) : random.bytes(size), to: name, in: directory, at: 0)
        if TestEnvironment.isRoot {
            let owner = UInt32.random(in: 0..<70000, using: &random)
            let result = directory.with(name) { lchown($0, owner, owner / 2) }
            try directory.check(result, "chown", name)
        }
        let any = mode_t.random(in: 0...0o777, using: &random)
        let result = directory.with(name) { chmod($0, mode ?? (any | 0o400)) }
        try directory.check(result, "chmod", name)
        if Int.random(in: 0..<10, using: &random) == 0 {
            try setAttribute("user.dr.random", random.bytes(40), of: name, in: directory)
        }
        try setTime(of: name, in: directory)
        files.append((directory, name))
    }

    private mutating func addSparse(
        _ name: [UInt8], in directory: DirectoryHandle, largest: Int
    ) throws {
        try write([], to: name, in: directory, at: 0)
        let blocks = max(16, largest / 65536)
        let result = directory.with(name) { truncate($0, off_t(blocks * 65536 + 123)) }
        try directory.check(result, "truncate", name)
        for block in 0..<blocks where Int.random(in: 0..<4, using: &random) == 0 {
            try write(random.bytes(9000), to: name, in: directory, at: block * 65536)
        }
        try setTime(of: name, in: directory)
    }

    private mutating func addHardLink(_ name: [UInt8], in directory: DirectoryHandle) throws {
        guard !files.isEmpty else { return }
        let file = files[Int.random(in: 0..<files.count, using: &random)]
        let result = file.name.withUnsafeBufferPointer { _ in
            file.directory.with(file.name) { old in directory.with(name) { link(old, $0) } }
        }
        try directory.check(result, "link", name)
    }

    private mutating func addFifo(_ name: [UInt8], in directory: DirectoryHandle) throws {
        try directory.check(directory.with(name) { mkfifo($0, 0o600) }, "mkfifo", name)
        try directory.check(directory.with(name) { chmod($0, 0o622) }, "chmod", name)
        try setTime(of: name, in: directory)
    }

    private mutating func addLink(
        _ name: [UInt8], to target: [UInt8], in directory: DirectoryHandle
    ) throws {
        let result = (target + [0]).withUnsafeBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { text in
                directory.with(name) { path in text.baseAddress.map { symlink($0, path) } ?? -1 }
            }
        }
        try directory.check(result, "symlink", name)
        try setTime(of: name, in: directory)
    }

    private func addDirectory(_ name: [UInt8], in directory: DirectoryHandle) throws
        -> DirectoryHandle
    {
        try directory.check(directory.with(name) { mkdir($0, 0o750) }, "mkdir", name)
        return try DirectoryHandle(name, in: directory)
    }

    /// Gives a directory a time; the last that is done to it.
    private mutating func settle(_ directory: DirectoryHandle) throws {
        let time = randomTime()
        try directory.check(futimens(directory.descriptor, [time, time]), "utimes", [])
    }

    /// Sets both times of an entry itself; random ones unless `seconds` says when.
    private mutating func setTime(
        _ seconds: Int? = nil, of name: [UInt8], in directory: DirectoryHandle
    ) throws {
        var time = randomTime()
        if let seconds { time.tv_sec = seconds }
        let result = directory.with(name) {
            utimensat(AT_FDCWD, $0, [time, time], AT_SYMLINK_NOFOLLOW)
        }
        try directory.check(result, "utimes", name)
    }

    private mutating func randomTime() -> timespec {
        timespec(
            tv_sec: Int.random(in: 0..<1_700_000_000, using: &random),
            tv_nsec: Int.random(in: 0..<1_000_000_000, using: &random))
    }

    /// Sets an attribute; a file system without attributes is no error, nor is a file that its owner
    /// may not write.
    private func setAttribute(
        _ key: String, _ value: [UInt8], of name: [UInt8], in directory: DirectoryHandle
    ) throws {
        let result = directory.with(name) { lsetxattr($0, key, value, value.count, 0) }
        if result != 0, [ENOTSUP, EPERM, EACCES].contains(errno) { return }
        try directory.check(result, "setxattr \(key)", name)
    }

    private func write(
        _ bytes: [UInt8], to name: [UInt8], in directory: DirectoryHandle, at offset: Int
    ) throws {
        let descriptor = directory.with(name) {
            dr_openat(AT_FDCWD, $0, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o644)
        }
        guard descriptor >= 0 else { throw OutsideProgram.Problem("open \(escaped(name))") }
        defer { close(descriptor) }
        guard pwrite(descriptor, bytes, bytes.count, off_t(offset)) == bytes.count else {
            throw OutsideProgram.Problem("write \(escaped(name))")
        }
    }
}
