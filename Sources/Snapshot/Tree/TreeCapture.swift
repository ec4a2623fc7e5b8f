import CLinux
import Engine
import Glibc
import Model
import Repository
import Workloads

/// Captures a directory of this machine as a tree: walks it on descriptors, recognises what has not
/// changed, reads the rest, writes the entry list.
///
/// The walk and the entry list of the previous snapshot are in the same order, so that recognising an
/// unchanged file needs one entry of the past in memory, not all of them. Owned by one thread.
final class TreeCapture {
    /// A file is only taken as unchanged when it last changed so long before the capture that saw
    /// it: within this time a second change may leave the same time stamp.
    private static let settleTime = TimeSpan(seconds: 2)

    /// What stands between the walk and the entry list, waiting for its content.
    enum Pending {
        case ready(TreeEntry)
        /// Its content is the next one to come; `link` remembers it for hard links.
        case content(TreeEntry, link: LinkKey?)
        /// A further name of a file whose content has come or is coming.
        case link(TreeEntry, LinkKey)
        /// The next content was read while the file changed: dropped.
        case discard
    }

    struct LinkKey: Hashable {
        var device: UInt64
        var inode: UInt64
    }

    private let contents: ContentWriter
    private let list: ContentWriter
    private var encoder = TreeEncoder()
    let previous: PreviousTree?
    let options: TreeCaptureOptions
    let exclude: [GlobPattern]
    let cancelled: () throws -> Void
    private let advance: (ByteCount) -> Void
    var pending: [Pending] = []
    var pendingHead = 0
    private var arrived: [ContentReference] = []
    private var arrivedHead = 0
    private var firstNames: [LinkKey: [UInt8]] = [:]
    private var linkContents: [LinkKey: ContentReference] = [:]
    var rootDevice: dev_t = 0
    var rootPath: [UInt8] = []

    private(set) var files: UInt64 = 0
    private(set) var filesUnchanged: UInt64 = 0
    private(set) var entries: UInt64 = 0
    private(set) var bytes: UInt64 = 0
    private(set) var bytesRead: UInt64 = 0
    private(set) var omissions: [String] = []
    private(set) var omitted = 0

    /// - Parameters:
    ///   - previous: The tree of the last snapshot of the same part.
    ///   - cancelled: Throws when the capture should end early.
    init(
        session: WriteSession, previous: PreviousTree?, options: TreeCaptureOptions,
        cancelled: @escaping () throws -> Void, advance: @escaping (ByteCount) -> Void
    ) {
        contents = session.makeContentWriter()
        list = session.makeContentWriter()
        list.begin()
        self.previous = previous
        self.options = options
        exclude = options.exclude.map(GlobPattern.init)
        self.cancelled = cancelled
        self.advance = advance
    }

    /// Bytes of plaintext that were new to the repository.
    var bytesNew: UInt64 { contents.newBytes + list.newBytes }

    /// Captures what is at `path`: a directory, or a single file as a tree that is nothing else.
    ///
    /// - Returns: The content of the entry list.
    func capture(_ path: String) throws -> ContentReference {
        rootPath = Array((options.name ?? path).utf8)
        let root = dr_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
        guard root >= 0 else {
            throw SystemError.last("open", path).failure(side: .source)
        }
        var status = stat()
        guard fstat(root, &status) == 0 else {
            close(root)
            throw SystemError.last("fstat", path).failure(side: .source)
        }
        rootDevice = status.st_dev
        if status.st_mode & S_IFMT == S_IFDIR {
            try walk(from: root, status: status)
        } else {
            close(root)
            try single(path)
        }
        try contents.drain()
        try settle()
        guard pendingHead == pending.count else {
            throw Failure(.failed, "a file's content is missing after its capture", side: .local)
        }
        try flushList(all: true)
        try list.end()
        try list.drain()
        guard let tree = try list.takeFinished().first else {
            throw Failure(.failed, "an entry list is missing after its capture", side: .local)
        }
        return tree
    }

    // MARK: Files

