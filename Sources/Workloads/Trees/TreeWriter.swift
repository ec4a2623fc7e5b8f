import CLinux
import Engine
import Glibc
public import Model
import Synchronization

/// Brings a tree's entries back under one directory and touches nothing outside it, whatever the
/// entries or the target hold.
///
/// No symbolic link is followed, no existing special file is opened, no name leads out. What is in
/// the way under an entry's own name is removed first: a directory only when it is empty.
///
/// ``begin(_:)`` is called for every entry, in the order of the tree; with the file it returns,
/// ``write(_:at:_:)`` and ``finish(_:_:)`` may be called from several threads, in any order, while
/// other entries begin. After all of them ``complete()`` is called once. The caller bounds how many
/// files are open at once.
///
/// What concerns one entry alone (a refused name, an owner that cannot be set) is a problem in the
/// summary and does not stop the others; what concerns all (no space, an I/O error) is thrown.
public final class TreeWriter: Sendable {
    /// A regular file that is being written.
    public struct FileHandle: Sendable, Hashable {
        /// Open for writing.
        public let descriptor: Int32
        /// Made in a directory from which it took over nothing.
        fileprivate let isPlain: Bool
    }

    private struct State {
        /// nil until the first entry has said what the target is.
        var stack: DirectoryStack?
        /// The tree is one file: nothing can come after it.
        var isSingleFile = false
        var links = HardLinks()
    }

    private let target: TreeTarget
    private let options: TreeReplayOptions
    private let tally = ReplayTally()
    private let metadata: MetadataWriter
    private let state = Mutex(State())
    /// Bytes written since the disk was last told to begin.
    private let unsynced = Atomic<Int>(0)
    private static let writebackStep = 64 << 20

    /// Makes ready to write at `path`.
    ///
    /// Directories above it are made when missing (mode 0755) and may be links; `path` itself may
    /// not, and without `options.allowNonEmptyTarget` it must be missing or an empty directory.
    public init(target path: String, options: TreeReplayOptions) throws {
        self.options = options
        metadata = MetadataWriter(options: options, tally: tally)
        target = try TreeTarget(path: path, mayHoldEntries: options.allowNonEmptyTarget)
    }

    deinit {
        state.withLock { $0.stack?.close() }
        target.close()
    }

    /// Makes the entry; a regular file, of its full size and all hole, is returned to be written.
    ///
    /// Nothing is returned for other entries, for a hard link to a file that exists already, and for
    /// an entry that was refused: its content is not written. A hard link whose first name was not made in this run comes back as a file of its
    /// own and is returned. First names are remembered for entries whose `linkCount` is not 1.
    ///
    /// - Parameter linksBringContent: False for entries of an archive, where a hard link is a name
    ///   and nothing else: one whose first name was not made in this run is refused. A link count
    ///   of 0 then means that nobody knows it.
    public func begin(_ entry: TreeEntry, linksBringContent: Bool = true) throws -> FileHandle? {
        if let reason = refusal(of: entry) {
            tally.problem(entry.path, "refused, \(reason)")
            return nil
        }
        do throws(SystemError) {
            let result: Result<FileHandle?, SystemError> = state.withLock { state in
                do throws(SystemError) {
                    return .success(try begin(entry, &state, linksBringContent))
                } catch {
                    return .failure(error)
                }
            }
            return try result.get()
        } catch  where !error.isGlobal {
            tally.problem(entry.path, Self.words(error), cause: error.isNoSpace ? .noSpace : nil)
            return nil
        } catch {
            throw located(error, entry)
        }
    }

