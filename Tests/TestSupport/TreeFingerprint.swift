import CLinux
import Glibc

/// Everything that a tree of files is, in lines that can be compared.
///
/// Walks the tree by itself, with none of the code that captures and restores trees.
public struct TreeFingerprint: Sendable, Equatable, CustomStringConvertible {
    /// What is looked at; a restore without root's rights is judged without owners, for example.
    public struct Aspects: OptionSet, Sendable {
        public let rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }
        public static let owners = Aspects(rawValue: 1)
        public static let times = Aspects(rawValue: 2)
        public static let attributes = Aspects(rawValue: 4)
        public static let holes = Aspects(rawValue: 8)
        public static let hardLinks = Aspects(rawValue: 16)
        public static let modes = Aspects(rawValue: 32)
        /// Mode, owner, times and attributes of the top directory too.
        public static let top = Aspects(rawValue: 64)
        public static let all: Aspects = [
            .owners, .times, .attributes, .holes, .hardLinks, .modes, .top,
        ]
    }

    /// From the path below the top, escaped, `.` for the top itself, to what is there.
    public private(set) var entries: [String: String] = [:]

    /// Walks the tree at `path`, or looks at the single file there.
    public init(of path: String, aspects: Aspects = .all) throws {
        var walk = Walk(aspects: aspects)
        let trimmed = path.split(separator: "/").map { Array($0.utf8) }
        guard let name = trimmed.last else { throw OutsideProgram.Problem("fingerprint of /") }
        let above = path.dropLast(path.hasSuffix("/") ? 1 : 0).dropLast(name.count)
        let parent = try DirectoryHandle(above.isEmpty ? "." : String(above))
        try walk.visit(name, in: parent, shown: ".")
        entries = walk.finished()
    }

    /// What differs from `other`, in readable lines, the first `limit` of them; empty when equal.
    public func differences(from other: TreeFingerprint, limit: Int = 20) -> [String] {
        var lines: [String] = []
        for path in Set(entries.keys).union(other.entries.keys).sorted() {
            let (mine, theirs) = (entries[path], other.entries[path])
            if mine == theirs { continue }
            if lines.count == limit { return lines + ["… and more"] }
            lines.append("\(path): \(mine ?? "absent") <> \(theirs ?? "absent")")
        }
        return lines
    }

    public var description: String {
        entries.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: "\n")
    }
}

// Linux's values; Swift's Glibc module has neither.
private let seekData: Int32 = 3
private let seekHole: Int32 = 4

private struct Walk {
    struct Inode: Hashable {
        var device: UInt
        var number: UInt
    }
    let aspects: TreeFingerprint.Aspects
    var lines: [String: String] = [:]
    var names: [Inode: [String]] = [:]

    mutating func visit(_ name: [UInt8], in parent: DirectoryHandle, shown: String) throws {
        let status = try parent.status(name)
        let kind = status.st_mode & S_IFMT
        let isTop = shown == "."
        var parts: [String] = []
        switch kind {
        case S_IFREG:
            parts.append("file \(status.st_size)")
            try parts.append(content(name, in: parent, size: status.st_size))
            if status.st_nlink > 1 {
                names[Inode(device: status.st_dev, number: status.st_ino), default: []]
                    .append(shown)
            }
        case S_IFDIR: parts.append("directory")
        case S_IFLNK: parts.append("link to \(target(name, in: parent))")
        case S_IFIFO: parts.append("fifo")
        case S_IFSOCK: parts.append("socket")
        default:
            let letter = kind == S_IFCHR ? "c" : "b"
            parts.append("\(letter) \(dr_major(status.st_rdev)),\(dr_minor(status.st_rdev))")
        }
        if !isTop || aspects.contains(.top) {
            if aspects.contains(.modes), kind != S_IFLNK {
                parts.append("mode " + String(status.st_mode & 0o7777, radix: 8))
            }
            if aspects.contains(.owners) { parts.append("owner \(status.st_uid):\(status.st_gid)") }
            if aspects.contains(.times) {
                parts.append("mtime \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)")
            }
            if aspects.contains(.attributes) {
                for attribute in parent.attributes(name) {
                    parts.append("\(attribute.name)=\(escaped(attribute.value))")
                }
            }
        }
        lines[shown] = parts.joined(separator: ", ")
        guard kind == S_IFDIR else { return }
        let directory = try DirectoryHandle(name, in: parent)
        for child in try directory.names() {
            let below = escaped(child)
            try visit(child, in: directory, shown: isTop ? below : "\(shown)/\(below)")
        }
    }

