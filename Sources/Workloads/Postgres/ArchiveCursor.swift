/// Reads the numbers and texts of PostgreSQL's custom archive format from bytes in memory.
///
/// - SeeAlso: PostgreSQL, `src/bin/pg_dump/pg_backup_archiver.c`: `ReadInt`, `ReadStr`, `ReadToc`.
struct ArchiveCursor {
    /// What stops reading.
    enum Stop: Error {
        /// The bytes end within an item; more may come.
        case needsMore
        case malformed(String)
    }

    private let bytes: ArraySlice<UInt8>
    private(set) var position: Int
    private let intSize: Int

    init(_ bytes: ArraySlice<UInt8>, intSize: Int) {
        self.bytes = bytes
        self.intSize = intSize
        position = bytes.startIndex
    }

    mutating func byte() throws(Stop) -> UInt8 {
        guard position < bytes.endIndex else { throw .needsMore }
        defer { position += 1 }
        return bytes[position]
    }

    /// A sign byte and `intSize` bytes, least significant first.
    mutating func int() throws(Stop) -> Int {
        guard bytes.endIndex - position > intSize else { throw .needsMore }
        let isNegative = bytes[position] != 0
        guard bytes[position] <= 1 else { throw .malformed("a number's sign") }
        var value: UInt64 = 0
        for index in 0..<intSize {
            value |= UInt64(bytes[position + 1 + index]) << (8 * UInt64(index))
        }
        guard value <= UInt64(Int64.max) else { throw .malformed("a number's size") }
        position += intSize + 1
        return isNegative ? -Int(value) : Int(value)
    }

    /// A length and as many bytes; nil for a length below zero.
    mutating func text() throws(Stop) -> [UInt8]? {
        let count = try int()
        if count < 0 { return nil }
        guard count <= 1 << 30 else { throw .malformed("a text's length") }
        guard bytes.endIndex - position >= count else { throw .needsMore }
        defer { position += count }
        return Array(bytes[position..<(position + count)])
    }

    mutating func skip(_ count: Int) throws(Stop) {
        guard bytes.endIndex - position >= count else { throw .needsMore }
        position += count
    }
}

/// The beginning of an archive.
struct ArchiveHeader {
    /// Format version, for example (1, 14): what PostgreSQL 12 to 15 write.
    let version: (major: UInt8, minor: UInt8)
    let intSize: Int
    let offsetSize: Int
    let isCompressed: Bool

    static let magic = Array("PGDMP".utf8)

    /// Versions whose table of contents is known: PostgreSQL 9.0 to 18.
    static func isKnown(_ version: (major: UInt8, minor: UInt8)) -> Bool {
        version.major == 1 && (12...16).contains(version.minor)
    }

    /// Reads the header.
    ///
    /// - Returns: The header, and how many bytes it takes.
    static func read(_ bytes: ArraySlice<UInt8>) throws(ArchiveCursor.Stop)
        -> (ArchiveHeader, Int)
    {
        guard bytes.count >= 11 else { throw .needsMore }
        let start = bytes.startIndex
        guard bytes.starts(with: magic) else { throw .malformed("no PGDMP at its beginning") }
        let version = (major: bytes[start + 5], minor: bytes[start + 6])
        guard isKnown(version) else {
            throw .malformed("archive version \(version.major).\(version.minor) is not known")
        }
        let intSize = Int(bytes[start + 8])
        let offsetSize = Int(bytes[start + 9])
        guard (1...8).contains(intSize), (1...8).contains(offsetSize), bytes[start + 10] == 1
        else { throw .malformed("not the custom format") }
        var cursor = ArchiveCursor(bytes[(start + 11)...], intSize: intSize)
        // A level before version 1.15, an algorithm since; 0 is none in both.
        let isCompressed =
            version.minor >= 15 ? try cursor.byte() != 0 : try cursor.int() != 0
        for _ in 0..<7 { _ = try cursor.int() }
        for _ in 0..<3 { _ = try cursor.text() }
        let header = ArchiveHeader(
            version: version, intSize: intSize, offsetSize: offsetSize, isCompressed: isCompressed)
        return (header, cursor.position - start)
    }
}

/// One entry of an archive's table of contents.
struct ArchiveEntry {
    let id: Int
    /// A data block with this id follows the table of contents.
    let hasData: Bool
    let kind: String
    let tag: [UInt8]
    let schema: [UInt8]
    let definition: [UInt8]
    let hasCopy: Bool

    init(_ cursor: inout ArchiveCursor, _ header: ArchiveHeader) throws(ArchiveCursor.Stop) {
        id = try cursor.int()
        hasData = try cursor.int() != 0
        _ = try cursor.text()  // table oid
        _ = try cursor.text()  // oid
        tag = try cursor.text() ?? []
        kind = String(decoding: try cursor.text() ?? [], as: UTF8.self)
        _ = try cursor.int()  // section
        definition = try cursor.text() ?? []
        _ = try cursor.text()  // drop statement
        hasCopy = try cursor.text()?.isEmpty == false
        schema = try cursor.text() ?? []
        _ = try cursor.text()  // tablespace
        if header.version.minor >= 14 { _ = try cursor.text() }  // table access method
        if header.version.minor >= 16 { _ = try cursor.int() }  // relation kind
        _ = try cursor.text()  // owner
        _ = try cursor.text()  // with oids
        // Dependencies, up to a text that is none.
        while try cursor.text() != nil {}
        try cursor.skip(1 + header.offsetSize)
    }
}
