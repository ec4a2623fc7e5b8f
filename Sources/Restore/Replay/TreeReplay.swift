import Engine
import Model
import Repository
import Synchronization
import Workloads

/// Brings a tree back: entries in tree order, the bytes of files in storage order.
///
/// Works through the tree in windows of files: while one window's bytes are being written, the next
/// one's files are made. Owned by one thread.
final class TreeReplay {
    /// Files that may be open at once, over the two windows under way.
    private static let filesAWindow = 1024
    /// References a window holds; bounds memory, and how far chunks are put in order.
    private static let referencesAWindow = 16384

    private let reader: ChunkReader
    private let storage: StorageOrderReader
    private let writer: TreeWriter
    private var subtree: Subtree
    private var hasRoot = false
    private let advance: @Sendable (ByteCount) -> Void
    private var window: FileWindow
    private var filesInWindow = 64
    private var wanted: [WantedChunk] = []
    private let damage = DamageCount()
    private var underWay: StorageOrderReader.Window?

    init(
        reader: ChunkReader, storage: StorageOrderReader, target: String,
        options: TreeReplayOptions, advance: @escaping @Sendable (ByteCount) -> Void
    ) throws {
        self.reader = reader
        self.storage = storage
        writer = try TreeWriter(target: target, options: options)
        subtree = Subtree(root: options.root)
        self.advance = advance
        window = FileWindow(writer: writer, damage: damage, advance: advance)
    }

    func replay(_ tree: ContentReference, cancelled: () throws -> Void) throws
        -> TreeReplaySummary
    {
        var last: [UInt8] = []
        do {
            do {
                let inside = subtree
                let cursor = try TreeCursor(tree, reader: reader) { inside.contains($0.path) }
                while let entry = try cursor.next() {
                    guard let wanted = subtree.entry(entry) else {
                        if subtree.isPast(entry.path) { break }
                        continue
                    }
                    try cancelled()
                    last = wanted.path
                    hasRoot = true
                    try place(wanted)
                }
            } catch  where hasRoot && Self.isDamage(error) {
                // What came before is whole and comes back; what comes behind nobody knows.
                writer.report(
                    "the list of entries is damaged behind it, the rest did not come back: "
                        + "\(error)", at: last)
            }
            try sendWindow()
        } catch {
            underWay?.wait()
            throw error
        }
        underWay?.wait()
        guard hasRoot else {
            throw Failure(
                .failed, "the snapshot has no \(printable(subtree.root))",
                hint: "dr find tells which snapshots have it", side: .repository)
        }
        var summary = try writer.complete()
        summary.damaged = damage.total
        return summary
    }

    /// Whether an error is about bytes of the repository, not about the target.
    private static func isDamage(_ error: any Error) -> Bool {
        if error is FormatError || error is ObjectMissing { return true }
        return (error as? Failure)?.code == .damaged
    }

    private func place(_ entry: TreeEntry) throws {
        if entry.type == .file, entry.content.length != entry.size {
            return writer.report("refused, its size is not that of its content", at: entry.path)
        }
        guard let handle = try writer.begin(entry) else { return }
        var position: UInt64 = 0
        var count = 0
        let file = window.add(handle, entry)
        do {
            guard entry.size == entry.content.length else {
                throw FormatError("a file", "its size is not that of its content")
            }
            try reader.forEachLeaf(entry.content) { references in
                for reference in references {
                    defer { position += reference.length }
                    if reference.isZeros { continue }
                    let token = window.addPlace(file: file, offset: position)
                    wanted.append(
                        WantedChunk(
                            id: reference.id, length: UInt32(reference.length), token: token))
                    count += 1
                    // A file larger than a window goes on in the next one, still open.
                    if wanted.count >= Self.referencesAWindow {
                        try sendWindow(continuing: file)
                    }
                }
            }
        } catch  where Self.isDamage(error) {
            // The file's list of chunks is damaged: the file is lost, the rest is not.
            window.fail(file: file, error)
        } catch let failure as Failure where failure.code == .damaged {
            window.fail(file: file, failure)
        }
        window.release(file: file)
        // The first ones are small: bytes come while the lists of the next chunks are read.
        if window.fileCount >= filesInWindow || wanted.count >= Self.referencesAWindow {
            filesInWindow = min(2 * filesInWindow, Self.filesAWindow)
            try sendWindow()
        }
    }