    /// The lines, with hard links named by the first name of their file.
    func finished() -> [String: String] {
        guard aspects.contains(.hardLinks) else { return lines }
        var result = lines
        for group in names.values where group.count > 1 {
            let first = group.min() ?? ""
            for path in group { result[path]? += ", same file as \(first)" }
        }
        return result
    }

    private func target(_ name: [UInt8], in parent: DirectoryHandle) -> String {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = buffer.withUnsafeMutableBytes { bytes in
            parent.with(name) { path in
                bytes.bindMemory(to: CChar.self).baseAddress.map {
                    readlink(path, $0, bytes.count)
                } ?? -1
            }
        }
        return escaped(buffer.prefix(max(0, count)))
    }

    /// A 128-bit sum of the bytes, and where the file has data.
    private func content(_ name: [UInt8], in parent: DirectoryHandle, size: Int) throws -> String {
        let descriptor = parent.with(name) {
            dr_openat(AT_FDCWD, $0, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0)
        }
        guard descriptor >= 0 else { throw OutsideProgram.Problem("open \(escaped(name))") }
        defer { close(descriptor) }
        var sum = ContentSum()
        var extents: [String] = []
        var hasHole = false
        var position = 0
        while position < size {
            let data = lseek(descriptor, off_t(position), seekData)
            if data < 0, errno == ENXIO {  // a hole up to the end
                sum.addZeros(size - position)
                hasHole = true
                break
            }
            let from = data < 0 ? position : Int(data)
            let hole = lseek(descriptor, off_t(from), seekHole)
            let to = hole < 0 ? size : min(size, Int(hole))
            if from > position { hasHole = true }
            sum.addZeros(from - position)
            try add(descriptor, from..<to, to: &sum)
            extents.append("\(from)-\(to)")
            position = to
        }
        guard aspects.contains(.holes), hasHole else { return sum.text }
        return "\(sum.text), data at [\(extents.joined(separator: " "))]"
    }

    private func add(_ descriptor: Int32, _ range: Range<Int>, to sum: inout ContentSum) throws {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        var position = range.lowerBound
        while position < range.upperBound {
            let wanted = min(buffer.count, range.upperBound - position)
            let count = pread(descriptor, &buffer, wanted, off_t(position))
            guard count > 0 else { throw OutsideProgram.Problem("read at \(position)") }
            buffer.withUnsafeBytes { sum.add($0[..<count]) }
            position += count
        }
    }
}

/// Two multiplicative hashes over the bytes; zeros are cheap, so that sparse files are.
private struct ContentSum {
    private var first: UInt64 = 0xcbf2_9ce4_8422_2325
    private var second: UInt64 = 0x6c62_272e_07bb_0142
    private var count: UInt64 = 0

    mutating func add(_ bytes: Slice<UnsafeRawBufferPointer>) {
        for byte in bytes {
            count &+= 1
            if byte == 0 { continue }  // a byte counts by its value and its place
            let mixed = (count &* 0x9e37_79b9_7f4a_7c15) ^ (UInt64(byte) &* 0xff51_afd7_ed55_8ccd)
            first = (first ^ mixed) &* 0x0000_0100_0000_01b3
            second = (second &+ (mixed ^ (mixed >> 29))) &* 0xc4ce_b9fe_1a85_ec53
        }
    }

    mutating func addZeros(_ number: Int) { count &+= UInt64(number) }

    var text: String { "sum \(String(first ^ count, radix: 36))-\(String(second, radix: 36))" }
}
