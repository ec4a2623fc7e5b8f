import CLinux
import Glibc
import Model

/// What a tree must hold, entry by entry, as it was written down when the tree was saved.
public struct ExpectedTree: Decodable, Sendable {
    public struct Entry: Decodable, Sendable {
        /// Percent-encoded, as are `first` and `target`.
        public var path: String
        public var type: String
        public var mode: UInt32?
        public var user: UInt32
        public var group: UInt32
        /// Nanoseconds since 1970.
        public var modified: Int64
        public var size: Int?
        public var sha256: String?
        public var first: String?
        public var sparse: Bool?
        public var target: String?
        public var major: UInt32?
        public var minor: UInt32?
        /// Values in hexadecimal.
        public var attributes: [String: String]?
    }

    public var entries: [Entry]

    public init(from decoder: any Decoder) throws {
        entries = try decoder.singleValueContainer().decode([Entry].self)
    }

    /// What is otherwise at `root`, in readable lines; empty when all is as it was.
    ///
    /// - Parameter isPrivileged: Devices, setuid bits and attributes of the system came back too;
    ///   owners come back to root in any case.
    public func differences(at root: String, isPrivileged: Bool) async throws -> [String] {
        var lines: [String] = []
        var sums = try await checksums(below: root)
        let top = try DirectoryHandle(root)
        var inodes: [String: UInt] = [:]
        var wanted: Set<String> = []
        for entry in entries {
            if entry.type.hasSuffix("device"), !isPrivileged { continue }
            wanted.insert(entry.path)
            let name = Self.bytes(entry.path)
            guard let status = try? top.status(name.isEmpty ? [UInt8(ascii: ".")] : name) else {
                lines.append("\(entry.path): absent")
                continue
            }
            func expect(_ what: String, _ found: some Equatable, _ right: String) {
                if "\(found)" == right { return }
                lines.append("\(entry.path): \(what) \(found), not \(right)")
            }
            expect("type", Self.type(status), entry.type)
            if let mode = entry.mode {
                expect(
                    "mode", status.st_mode & 0o7777,
                    "\(isPrivileged ? mode : mode & ~(entry.type == "file" ? 0o6000 : 0))")
            }
            if TestEnvironment.isRoot {
                expect("owner", "\(status.st_uid):\(status.st_gid)", "\(entry.user):\(entry.group)")
            }
            let time = status.st_mtim
            expect("time", time.tv_sec * 1_000_000_000 + time.tv_nsec, "\(entry.modified)")
            if let size = entry.size { expect("size", status.st_size, "\(size)") }
            if let sum = entry.sha256 {
                expect("SHA-256", sums.removeValue(forKey: name) ?? "none", sum)
            }
            if entry.sparse == true, status.st_blocks * 512 >= status.st_size {
                lines.append("\(entry.path): no holes")
            }
            if let first = entry.first {
                expect("inode", status.st_ino, "\(inodes[first] ?? 0)")
            } else {
                inodes[entry.path] = status.st_ino
            }
            if let target = entry.target {
                expect("target", top.link(name), "\(Self.bytes(target))")
            }
            if entry.major != nil {
                expect(
                    "device", "\(dr_major(status.st_rdev)):\(dr_minor(status.st_rdev))",
                    "\(entry.major ?? 0):\(entry.minor ?? 0)")
            }
            let found = Dictionary(
                uniqueKeysWithValues: top.attributes(name).map {
                    ($0.name, Hexadecimal.encode($0.value))
                })
            for (key, value) in entry.attributes ?? [:]
            where isPrivileged || key.hasPrefix("user.") || key.hasPrefix("system.") {
                expect(key, found[key] ?? "none", value)
            }
        }
        for path in try await names(below: root) where !wanted.contains(Self.encoded(path)) {
            lines.append("\(Self.encoded(path)): was never saved")
        }
        return lines
    }

    // MARK: The tree, told by other programs

    private func names(below root: String) async throws -> [[UInt8]] {
        let found = try await OutsideProgram.run(
            ["find", root, "-mindepth", "1", "-printf", "%P\\0"])
        return found.output.split(separator: 0).map(Array.init)
    }

    private func checksums(below root: String) async throws -> [[UInt8]: String] {
        let found = try await OutsideProgram(
            ["bash", "-c", "find . -type f -printf '%P\\0' | xargs -0r sha256sum -z --"],
            directory: root
        ).run()
        var sums: [[UInt8]: String] = [:]
        for line in found.output.split(separator: 0) {
            sums[Array(line.dropFirst(66))] = String(decoding: line.prefix(64), as: UTF8.self)
        }
        return sums
    }

    private static func type(_ status: stat) -> String {
        switch status.st_mode & S_IFMT {
        case S_IFREG: "file"
        case S_IFDIR: "directory"
        case S_IFLNK: "symlink"
        case S_IFIFO: "fifo"
        case S_IFCHR: "character device"
        case S_IFBLK: "block device"
        default: "something else"
        }
    }

    /// The bytes of a percent-encoded name.
    public static func bytes(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.first {
            if byte == UInt8(ascii: "%"), rest.count >= 3,
                let decoded = Hexadecimal.decode(
                    String(decoding: rest.dropFirst().prefix(2), as: UTF8.self))
            {
                bytes += decoded
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
                rest = rest.dropFirst()
            }
        }
        return bytes
    }

    /// As Python's `quote` writes them: letters, digits and a few others as they are.
    private static func encoded(_ bytes: [UInt8]) -> String {
        var text = ""
        for byte in bytes {
            let scalar = Unicode.Scalar(byte)
            let isPlain =
                byte < 0x80
                && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil
                    || "_.-~/ @+,=".unicodeScalars.contains(scalar))
            text += isPlain ? String(scalar) : "%" + Hexadecimal.encode([byte]).uppercased()
        }
        return text
    }
}

extension DirectoryHandle {
    /// Where a symbolic link points to.
    func link(_ name: [UInt8]) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = buffer.withUnsafeMutableBytes { bytes in
            with(name) { path in
                bytes.bindMemory(to: CChar.self).baseAddress.map { readlink(path, $0, bytes.count) }
                    ?? -1
            }
        }
        return Array(buffer.prefix(max(0, count)))
    }
}
