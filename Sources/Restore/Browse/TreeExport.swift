import CLinux
import Engine
import Glibc
public import Model
public import Repository
public import Workloads

/// What an export wrote.
public struct ExportSummary: Sendable, Hashable {
    public var entries: UInt64 = 0
    /// How many of them are files, further names of a file among them.
    public var files: UInt64 = 0
    public var bytes = ByteCount(0)
    /// Entries that are damaged and were left out.
    public var problems: [String] = []
}

/// Writes parts of a snapshot as a tar archive, reading in the order of the archive.
public struct TreeExport: Sendable {
    /// A part, or a directory or file of a tree, and its name in the archive.
    public struct Item: Sendable {
        public var place: SnapshotPlace
        /// What stands before all names; empty for names that begin with `./`.
        public var prefix: [UInt8]

        public init(_ place: SnapshotPlace, prefix: [UInt8] = []) {
            self.place = place
            self.prefix = prefix
        }
    }

    private let repository: BackupRepository
    private let index: any ChunkIndex

    public init(repository: BackupRepository, index: any ChunkIndex) {
        self.repository = repository
        self.index = index
    }

    /// Writes the archive to `descriptor`; blocks.
    ///
    /// A file whose chunks are known to be missing is left out and named. One that turns out to be
    /// damaged while it is written ends the archive early: without its end mark no reader takes it
    /// for whole.
    ///
    /// - Parameters:
    ///   - asOf: The time of entries that have none of their own.
    ///   - compression: nil for the archive as it is.
    ///   - advance: Told the bytes of content that were written, now and then.
    ///   - cancelled: Throws when the work should end early.
    public func write(
        _ items: [Item], asOf: Timestamp, to descriptor: Int32,
        compression: ArchiveCompression? = nil, advance: @escaping (ByteCount) -> Void = { _ in },
        cancelled: @escaping () throws -> Void = {}
    ) throws -> ExportSummary {
        let compressed = try compression.map {
            try CompressedOutput($0) { try DescriptorOutput.write($0, to: descriptor) }
        }
        let tar = TarWriter { bytes in
            if let compressed {
                try compressed.write(bytes)
            } else {
                try DescriptorOutput.write(bytes, to: descriptor)
            }
        }
        let run = ExportRun(
            tar: tar, reader: repository.makeReader(index: index, cache: ByteCount(32 << 20)),
            index: index, advance: advance, cancelled: cancelled)
        try damageAsFailure {
            for item in items { try run.add(item, asOf: asOf) }
            try run.flush()
            try tar.finish()
            try compressed?.finish()
        }
        return run.summary
    }
}

/// One export under way. Entries wait until there are enough of them to be looked up together.
private final class ExportRun {
    private struct Waiting {
        var entry: TreeEntry
        var name: [UInt8]
        var link: [UInt8]?
        var references: [ChunkReference]
    }

    /// References, and entries, that are looked up together.
    private static let window = 4096
    /// Files larger than this many bytes go alone.
    private static let large: UInt64 = 64 << 20

    private let tar: TarWriter
    private let reader: ChunkReader
    private let index: any ChunkIndex
    private let advance: (ByteCount) -> Void
    private let cancelled: () throws -> Void
    private var waiting: [Waiting] = []
    private var waitingReferences = 0
    private var leftOut: Set<[UInt8]> = []
    private(set) var summary = ExportSummary()

    init(
        tar: TarWriter, reader: ChunkReader, index: any ChunkIndex,
        advance: @escaping (ByteCount) -> Void, cancelled: @escaping () throws -> Void
    ) {
        self.tar = tar
        self.reader = reader
        self.index = index
        self.advance = advance
        self.cancelled = cancelled
    }

    func add(_ item: TreeExport.Item, asOf: Timestamp) throws {
        let part = item.place.part
        let root = item.place.path
        func name(_ path: [UInt8], isRootFile: Bool) -> [UInt8] {
            if isRootFile, item.prefix.isEmpty {
                let address = part.address(of: root)
                return Array(address[((address.lastIndex(of: 47) ?? -1) + 1)...])
            }
            let prefix = item.prefix.isEmpty ? [UInt8(ascii: ".")] : item.prefix
            return path.isEmpty ? prefix : prefix + [UInt8(ascii: "/")] + path
        }
        guard part.kind == .tree else {
            var entry = TreeEntry(path: [], type: .file)
            entry.mode = 0o600
            entry.modified = asOf
            entry.size = part.content.length
            entry.content = part.content
            return try add(entry, name: name([], isRootFile: true), link: nil)
        }
        var subtree = Subtree(root: root)
        let inside = subtree
        let cursor = try TreeCursor(part.content, reader: reader) { inside.contains($0.path) }
        while let next = try cursor.next() {
            guard let entry = subtree.entry(next) else {
                if subtree.isPast(next.path) { break }
                continue
            }
            let isRootFile = entry.path.isEmpty && entry.type != .directory
            try add(
                entry, name: name(entry.path, isRootFile: isRootFile),
                link: entry.hardLink.map { name($0, isRootFile: false) })
        }
    }