    private func sendWindow(continuing file: Int? = nil) throws {
        let current = window
        underWay?.wait()
        underWay = try storage.read(wanted, into: current)
        wanted.removeAll(keepingCapacity: true)
        guard file == nil else {
            // The open file belongs to this window, which is used again while its chunks come.
            current.nextTurn()
            return
        }
        window = FileWindow(writer: writer, damage: damage, advance: advance)
    }
}

/// The files of one window, and where their chunks go.
///
/// Filled by one thread before the chunks are asked for; then written by several.
final class FileWindow: ChunkReceiver {
    private struct File {
        var handle: TreeWriter.FileHandle
        var entry: TreeEntry
        /// Chunks still to come, plus one while the list of them is being made.
        var missing: Int
        var error: String?
        var isDamaged = false
        var isFull = false

        /// The first error is the one that is told.
        mutating func fail(_ reason: any Error) {
            if error == nil { error = "\(reason)" }
            if reason is FormatError || reason is ObjectMissing
                || (reason as? Failure)?.code == .damaged
            {
                isDamaged = true
            }
            if (reason as? Failure)?.code == .noSpace { isFull = true }
        }
    }
    private struct State {
        var files: [File] = []
        /// Places of the chunks that are asked for now, and of those that are being collected.
        var places: [[(file: Int, offset: UInt64)]] = [[], []]
        /// Which of the two is being collected; a token's lowest bit says the same.
        var turn = 0

        func place(_ token: Int) -> (file: Int, offset: UInt64) { places[token & 1][token >> 1] }
    }

    private let state = Mutex(State())
    private let writer: TreeWriter
    private let damage: DamageCount
    private let advance: @Sendable (ByteCount) -> Void

    init(
        writer: TreeWriter, damage: DamageCount, advance: @escaping @Sendable (ByteCount) -> Void
    ) {
        self.writer = writer
        self.damage = damage
        self.advance = advance
    }

    var fileCount: Int { state.withLock { $0.files.count } }

    func add(_ handle: TreeWriter.FileHandle, _ entry: TreeEntry) -> Int {
        state.withLock {
            $0.files.append(File(handle: handle, entry: entry, missing: 1, error: nil))
            return $0.files.count - 1
        }
    }

    func addPlace(file: Int, offset: UInt64) -> Int {
        state.withLock {
            $0.files[file].missing += 1
            let turn = $0.turn
            $0.places[turn].append((file, offset))
            return ($0.places[turn].count - 1) << 1 | turn
        }
    }

    /// Begins to collect places anew; those of the turn before the last must have come.
    func nextTurn() {
        state.withLock {
            $0.turn ^= 1
            $0.places[$0.turn].removeAll(keepingCapacity: true)
        }
    }

    func fail(file: Int, _ error: any Error) {
        state.withLock { $0.files[file].fail(error) }
    }

    /// The list of the file's chunks is whole.
    func release(file: Int) { count(file) }

    func receive(_ bytes: UnsafeRawBufferPointer, token: Int) throws {
        let (file, handle, offset) = state.withLock { state in
            let place = state.place(token)
            return (place.file, state.files[place.file].handle, place.offset)
        }
        try writer.write(handle, at: offset, bytes)
        advance(ByteCount(UInt64(bytes.count)))
        count(file)
    }

    func failed(_ token: Int, _ error: any Error) {
        let file = state.withLock { state in
            let file = state.place(token).file
            state.files[file].fail(error)
            return file
        }
        count(file)
    }

    private func count(_ file: Int) {
        let done: File? = state.withLock { state in
            state.files[file].missing -= 1
            return state.files[file].missing == 0 ? state.files[file] : nil
        }
        guard let done else { return }
        if let error = done.error {
            if done.isDamaged { damage.add(1) }
            writer.abandon(
                done.handle, done.entry, reason: error, cause: done.isFull ? .noSpace : nil)
            return
        }
        do {
            try writer.finish(done.handle, done.entry)
        } catch {
            writer.abandon(done.handle, done.entry, reason: "\(error)")
        }
    }
}
