import Engine
import Model
import Repository
import Workloads

/// Captures a tar archive as a tree, as it comes: contents go to the repository at once, entries wait
/// in memory until all of them can be put into a tree's order (about 400 bytes each).
///
/// What tar's own rules say holds here: of two entries with one path the later one counts, a hard
/// link has the content of the file that it names. Owned by one thread.
final class ArchiveCapture {
    /// The most that a file which is set aside may have.
    private static let largestAside: UInt64 = 4 << 20
    private static let window = 256

    private let contents: ContentWriter
    private let list: ContentWriter
    private let aside: Set<[UInt8]>
    private let cancelled: () throws -> Void
    private let advance: (ByteCount) -> Void
    private var entriesByPath: [[UInt8]: TreeEntry] = [:]
    /// Paths whose contents were handed in and have not come back yet, in their order.
    private var waiting: [[UInt8]] = []

    private(set) var setAside: [String: [UInt8]] = [:]
    private(set) var files: UInt64 = 0
    private(set) var bytes: UInt64 = 0
    private(set) var omissions: [String] = []
    var entries: UInt64 { UInt64(entriesByPath.count) }
    var bytesNew: UInt64 { contents.newBytes + list.newBytes }

    init(
        session: WriteSession, aside: [String], cancelled: @escaping () throws -> Void,
        advance: @escaping (ByteCount) -> Void
    ) {
        contents = session.makeContentWriter()
        list = session.makeContentWriter()
        self.aside = Set(aside.map { Array($0.utf8) })
        self.cancelled = cancelled
        self.advance = advance
    }

    /// - Returns: The content of the entry list.
    func capture(_ descriptor: Int32) throws -> ContentReference {
        do {
            let reader = TarReader(descriptor: descriptor)
            while let item = try reader.next() {
                try cancelled()
                try take(item, reader)
            }
        } catch let error as TarError { throw error.failure }
        try contents.drain()
        try settle()
        try linkNames()
        return try writeList()
    }

    private func take(_ item: TarReader.Item, _ reader: TarReader) throws {
        let path = item.entry.path
        guard isInside(path) else {
            throw Failure(
                .failed, "the archive holds a name that leads out of it: \(printable(path))",
                side: .source)
        }
        if aside.contains(path), item.entry.type == .file {
            setAside[String(decoding: path, as: UTF8.self)] = try small(item.entry, reader)
            return
        }
        for remark in item.remarks { omissions.append("\(printable(path)): \(remark)") }
        var entry = item.entry
        entry.linkCount = 1
        if entry.type == .file, entry.hardLink == nil {
            contents.begin()
            var end: UInt64 = 0
            try reader.read { offset, bytes in
                if offset > end { contents.appendZeros(offset - end) }
                try contents.append(bytes)
                end = offset + UInt64(bytes.count)
            }
            if entry.size > end { contents.appendZeros(entry.size - end) }
            try contents.end()
            waiting.append(path)
            advance(ByteCount(entry.size))
        }
        entriesByPath[path] = entry
        if waiting.count >= Self.window { try settle() }
    }

    private func small(_ entry: TreeEntry, _ reader: TarReader) throws -> [UInt8] {
        guard entry.size <= Self.largestAside else {
            throw Failure(
                .failed, "\(printable(entry.path)) has \(entry.size) bytes, which is too many",
                side: .source)
        }
        var bytes = [UInt8](repeating: 0, count: Int(entry.size))
        try reader.read { offset, piece in
            bytes.replaceSubrange(Int(offset)..<(Int(offset) + piece.count), with: piece)
        }
        return bytes
    }

    /// Neither absolute nor climbing up.
    private func isInside(_ path: [UInt8]) -> Bool {
        path.first != UInt8(ascii: "/") && !path.contains(0)
            && !path.split(separator: UInt8(ascii: "/")).contains { $0.elementsEqual("..".utf8) }
    }

    /// Gives entries the contents that have come back.
    private func settle() throws {
        let finished = try contents.takeFinished()
        for (path, content) in zip(waiting, finished) {
            // A later entry of the same path may have taken its place.
            guard entriesByPath[path]?.type == .file, entriesByPath[path]?.hardLink == nil
            else { continue }
            entriesByPath[path]?.content = content
        }
        waiting.removeFirst(finished.count)
    }

    /// Hard links carry their content each; which name is the first one, the tree's order says.
    private func linkNames() throws {
        var groups: [[UInt8]: [[UInt8]]] = [:]
        for (path, entry) in entriesByPath {
            guard let target = entry.hardLink else { continue }
            guard let named = entriesByPath[target], named.type == .file, named.hardLink == nil
            else {
                throw Failure(
                    .failed,
                    "a hard link leads to nothing in the archive: \(printable(path)) to "
                        + printable(target), side: .source)
            }
            groups[target, default: []].append(path)
        }
        for (target, others) in groups {
            guard var first = entriesByPath[target] else { continue }
            let names = ([target] + others).sorted(by: TreeOrder.precedes)
            first.linkCount = UInt32(clamping: names.count)
            for name in names {
                first.path = name
                first.hardLink = name == names[0] ? nil : names[0]
                entriesByPath[name] = first
            }
        }
    }

    private func writeList() throws -> ContentReference {
        // tar may leave directories out; a tree names them all.
        var missing: Set<[UInt8]> = []
        for path in entriesByPath.keys {
            var parent = path[...]
            while !parent.isEmpty {
                parent = parent[..<(parent.lastIndex(of: UInt8(ascii: "/")) ?? parent.startIndex)]
                if entriesByPath[Array(parent)] == nil { missing.insert(Array(parent)) }
            }
        }
        for path in missing {
            var entry = TreeEntry(path: path, type: .directory)
            entry.mode = 0o755
            entriesByPath[path] = entry
        }
        var encoder = TreeEncoder()
        list.begin()
        for path in entriesByPath.keys.sorted(by: TreeOrder.precedes) {
            guard let entry = entriesByPath[path] else { continue }
            if entry.type == .file {
                files += 1
                if entry.hardLink == nil { bytes += entry.size }
            }
            encoder.append(entry)
            if encoder.pendingCount > 64 << 10 { try encoder.flush { try list.append($0) } }
        }
        try encoder.flush { try list.append($0) }
        try list.end()
        try list.drain()
        guard let tree = try list.takeFinished().first else {
            throw Failure(.failed, "an entry list is missing after its capture", side: .local)
        }
        return tree
    }
}