    private func add(_ entry: TreeEntry, name: [UInt8], link: [UInt8]?) throws {
        try cancelled()
        guard entry.type == .file, link == nil else {
            waiting.append(Waiting(entry: entry, name: name, link: link, references: []))
            if waiting.count >= Self.window { try flush() }
            return
        }
        guard entry.size == entry.content.length else {
            return leaveOut(name, "its size is not that of its content")
        }
        if entry.size > Self.large {
            try flush()
            return try writeLarge(entry, name: name)
        }
        var references: [ChunkReference] = []
        do {
            try reader.forEachLeaf(entry.content) { references += $0 }
        } catch  where Self.isDamage(error) {
            return leaveOut(name, "\(error)")
        }
        waitingReferences += references.count
        waiting.append(Waiting(entry: entry, name: name, link: nil, references: references))
        if waiting.count >= Self.window || waitingReferences >= Self.window { try flush() }
    }

    /// Writes what waits, in its order.
    func flush() throws {
        let items = try withoutMissing(waiting)
        waiting.removeAll(keepingCapacity: true)
        waitingReferences = 0
        var next = 0
        var left = 0
        func begin() throws {
            while next < items.count {
                let item = items[next]
                try tar.begin(
                    item.entry, name: item.name, link: item.link,
                    segments: Self.segments(item.references))
                summary.entries += 1
                if item.entry.type == .file { summary.files += 1 }
                left = item.references.count
                if left > 0 { return }
                try tar.end()
                next += 1
            }
        }
        try begin()
        try reader.read(items.flatMap(\.references)) { bytes, reference in
            try write(bytes, reference)
            left -= 1
            guard left == 0 else { return }
            try tar.end()
            next += 1
            try cancelled()
            try begin()
        }
    }

    private func write(_ bytes: UnsafeRawBufferPointer, _ reference: ChunkReference) throws {
        guard !reference.isZeros else { return }
        try tar.data(bytes)
        summary.bytes += ByteCount(reference.length)
        advance(ByteCount(reference.length))
    }

    /// A file whose references alone would fill memory: its list is gone through twice.
    private func writeLarge(_ entry: TreeEntry, name: [UInt8]) throws {
        var segments: [TarSegment] = []
        var position: UInt64 = 0
        var isWhole = true
        do {
            try reader.forEachLeaf(entry.content) { references in
                isWhole =
                    try isWhole && index.locate(Self.stored(references)).allSatisfy { $0 != nil }
                Self.add(references, to: &segments, at: &position)
            }
        } catch  where Self.isDamage(error) {
            return leaveOut(name, "\(error)")
        }
        guard isWhole else { return leaveOut(name, "some of it is in no pack") }
        let isDense = segments.count == 1 && segments[0].length == entry.size
        try tar.begin(entry, name: name, segments: isDense ? nil : segments)
        try reader.forEachLeaf(entry.content) { references in
            try cancelled()
            try reader.read(references) { try write($0, $1) }
        }
        try tar.end()
        summary.entries += 1
        summary.files += 1
    }

    /// What is there; what is not is named.
    private func withoutMissing(_ items: [Waiting]) throws -> [Waiting] {
        let places = try index.locate(Self.stored(items.flatMap(\.references)))
        if leftOut.isEmpty, places.allSatisfy({ $0 != nil }) { return items }
        var next = 0
        return items.filter { item in
            if let link = item.link, leftOut.contains(link) {
                leaveOut(item.name, "it is another name of a file that was")
                return false
            }
            let count = Self.stored(item.references).count
            defer { next += count }
            if places[next..<(next + count)].allSatisfy({ $0 != nil }) { return true }
            leaveOut(item.name, "some of it is in no pack")
            return false
        }
    }

    private static func stored(_ references: [ChunkReference]) -> [ChunkID] {
        references.filter { !$0.isZeros }.map(\.id)
    }

    /// Where a file has data; nil for one without holes.
    private static func segments(_ references: [ChunkReference]) -> [TarSegment]? {
        guard references.contains(where: \.isZeros) else { return nil }
        var segments: [TarSegment] = []
        var position: UInt64 = 0
        add(references, to: &segments, at: &position)
        return segments
    }

    private static func add(
        _ references: [ChunkReference], to segments: inout [TarSegment], at position: inout UInt64
    ) {
        for reference in references {
            defer { position += reference.length }
            if reference.isZeros { continue }
            if let last = segments.last, last.offset + last.length == position {
                segments[segments.count - 1].length += reference.length
            } else {
                segments.append(TarSegment(offset: position, length: reference.length))
            }
        }
    }

    private func leaveOut(_ name: [UInt8], _ reason: String) {
        leftOut.insert(name)
        summary.problems.append("\(printable(name)): left out, \(reason)")
    }

    private static func isDamage(_ error: any Error) -> Bool {
        if error is FormatError || error is ObjectMissing { return true }
        return (error as? Failure)?.code == .damaged
    }
}
