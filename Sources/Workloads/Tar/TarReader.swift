import CLinux
import Engine
import Glibc
public import Model

/// Reads a tar archive as it comes: ustar, pax, GNU and old Unix archives, sparse files, attributes
/// and ACLs. Nothing is trusted, memory is bounded, names are bytes.
///
/// An archive must be whole: it ends with two blocks of zeros and nothing but zeros behind them.
/// What is damaged, cut short or says two different things is an error, never an early end. Names
/// are given as they are written, but for a leading `./` and doubled slashes: whoever makes files of
/// them must refuse what leads out. Owned by one thread; calls block.
public final class TarReader {
    /// One entry.
    public struct Item: Sendable {
        /// `hardLink` names another entry of the archive; its link count is 0, because an archive
        /// does not say it. The content is empty: the bytes come from ``read(_:)``.
        public var entry: TreeEntry
        /// What of the entry cannot be brought back as it is, for people.
        public var remarks: [String]
    }

    /// Bounds against archives that never end.
    public struct Limits: Sendable {
        /// Bytes of the archive, all in all.
        public var bytes: UInt64
        public var entries: UInt64

        public init(bytes: UInt64 = 1 << 60, entries: UInt64 = 1 << 40) {
            self.bytes = bytes
            self.entries = entries
        }
    }

    /// Zeros behind the end that are read along: tar fills its last record up.
    private static let largestFilling: UInt64 = 64 << 20

    private let source: TarInput
    private let limits: Limits
    private var defaults = PaxRecords()
    private var entries: UInt64 = 0
    /// The data of the current entry that was not read, and its filling.
    private var left: UInt64 = 0
    private var filling: UInt64 = 0
    private var map: TarSparseMap?
    private var isAtEnd = false

    /// - Parameter descriptor: Open for reading; stays open.
    public init(descriptor: Int32, limits: Limits = Limits()) {
        source = TarInput(descriptor: descriptor, limit: limits.bytes)
        self.limits = limits
    }

    /// Bytes of the archive that were read.
    public var offset: UInt64 { source.offset }

    /// The next entry; nil at the end of a whole archive. What was not read of the entry before is
    /// passed over.
    public func next() throws -> Item? {
        if isAtEnd { return nil }
        return try locating { try find() }
    }

    /// Calls `body` with the bytes of the current entry and the places in the file that they belong
    /// to, in order; what no call covers is a hole.
    public func read(_ body: (UInt64, UnsafeRawBufferPointer) throws -> Void) throws {
        var segments = (map?.segments ?? [TarSegment(offset: 0, length: left)])[...]
        while var segment = segments.popFirst() {
            while segment.length > 0 {
                let length = try locating {
                    try source.take(atMost: segment.length) { try body(segment.offset, $0) }
                }
                segment.offset += length
                segment.length -= length
                left -= length
            }
        }
    }

