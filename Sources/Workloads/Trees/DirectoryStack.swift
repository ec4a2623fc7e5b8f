import CLinux
import Engine
import Glibc
import Model

/// The open directories from the target down to the one that entries are made in.
///
/// Every step down is one `openat` of one component with `O_NOFOLLOW | O_DIRECTORY`, which is what
/// `openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS` would check. A directory gets its metadata
/// when it is left: entries come depth first, so all it holds has been made by then.
struct DirectoryStack {
    /// What is done to a directory when it is left.
    private enum Pending {
        case nothing
        /// Its entry's metadata.
        case entry(TreeEntry, fresh: Bool)
        /// It was there before, or came back to: its time is put back.
        case time(timespec)
    }

    private struct Frame {
        /// -1 while closed to save descriptors.
        var descriptor: Int32
        /// Length of its path within `path`.
        var end: Int
        var device: UInt64
        var inode: UInt64
        var pending: Pending
        /// What is made in it takes over a group or an ACL.
        var bequeaths: Bool
    }

    private let metadata: MetadataWriter
    private var frames: [Frame] = []
    /// Path of the innermost directory from the target.
    private var path: [UInt8] = []
    /// Most descriptors held beside the target's own; deeper levels close the upper ones.
    private static let limit = 32

    /// - Parameter root: The target, open; closed by ``close()``.
    init(root: Int32, fresh: Bool, metadata: MetadataWriter) throws(SystemError) {
        self.metadata = metadata
        try append(descriptor: root, end: 0, pending: .nothing, fresh: fresh)
    }

    var root: Int32 { frames[0].descriptor }
    var current: Int32 { frames[frames.count - 1].descriptor }
    /// Whether what is made here takes over nothing from the directory.
    var isPlain: Bool { !frames[frames.count - 1].bequeaths }

    /// Goes to the directory `wanted`, making the missing ones on the way.
    ///
    /// - Throws: ENOTDIR where something else than a directory is in the way.
    mutating func go(to wanted: ArraySlice<UInt8>) throws(SystemError) {
        if wanted.elementsEqual(path) { return }
        while frames.count > 1, !holds(wanted) { try leave() }
        var start = wanted.startIndex + (path.isEmpty ? 0 : path.count + 1)
        while start < wanted.endIndex {
            let end = wanted[start...].firstIndex(of: EntryName.slash) ?? wanted.endIndex
            try enter(wanted[start..<end], entry: nil, replacing: false)
            start = end + 1
        }
    }

    /// Makes or takes the directory of `entry` within the current one and goes there.
    mutating func enter(_ entry: TreeEntry) throws(SystemError) {
        if entry.path.isEmpty {
            frames[0].pending = .entry(entry, fresh: false)
        } else {
            try enter(entry.name, entry: entry, replacing: true)
        }
    }

    /// Leaves all directories, the target last.
    mutating func finish() throws(SystemError) {
        while frames.count > 1 { try leave() }
        settle(frames[0])
        frames[0].pending = .nothing
    }

    mutating func close() {
        for frame in frames where frame.descriptor >= 0 { _ = Glibc.close(frame.descriptor) }
        frames = []
    }

    private func holds(_ wanted: ArraySlice<UInt8>) -> Bool {
        guard wanted.count >= path.count, wanted.starts(with: path) else { return false }
        return wanted.count == path.count || path.isEmpty
            || wanted[wanted.startIndex + path.count] == EntryName.slash
    }

