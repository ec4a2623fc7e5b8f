import CLinux
import Engine
import FoundationEssentials
import Glibc
import Model

/// Which bind mounts are data, and which are the machine's own.
struct MountRules: Sendable {
    /// Where the Engine keeps images, layers and volumes, links resolved.
    let dataRoot: String
    /// Where the Engine listens, links resolved.
    let sockets: [String]

    /// What a mount's source is, as far as the rules ask.
    struct Source: Sendable {
        /// Without links, absolute.
        var path: String
        var kind: Kind
        var fileSystem: FileSystem

        enum Kind: Sendable { case directory, file, special, missing }
        enum FileSystem: Sendable, Hashable { case local, network(String), kernel }
    }

    /// Why the source is never data; nil when it is.
    func exclusion(of source: Source) -> String? {
        switch source.kind {
        case .special: return Self.isSpecial
        case .missing, .file, .directory: break
        }
        if source.path == "/" { return "it is the whole machine" }
        for place in ["/proc", "/sys", "/dev", "/run"] where Self.lies(source.path, in: place) {
            return "it belongs to the running system"
        }
        // They belong to the installed kernel: on another machine they would break it.
        for place in ["/boot", "/lib/modules", "/usr/lib/modules"]
        where Self.lies(source.path, in: place) {
            return "it belongs to the machine's kernel"
        }
        if Self.lies(source.path, in: dataRoot) { return "it is the Docker Engine's own store" }
        if case .network(let type) = source.fileSystem {
            return "\(Self.isNetwork) (\(type))"
        }
        if source.fileSystem == .kernel { return "it belongs to the running system" }
        return nil
    }

    /// How the reason begins for what other machines use as well.
    static let isNetwork = "it is a network file system"
    /// The reason for sockets and devices.
    static let isSpecial = "it is a socket or device"
    /// The reason for what was not there.
    static let isMissing = "it does not exist"

    /// Whether someone who may write at `path` can reach the Engine.
    func reachesEngine(_ path: String) -> Bool {
        sockets.contains { Self.lies($0, in: path) }
    }

    /// Whether `path` is `place` or lies beneath it.
    static func lies(_ path: String, in place: String) -> Bool {
        path == place || place == "/" || path.hasPrefix(place + "/")
    }
}

extension MountRules {
    /// The rules for an Engine on this machine.
    init(dataRoot: String, socket: String) {
        self.dataRoot = Self.resolved(dataRoot)
        let known = [socket, "/var/run/docker.sock", "/run/docker.sock"]
        sockets = Array(Set(known.map(Self.resolved)))
    }

    /// Looks at a path of this machine.
    static func look(at path: String, mounts: [MountedFileSystem]) throws -> Source {
        let resolved = resolved(path)
        var status = stat()
        guard stat(path, &status) == 0 else {
            guard errno == ENOENT || errno == ENOTDIR else {
                throw SystemError.last("stat", path).failure(side: .source)
            }
            return Source(path: resolved, kind: .missing, fileSystem: .local)
        }
        let kind: Source.Kind =
            switch status.st_mode & S_IFMT {
            case S_IFDIR: .directory
            case S_IFREG: .file
            default: .special
            }
        return Source(
            path: resolved, kind: kind,
            fileSystem: MountedFileSystem.holding(resolved, in: mounts)?.kind ?? .local)
    }

    /// `path` without links; as it is where it does not exist.
    static func resolved(_ path: String) -> String {
        guard let real = realpath(path, nil) else {
            // A missing name below a directory that is a link is still beneath the real one.
            let parent = path.split(separator: "/").dropLast().joined(separator: "/")
            guard !parent.isEmpty, let name = path.split(separator: "/").last else { return path }
            return resolved("/" + parent) + "/" + name
        }
        defer { free(real) }
        return String(cString: real)
    }
}

/// One line of this process's mount table.
struct MountedFileSystem: Sendable, Hashable {
    var path: String
    /// For example `ext4`, `nfs4`, `fuse.sshfs`.
    var type: String

    /// The mount table, in the order of mounting.
    static func all() throws -> [MountedFileSystem] {
        guard let data = FileManager.default.contents(atPath: "/proc/self/mountinfo") else {
            throw Failure(.failed, "/proc/self/mountinfo cannot be read", side: .local)
        }
        return parse(String(decoding: data, as: UTF8.self))
    }

    static func parse(_ table: String) -> [MountedFileSystem] {
        table.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count > 6, let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count
            else { return nil }
            return MountedFileSystem(path: unescaped(fields[4]), type: String(fields[dash + 1]))
        }
    }

    /// The one that `path` lies on: the deepest, and of several at one place the last.
    static func holding(_ path: String, in mounts: [MountedFileSystem]) -> MountedFileSystem? {
        mounts.enumerated().filter { MountRules.lies(path, in: $0.element.path) }
            .max {
                ($0.element.path.utf8.count, $0.offset) < ($1.element.path.utf8.count, $1.offset)
            }?
            .element
    }

    var kind: MountRules.Source.FileSystem {
        let network: Set<String> = [
            "nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "afs", "9p", "glusterfs", "lustre",
            "beegfs", "ocfs2", "gfs2", "davfs",
            // A file system in user space may be local as well (mergerfs, gocryptfs, ntfs-3g).
            "fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.glusterfs", "fuse.ceph", "fuse.davfs2",
            "fuse.curlftpfs", "fuse.goofys", "fuse.juicefs", "fuse.mount-s3", "fuse.cephfs",
        ]
        if network.contains(type) { return .network(type) }
        let kernel: Set<String> = [
            "devtmpfs", "proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "debugfs",
            "tracefs", "securityfs", "autofs",
        ]
        return kernel.contains(type) ? .kernel : .local
    }

    /// `\040` and the like stand for bytes that would break the table.
    private static func unescaped(_ field: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(field.utf8)[...]
        while let first = rest.popFirst() {
            let digits = rest.prefix(3)
            if first == UInt8(ascii: "\\"), digits.count == 3,
                digits.allSatisfy({ (48...55).contains($0) })
            {
                bytes.append(digits.reduce(0) { $0 &* 8 &+ ($1 - 48) })
                rest = rest.dropFirst(3)
            } else {
                bytes.append(first)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