    func file(_ listed: ListedEntry, in directory: Int32, path: [UInt8]) throws {
        let status = listed.status
        files += 1
        let link =
            status.st_nlink > 1
            ? LinkKey(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)) : nil
        if let link, let first = firstNames[link] {
            var entry = TreeEntry(at: path, .file, status)
            entry.hardLink = first
            put(.link(entry, link))
            return
        }
        if let link { firstNames[link] = path }
        if let known = previous?.entry(at: path), isUnchanged(known, status) {
            var entry = TreeEntry(at: path, .file, status)
            entry.attributes = known.attributes
            entry.content = known.content
            entry.size = known.size
            if let link { linkContents[link] = known.content }
            filesUnchanged += 1
            bytes += known.size
            put(.ready(entry))
            return
        }
        try read(listed, in: directory, path: path, link: link)
    }

    private func isUnchanged(_ known: TreeEntry, _ status: stat) -> Bool {
        guard let previous, known.type == .file, !known.isTorn,
            known.size == UInt64(status.st_size), known.inode == UInt64(status.st_ino),
            known.modified == Timestamp(status.st_mtim), known.changed == Timestamp(status.st_ctim)
        else { return false }
        return known.changed < previous.asOf + TimeSpan(nanoseconds: -Self.settleTime.nanoseconds)
    }

    private func read(
        _ listed: ListedEntry, in directory: Int32, path: [UInt8], link: LinkKey?
    ) throws {
        let descriptor = withName(listed.name) { name in
            let flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK
            // Only the owner and root may leave the access time alone.
            let quiet = dr_openat(directory, name, flags | DR_O_NOATIME, 0)
            return quiet >= 0 || errno != EPERM ? quiet : dr_openat(directory, name, flags, 0)
        }
        guard descriptor >= 0 else {
            files -= 1
            if let link { firstNames[link] = nil }
            return omit(path, errno)
        }
        defer { close(descriptor) }
        var attempt = 0
        while true {
            var before = stat()
            guard fstat(descriptor, &before) == 0, before.st_mode & S_IFMT == S_IFREG else {
                files -= 1
                return omit(path, errno)
            }
            contents.begin()
            let size: UInt64
            do throws(SystemError) {
                size = try FileReading.read(descriptor, status: before, into: contents)
            } catch {
                // What was read of it is dropped: half a file is no file.
                try contents.end()
                put(.discard)
                files -= 1
                if let link { firstNames[link] = nil }
                return omit(path, error.number)
            }
            try contents.end()
            bytesRead += size
            advance(ByteCount(size))
            var after = stat()
            fstat(descriptor, &after)
            let changed =
                Timestamp(before.st_mtim) != Timestamp(after.st_mtim)
                || Timestamp(before.st_ctim) != Timestamp(after.st_ctim)
                || UInt64(before.st_size) != size
            attempt += 1
            if changed && attempt < 3 {
                put(.discard)
                continue
            }
            var entry = TreeEntry(at: path, .file, before)
            entry.size = size
            entry.isTorn = changed
            if changed {
                note(
                    "\(shownPath(path)): changed while it was read, its bytes are of no one moment")
            }
            attachAttributes(of: descriptor, to: &entry, unlessKnownFrom: nil)
            bytes += size
            put(.content(entry, link: link))
            return
        }
    }

    // MARK: Entries

    func attachAttributes(
        of descriptor: Int32, to entry: inout TreeEntry, unlessKnownFrom known: TreeEntry?
    ) {
        if let known, let previous, known.inode == entry.inode, known.changed == entry.changed,
            known.changed < previous.asOf + TimeSpan(nanoseconds: -Self.settleTime.nanoseconds)
        {
            entry.attributes = known.attributes
            return
        }
        do throws(SystemError) {
            entry.attributes = try EntryMetadata.attributes(of: descriptor)
        } catch {
            omit(entry.path, error.number, what: "extended attributes")
        }
    }

    func attachAttributes(_ name: [UInt8], in directory: Int32, to entry: inout TreeEntry) {
        do throws(SystemError) {
            entry.attributes = try EntryMetadata.attributes(ofEntry: name, in: directory)
        } catch {
            omit(entry.path, error.number, what: "extended attributes")
        }
    }

    func put(_ item: Pending) { pending.append(item) }

    /// Writes all entries whose content has come.
    func settle() throws {
        if arrivedHead == arrived.count {
            arrived.removeAll(keepingCapacity: true)
            arrivedHead = 0
        }
        arrived += try contents.takeFinished()
        while pendingHead < pending.count {
            switch pending[pendingHead] {
            case .ready(let entry): try append(entry)
            case .link(var entry, let key):
                guard let content = linkContents[key] else {
                    // The first name could not be read, and that was said.
                    omitted += 1
                    break
                }
                entry.content = content
                entry.size = content.length
                try append(entry)
            case .content(var entry, let link):
                guard let content = takeArrived() else { return compact() }
                entry.content = content
                if let link { linkContents[link] = content }
                try append(entry)
            case .discard: guard takeArrived() != nil else { return compact() }
            }
            pendingHead += 1
        }
        compact()
    }

    private func takeArrived() -> ContentReference? {
        guard arrivedHead < arrived.count else { return nil }
        arrivedHead += 1
        return arrived[arrivedHead - 1]
    }

    private func compact() {
        guard pendingHead > 4096 || pendingHead == pending.count else { return }
        pending.removeFirst(pendingHead)
        pendingHead = 0
    }

    private func append(_ entry: TreeEntry) throws {
        encoder.append(entry)
        entries += 1
        try flushList(all: false)
    }

    private func flushList(all: Bool) throws {
        guard all || encoder.pendingCount > 64 << 10 else { return }
        try encoder.flush { try list.append($0) }
    }

    // MARK: What is left out

    func omit(_ path: [UInt8], _ number: Int32, what: String = "") {
        let reason = String(cString: strerror(number))
        note("\(shownPath(path)): \(what.isEmpty ? "" : what + ": ")\(reason)")
    }

    func note(_ text: String) {
        omitted += 1
        // A night that cannot read a million files says so, and names the first of them.
        if omissions.count < 100 { omissions.append(text) }
    }

    func shownPath(_ path: [UInt8]) -> String {
        printable(path.isEmpty ? rootPath : rootPath + [UInt8(ascii: "/")] + path)
    }
}