    /// Adds the place in the archive to what is wrong with it.
    private func locating<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let problem as TarProblem {
            throw TarError(reason: problem.reason, offset: source.offset)
        }
    }

    // MARK: Headers

    private func find() throws -> Item? {
        try source.skip(left + filling)
        (left, filling, map) = (0, 0, nil)
        var records: PaxRecords?
        var longName: [UInt8]?
        var longLink: [UInt8]?
        while true {
            let block = try source.block(
                atEnd: entries == 0 ? "it is empty" : "it ends without its end mark")
            guard let header = try block.withUnsafeBytes({ try TarHeader.parse($0) }) else {
                guard records == nil, longName == nil, longLink == nil else {
                    throw TarProblem("it ends behind an extended header")
                }
                try end()
                return nil
            }
            switch header.kind {
            case TarKind.records, TarKind.sunRecords:
                guard records == nil else {
                    throw TarProblem("two extended headers belong to one entry")
                }
                records = try PaxRecords(try content(of: header, PaxRecords.largest))
            case TarKind.globalRecords:
                let global = try PaxRecords(try content(of: header, PaxRecords.largest))
                let ownKeys = ["path", "linkpath", "size", "GNU.sparse."]
                for (key, _) in global.values
                where ownKeys.contains(where: { key.starts(with: $0.utf8) }) {
                    throw TarProblem("a global header says what only an entry may")
                }
                guard defaults.values.count + global.values.count < 10_000 else {
                    throw TarProblem("its global headers are too many")
                }
                defaults.add(global)
            case TarKind.longName: longName = try longText(of: header)
            case TarKind.longLink: longLink = try longText(of: header)
            case TarKind.volumeLabel: _ = try content(of: header, 1 << 20)
            case TarKind.sunAccessControl: _ = try content(of: header, 1 << 20)
            default:
                entries += 1
                guard entries <= limits.entries else {
                    throw TarProblem("it has more than \(limits.entries) entries")
                }
                var all = defaults
                if let records { all.add(records) }
                return try item(header, block, all, longName, longLink)
            }
        }
    }

    /// The second block of zeros, and nothing behind it.
    private func end() throws {
        let block = try source.block(atEnd: "it ends with half of its end mark")
        guard block.allSatisfy({ $0 == 0 }) else {
            throw TarProblem("a single block of zeros stands between its entries")
        }
        var filled: UInt64 = 0
        while true {
            var isZero = true
            let count = try source.takeOrEnd {
                isZero = $0.allSatisfy { $0 == 0 }
            }
            guard isZero else { throw TarProblem("something follows its end") }
            if count == 0 { break }
            filled += count
            guard filled <= Self.largestFilling else { throw TarProblem("it does not end") }
        }
        isAtEnd = true
    }

    private func longText(of header: TarHeader) throws -> [UInt8] {
        Array(try content(of: header, 1 << 20).prefix { $0 != 0 })
    }

    /// The data of a header that is about another one.
    private func content(of header: TarHeader, _ largest: Int) throws -> [UInt8] {
        guard header.size <= UInt64(largest) else {
            throw TarProblem("an extended header has \(header.size) bytes")
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(header.size))
        var left = header.size
        while left > 0 { left -= try source.take(atMost: left) { bytes += $0 } }
        try source.skip(Self.filling(of: header.size))
        return bytes
    }

    private static func filling(of size: UInt64) -> UInt64 {
        let rest = size % UInt64(TarHeader.length)
        return rest == 0 ? 0 : UInt64(TarHeader.length) - rest
    }

    private func item(
        _ header: TarHeader, _ block: [UInt8], _ records: PaxRecords, _ longName: [UInt8]?,
        _ longLink: [UInt8]?
    ) throws -> Item {
        var stored = header.size
        if let text = records["size"] {
            guard let size = TarNumber.decimal(text) else {
                throw TarProblem("an extended header's size is no number")
            }
            stored = size
        }
        let name = records["GNU.sparse.name"] ?? records["path"] ?? longName ?? header.name
        var maker = TarEntryMaker(
            header: header, records: records, name: name,
            linkName: records["linkpath"] ?? longLink ?? header.linkName)
        let (item, hasData) = try maker.make()
        guard hasData || stored == 0 else {
            throw TarProblem(
                "\(printable(name)) has \(stored) bytes, which its type cannot have")
        }
        guard stored <= UInt64(Int64.max) else {
            throw TarProblem("\(printable(name)) says that it has \(stored) bytes")
        }
        (left, filling) = (stored, Self.filling(of: stored))
        var result = item
        if result.entry.type == .file, result.entry.hardLink == nil {
            map = try sparseMap(header, block, records)
            try map?.check(stored: left)
            result.entry.size = map?.size ?? left
            guard result.entry.size <= UInt64(Int64.max) else {
                throw TarProblem("\(printable(name)) says that it has \(result.entry.size) bytes")
            }
        }
        return result
    }

    private func sparseMap(_ header: TarHeader, _ block: [UInt8], _ records: PaxRecords) throws
        -> TarSparseMap?
    {
        if header.kind == TarKind.gnuSparse {
            return try block.withUnsafeBytes { block in
                try TarSparseMap(header: block) {
                    try source.block(atEnd: "it ends within a sparse file's map")
                }
            }
        }
        if let major = records["GNU.sparse.major"], major.elementsEqual("1".utf8) {
            guard let size = records["GNU.sparse.realsize"].flatMap({ TarNumber.decimal($0) })
            else { throw TarProblem("a sparse file's size is no number") }
            return try TarSparseMap.leading(size: size) {
                guard left >= UInt64(TarHeader.length) else {
                    throw TarProblem("a sparse file's map is longer than what is stored")
                }
                left -= UInt64(TarHeader.length)
                return try source.block(atEnd: "it ends within a sparse file's map")
            }
        }
        return try TarSparseMap(records: records)
    }
}

/// The bytes of an archive, read ahead in large pieces.
private final class TarInput {
    private let descriptor: Int32
    private let limit: UInt64
    private let buffer = UnsafeMutableRawBufferPointer.allocate(
        byteCount: 1 << 18, alignment: 4096)
    private var start = 0
    private var end = 0
    /// Bytes that were given out.
    private(set) var offset: UInt64 = 0

    init(descriptor: Int32, limit: UInt64) {
        self.descriptor = descriptor
        self.limit = limit
    }

    deinit { buffer.deallocate() }

    /// Reads on; false at the end.
    private func fill() throws -> Bool {
        if start > 0 {
            // Of overlapping regions a copy is as if by way of a third.
            let rest = UnsafeRawBufferPointer(rebasing: buffer[start..<end])
            buffer.copyMemory(from: rest)
            (start, end) = (0, rest.count)
        }
        while true {
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[end...])
            let count = Glibc.read(descriptor, room.baseAddress, room.count)
            if count > 0 {
                end += count
                return true
            }
            if count == 0 { return false }
            if dr_errno() != EINTR { throw SystemError.last("read", "").failure(side: .source) }
        }
    }

    private func given(_ count: Int) throws {
        start += count
        offset += UInt64(count)
        guard offset <= limit else { throw TarProblem("it is longer than \(limit) bytes") }
    }

    /// A whole block.
    ///
    /// - Parameter atEnd: What is wrong when there is none.
    func block(atEnd: String) throws -> [UInt8] {
        while end - start < TarHeader.length {
            guard try fill() else {
                throw TarProblem(end == start ? atEnd : "it ends within a block")
            }
        }
        let block = Array(buffer[start..<(start + TarHeader.length)])
        try given(TarHeader.length)
        return block
    }

    /// Calls `body` with some bytes, one at least.
    func take(atMost most: UInt64, _ body: (UnsafeRawBufferPointer) throws -> Void) throws
        -> UInt64
    {
        if start == end, try !fill() { throw TarProblem("it ends within a file") }
        let count = Int(min(most, UInt64(end - start)))
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[start..<(start + count)])
        try given(count)
        try body(bytes)
        return UInt64(count)
    }

    /// Calls `body` with what there is; 0 at the end.
    func takeOrEnd(_ body: (UnsafeRawBufferPointer) -> Void) throws -> UInt64 {
        if start == end, try !fill() { return 0 }
        let count = end - start
        body(UnsafeRawBufferPointer(rebasing: buffer[start..<end]))
        try given(count)
        return UInt64(count)
    }

    func skip(_ count: UInt64) throws {
        var left = count
        while left > 0 { left -= try take(atMost: left) { _ in } }
    }
}