    /// Writes `bytes` at `offset` of the file; what is never written stays a hole.
    public func write(
        _ handle: FileHandle, at offset: UInt64, _ bytes: UnsafeRawBufferPointer
    ) throws {
        var rest = bytes
        guard var position = off_t(exactly: offset) else {
            throw SystemError("pwrite", path: target.path, number: EFBIG).failure(side: .target)
        }
        while let base = rest.baseAddress, !rest.isEmpty {
            let count = pwrite(handle.descriptor, base, rest.count, position)
            if count >= 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                position += off_t(count)
            } else if errno != EINTR {
                throw SystemError.last("pwrite", target.path).failure(side: .target)
            }
        }
        tally.wrote(bytes.count)
        // The disk begins while there is more to come, so that the sync at the end is short.
        let dirty = unsynced.add(bytes.count, ordering: .relaxed).newValue
        if dirty >= Self.writebackStep {
            unsynced.store(0, ordering: .relaxed)
            dr_start_writeback(handle.descriptor)
        }
    }

    /// Gives a file that is all written its metadata and closes it.
    public func finish(_ handle: FileHandle, _ entry: TreeEntry) throws {
        metadata.apply(entry, to: handle.descriptor, fresh: handle.isPlain)
        let result = close(handle.descriptor)
        let number = dr_errno()
        if result != 0, number != EINTR {
            let path = String(decoding: entry.path, as: UTF8.self)
            throw located(SystemError("close", path: path, number: number), entry)
        }
        tally.made(.file)
    }

    /// Adds a problem to the summary: something about `path` that did not come back as it was.
    public func report(_ problem: String, at path: [UInt8]) { tally.problem(path, problem) }

    /// Gives up a file whose content could not be read: it is removed under all its names, each of
    /// which is named as a problem.
    ///
    /// - Parameter cause: The code that stands for why, where it is one of its own.
    public func abandon(
        _ handle: FileHandle, _ entry: TreeEntry, reason: String, cause: ExitCode? = nil
    ) {
        // Whatever becomes of the names, the wrong bytes are gone.
        _ = ftruncate(handle.descriptor, 0)
        let others = state.withLock { $0.links.forget(entry.path, handle.descriptor) }
        _ = close(handle.descriptor)
        for path in [entry.path] + others {
            tally.problem(path, reason, cause: cause)
            state.withLock { remove(path, &$0) }
        }
    }

    private func remove(_ path: [UInt8], _ state: inout State) {
        guard !path.isEmpty else {
            _ = EntryName.withCString(target.name) { unlinkat(target.parent, $0, 0) }
            return
        }
        let parent = Self.parent(of: path)
        if (try? state.stack?.go(to: parent)) == nil { return }
        guard let directory = state.stack?.current else { return }
        let name = parent.isEmpty ? path[...] : path[(parent.count + 1)...]
        _ = EntryName.withCString(name) { unlinkat(directory, $0, 0) }
    }

    /// Gives directories their metadata and makes all of it durable.
    ///
    /// - Returns: What came back; `problems` is not empty when anything did not.
    public func complete() throws -> TreeReplaySummary {
        let failure: SystemError? = state.withLock { state in
            guard state.stack != nil || state.isSingleFile else { return nil }
            do throws(SystemError) {
                try state.stack?.finish()
                if let root = state.stack?.root {
                    if dr_syncfs(root) != 0 { throw .last("syncfs", target.path) }
                } else {
                    try target.synchronizeParent()
                }
                return nil
            } catch { return error }
        }
        if let failure { throw failure.failure(side: .target) }
        return tally.summary
    }

    // MARK: Entries

    private func refusal(of entry: TreeEntry) -> String? {
        if let reason = EntryName.refusal(of: entry.path) { return reason }
        if entry.size > UInt64(off_t.max) { return "no file can have \(entry.size) bytes" }
        if entry.linkTarget.contains(0) { return "the link's target holds a zero byte" }
        if entry.type == .symlink, entry.linkTarget.isEmpty { return "the link leads nowhere" }
        return nil
    }

    private func begin(
        _ entry: TreeEntry, _ state: inout State, _ linksBringContent: Bool
    ) throws(SystemError) -> FileHandle? {
        if state.stack == nil, !state.isSingleFile {
            if entry.path.isEmpty, entry.type != .directory {
                state.isSingleFile = true
                return try make(
                    entry, in: target.parent, named: target.name, isPlain: false, made: { _ in })
            }
            let (root, isNew) = try target.openDirectory()
            state.stack = try DirectoryStack(root: root, fresh: isNew, metadata: metadata)
        }
        guard var stack = state.stack else {
            throw SystemError("open", path: target.path, number: ENOTDIR)
        }
        state.stack = nil
        defer { state.stack = stack }
        if entry.path.isEmpty {
            guard entry.type == .directory else {
                throw SystemError("open", path: target.path, number: EISDIR)
            }
            try stack.enter(entry)
            tally.made(.directory)
            return nil
        }
        try stack.go(to: Self.parent(of: entry.path))
        if entry.type == .directory {
            try stack.enter(entry)
            tally.made(.directory)
            return nil
        }
        if entry.type == .file, let first = entry.hardLink {
            let isMade = try link(
                entry, to: first, stack: stack, links: state.links,
                bringsContent: linksBringContent)
            if isMade {
                state.links.linked(entry.path, to: first)
                tally.made(.file)
            }
            if isMade || !linksBringContent { return nil }
        }
        let handle = try make(
            entry, in: stack.current, named: Array(entry.name), isPlain: stack.isPlain,
            made: { state.links.remember(entry, $0) })
        if let handle { state.links.remember(entry, handle.descriptor) }
        return handle
    }

    private func make(
        _ entry: TreeEntry, in directory: Int32, named name: [UInt8], isPlain: Bool,
        made: (Int32) -> Void
    ) throws(SystemError) -> FileHandle? {
        switch entry.type {
        case .directory: return nil
        case .file:
            let descriptor = try clearing(entry, in: directory, named: name) { name in
                dr_openat(
                    directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
            }
            if entry.size > 0, ftruncate(descriptor, off_t(clamping: entry.size)) != 0 {
                let error = SystemError.last("truncate", bytes: entry.path)
                _ = close(descriptor)
                _ = EntryName.withCString(name) { unlinkat(directory, $0, 0) }
                throw error
            }
            return FileHandle(descriptor: descriptor, isPlain: isPlain)
        case .symlink:
            let result = EntryName.withCString(entry.linkTarget) { target in
                Result { () throws(SystemError) in
                    try clearing(entry, in: directory, named: name) {
                        symlinkat(target, directory, $0)
                    }
                }
            }
            _ = try result.get()
        case .fifo:
            _ = try clearing(entry, in: directory, named: name) {
                mknodat(directory, $0, S_IFIFO | 0o600, 0)
            }
        case .characterDevice, .blockDevice:
            guard options.privilegedMetadata else {
                tally.dropped(.device)
                return nil
            }
            let type = entry.type == .blockDevice ? Glibc.S_IFBLK : Glibc.S_IFCHR
            let number = dr_makedev(entry.deviceNumber.major, entry.deviceNumber.minor)
            _ = try clearing(entry, in: directory, named: name) {
                mknodat(directory, $0, type | 0o600, number)
            }
        }
        let descriptor = EntryName.withCString(name) {
            dr_openat(directory, $0, dr_O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)
        }
        if descriptor < 0 { throw .last("open", bytes: entry.path) }
        var entry = entry
        if entry.path.isEmpty { entry.path = name }
        metadata.apply(entry, toPath: descriptor, in: directory)
        made(descriptor)
        _ = close(descriptor)
        tally.made(entry.type)
        return nil
    }

    /// Calls `make`, and again after removing what is in the way.
    private func clearing(
        _ entry: TreeEntry, in directory: Int32, named name: [UInt8],
        _ make: (UnsafePointer<CChar>) -> Int32
    ) throws(SystemError) -> Int32 {
        for attempt in 0..<3 {
            let result = EntryName.withCString(name, make)
            if result >= 0 { return result }
            let number = dr_errno()
            guard number == EEXIST, attempt < 2 else {
                throw SystemError(
                    "create", path: String(decoding: entry.path, as: UTF8.self), number: number)
            }
            try EntryName.remove(name, in: directory, path: entry.path)
            if !options.allowNonEmptyTarget { tally.dropped(.duplicate) }
        }
        return -1
    }

    /// Makes `entry` another name of the file `first` if that was made in this run.
    ///
    /// - Returns: False when it must be written as a file of its own, or cannot be made at all.
    private func link(
        _ entry: TreeEntry, to first: [UInt8], stack: DirectoryStack, links: HardLinks,
        bringsContent: Bool
    ) throws(SystemError) -> Bool {
        guard let file = links.open(first, under: stack.root) else {
            // The tree is not what its capture wrote.
            if !bringsContent {
                tally.problem(
                    entry.path,
                    "refused, a hard link to \(printable(first)), which was not made in this run")
            } else {
                tally.problem(
                    entry.path,
                    "came back as a file of its own, not as a hard link to \(printable(first)), "
                        + "which was not made in this run")
            }
            return false
        }
        defer { _ = close(file) }
        let directory = stack.current
        do {
            _ = try clearing(entry, in: directory, named: Array(entry.name)) { name in
                let result = linkat(file, "", directory, name, dr_AT_EMPTY_PATH)
                if result == 0 || dr_errno() == EEXIST { return result }
                // Without CAP_DAC_READ_SEARCH.
                return linkat(
                    AT_FDCWD, "/proc/self/fd/\(file)", directory, name, AT_SYMLINK_FOLLOW)
            }
            return true
        } catch  where bringsContent && [EMLINK, EXDEV, EPERM].contains(error.number) {
            return false
        }
    }

    private static func parent(of path: [UInt8]) -> ArraySlice<UInt8> {
        path[..<(path.lastIndex(of: EntryName.slash) ?? 0)]
    }

    private static func words(_ error: SystemError) -> String {
        switch error.number {
        case ENOTEMPTY: "not restored: a directory that is not empty is in the way"
        case ENOTDIR: "not restored: something that is no directory is in the way"
        default: "not restored: \(error.reason)"
        }
    }

    private func located(_ error: SystemError, _ entry: TreeEntry) -> Failure {
        var failure = error.failure(side: .target)
        failure.context = ["restore to \(printable(target.path.utf8))"]
        return failure
    }
}