    private mutating func enter(
        _ name: ArraySlice<UInt8>, entry: TreeEntry?, replacing: Bool
    ) throws(SystemError) {
        let parent = current
        var isNew = false
        var descriptor: Int32 = -1
        var number: Int32 = 0
        // An entry's directory is most often new, one on the way most often there.
        if entry == nil { (descriptor, number) = open(name, in: parent) }
        if descriptor < 0, entry != nil || number == ENOENT {
            isNew = EntryName.withCString(name) { mkdirat(parent, $0, 0o700) } == 0
            number = dr_errno()
            if !isNew, number != EEXIST { throw error("mkdir", name, number) }
            (descriptor, number) = open(name, in: parent)
            if descriptor < 0, replacing, number == ENOTDIR || number == ELOOP {
                if EntryName.withCString(name, { unlinkat(parent, $0, 0) }) != 0 {
                    throw error("unlink", name, dr_errno())
                }
                isNew = EntryName.withCString(name) { mkdirat(parent, $0, 0o700) } == 0
                if !isNew { throw error("mkdir", name, dr_errno()) }
                (descriptor, number) = open(name, in: parent)
            }
        }
        if descriptor < 0 {
            throw error("open", name, number == ELOOP ? ENOTDIR : number)
        }
        if !path.isEmpty { path.append(EntryName.slash) }
        path += name
        let plain = isNew && isPlain
        do {
            try append(
                descriptor: descriptor, end: path.count,
                pending: entry.map { .entry($0, fresh: plain) } ?? .nothing, fresh: isNew)
        } catch {
            _ = Glibc.close(descriptor)
            path.removeLast(path.count - frames[frames.count - 1].end)
            throw error
        }
    }

    private mutating func append(
        descriptor: Int32, end: Int, pending: Pending, fresh: Bool
    ) throws(SystemError) {
        var status = stat()
        if fstat(descriptor, &status) != 0 { throw .last("fstat", bytes: path) }
        var pending = pending
        if !fresh, case .nothing = pending { pending = .time(status.st_mtim) }
        let inherited = fresh && frames.last.map { !$0.bequeaths } ?? false
        frames.append(
            Frame(
                descriptor: descriptor, end: end, device: UInt64(status.st_dev),
                inode: UInt64(status.st_ino), pending: pending,
                bequeaths: !inherited
                    && (status.st_mode & 0o2000 != 0 || Self.hasDefaultACL(descriptor))))
        let spare = frames.count - 1 - Self.limit
        if spare >= 1, frames[spare].descriptor >= 0 {
            _ = Glibc.close(frames[spare].descriptor)
            frames[spare].descriptor = -1
        }
    }

    /// Settles the innermost directory and goes to the one above.
    private mutating func leave() throws(SystemError) {
        let frame = frames[frames.count - 1]
        settle(frame)
        let above = frames.count - 2
        if frames[above].descriptor < 0 {
            let parent = dr_openat(
                frame.descriptor, "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
            if parent < 0 { throw .last("open", bytes: path + Array("/..".utf8)) }
            var status = stat()
            guard fstat(parent, &status) == 0, UInt64(status.st_ino) == frames[above].inode,
                UInt64(status.st_dev) == frames[above].device
            else {
                _ = Glibc.close(parent)
                throw error("open", [], ESTALE)
            }
            frames[above].descriptor = parent
        }
        _ = Glibc.close(frame.descriptor)
        frames.removeLast()
        path.removeLast(path.count - frames[above].end)
    }

    private func settle(_ frame: Frame) {
        switch frame.pending {
        case .nothing: break
        case .entry(let entry, let fresh):
            metadata.apply(entry, to: frame.descriptor, fresh: fresh)
        case .time(let modified):
            var times = [timespec(tv_sec: 0, tv_nsec: MetadataWriter.leaveTime), modified]
            _ = futimens(frame.descriptor, &times)
        }
    }

    private func open(_ name: ArraySlice<UInt8>, in parent: Int32) -> (Int32, Int32) {
        let descriptor = EntryName.withCString(name) {
            dr_openat(parent, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        }
        return (descriptor, descriptor < 0 ? dr_errno() : 0)
    }

    private func error(_ call: String, _ name: ArraySlice<UInt8>, _ number: Int32) -> SystemError {
        let whole = path.isEmpty ? Array(name) : path + [EntryName.slash] + name
        return SystemError(call, path: String(decoding: whole, as: UTF8.self), number: number)
    }

    private static func hasDefaultACL(_ descriptor: Int32) -> Bool {
        fgetxattr(descriptor, "system.posix_acl_default", nil, 0) > 0
    }
}
