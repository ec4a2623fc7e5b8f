public import Model

/// Writes entries as a pax archive that GNU tar, bsdtar and others restore with everything in it:
/// nanoseconds, numeric owners, extended attributes, ACLs, hard links, holes, devices, names of any
/// bytes and any length.
///
/// Of the formats for what POSIX does not know it takes those that GNU tar reads: `SCHILY.xattr.…`
/// and `SCHILY.acl.…` records, and sparse format 1.0. Owned by one thread.
public final class TarWriter {
    private let output: (UnsafeRawBufferPointer) throws -> Void
    private var buffer: [UInt8] = []
    private var written: UInt64 = 0
    /// Bytes that the current entry still needs.
    private var left: UInt64 = 0
    private var filling = 0
    /// tar's record: archives are a multiple of it long.
    private static let record: UInt64 = 10240
    private static let bufferLength = 1 << 18

    /// - Parameter output: Takes the archive's bytes as they come, some hundred kilobytes at a time.
    public init(output: @escaping (UnsafeRawBufferPointer) throws -> Void) {
        self.output = output
        buffer.reserveCapacity(Self.bufferLength + 4096)
    }

    /// Begins an entry.
    ///
    /// - Parameters:
    ///   - name: Its name in the archive, without a slash at the end.
    ///   - link: For a further name of a file that came before: that one's name.
    ///   - segments: What of a file with holes will be written, ascending; nil for a file without.
    public func begin(
        _ entry: TreeEntry, name: [UInt8], link: [UInt8]? = nil, segments: [TarSegment]? = nil
    ) throws {
        precondition(left == 0, "an entry was not written to its end")
        var header = TarHeader(
            name: name, linkName: link ?? entry.linkTarget, mode: entry.mode & 0o7777,
            userID: entry.userID, groupID: entry.groupID, size: 0,
            modified: entry.modified.wholeSeconds, kind: Self.kind(of: entry, isLink: link != nil),
            major: entry.deviceNumber.major, minor: entry.deviceNumber.minor, dialect: .posix)
        if entry.type == .directory { header.name.append(UInt8(ascii: "/")) }
        var records = PaxRecords()
        var map: [UInt8] = []
        if header.kind == TarKind.file {
            header.size = entry.size
            if let segments {
                // What ends in a hole says so by an empty run at its end.
                var all = segments
                let end = all.last.map { $0.offset + $0.length } ?? 0
                if end < entry.size { all.append(TarSegment(offset: entry.size, length: 0)) }
                map = TarSparseMap.encoded(all)
                header.size = UInt64(map.count) + segments.reduce(0) { $0 + $1.length }
                records.add("GNU.sparse.major", "1".utf8)
                records.add("GNU.sparse.minor", "0".utf8)
                records.add("GNU.sparse.name", header.name)
                records.add("GNU.sparse.realsize", String(entry.size).utf8)
                header.name = Self.sibling("GNUSparseFile.0", of: header.name)
            }
        }
        if link == nil { addAttributes(entry, to: &records) }
        addOversized(entry, header, to: &records)
        try put(&header, records)
        left = header.size
        filling = Self.filling(of: header.size)
        if !map.isEmpty { try map.withUnsafeBytes { try data($0) } }
    }

    /// The next bytes of the current file; of one with holes those of its segments.
    public func data(_ bytes: UnsafeRawBufferPointer) throws {
        precondition(UInt64(bytes.count) <= left, "more bytes than the entry's header says")
        left -= UInt64(bytes.count)
        if bytes.count >= Self.bufferLength {
            try flush()
            try output(bytes)
            written += UInt64(bytes.count)
        } else {
            try append(bytes)
        }
    }

    /// Ends the current entry, all of whose bytes were given.
    public func end() throws {
        precondition(left == 0, "fewer bytes than the entry's header says")
        try append(Array(repeating: 0, count: filling))
        filling = 0
    }

    /// Gives out what is held back: the entries of another archive can follow in the same output.
    public func pause() throws {
        precondition(left == 0, "an entry was not written to its end")
        try flush()
    }

    /// Ends the archive. Without this it is not whole.
    public func finish() throws {
        try append(Array(repeating: 0, count: 2 * TarHeader.length))
        let rest = (written + UInt64(buffer.count)) % Self.record
        if rest > 0 { try append(Array(repeating: 0, count: Int(Self.record - rest))) }
        try flush()
    }

    // MARK: Headers

    private static func kind(of entry: TreeEntry, isLink: Bool) -> UInt8 {
        if isLink { return TarKind.hardLink }
        return switch entry.type {
        case .file: TarKind.file
        case .directory: TarKind.directory
        case .symlink: TarKind.symlink
        case .fifo: TarKind.fifo
        case .characterDevice: TarKind.characterDevice
        case .blockDevice: TarKind.blockDevice
        }
    }

    private func addAttributes(_ entry: TreeEntry, to records: inout PaxRecords) {
        for attribute in entry.attributes {
            let aclKey: String? =
                switch attribute.name {
                case AccessControlText.access: "SCHILY.acl.access"
                case AccessControlText.inherited: "SCHILY.acl.default"
                default: nil
                }
            if let aclKey, let text = AccessControlText.text(of: attribute.value) {
                records.add(aclKey, text)
            } else {
                records.add(
                    Array("SCHILY.xattr.".utf8) + PaxAttributeName.encode(attribute.name),
                    attribute.value)
            }
        }
    }

    /// What the fields of a header have no room for.
    private func addOversized(
        _ entry: TreeEntry, _ header: TarHeader, to records: inout PaxRecords
    ) {
        func isTooLarge(_ value: UInt64, digits: UInt64) -> Bool { value >> (3 * digits) != 0 }
        var names: [[UInt8]] = []
        if header.name.count > 100, records["GNU.sparse.name"] == nil {
            records.add("path", header.name)
            names.append(header.name)
        }
        if header.linkName.count > 100 {
            records.add("linkpath", header.linkName)
            names.append(header.linkName)
        }
        if isTooLarge(header.size, digits: 11) { records.add("size", String(header.size).utf8) }
        if isTooLarge(UInt64(entry.userID), digits: 7) {
            records.add("uid", String(entry.userID).utf8)
        }
        if isTooLarge(UInt64(entry.groupID), digits: 7) {
            records.add("gid", String(entry.groupID).utf8)
        }
        if entry.modified.fraction != 0 || entry.modified.wholeSeconds < 0
            || isTooLarge(UInt64(max(0, entry.modified.wholeSeconds)), digits: 11)
        {
            records.add("mtime", TarNumber.text(of: entry.modified).utf8)
        }
        if let name = records["GNU.sparse.name"] { names.append(name) }
        // Records are UTF-8 unless this says that they are bytes.
        if names.contains(where: { String(validating: $0, as: UTF8.self) == nil }) {
            var first = PaxRecords()
            first.add("hdrcharset", "BINARY".utf8)
            first.add(records)
            records = first
        }
    }

    private func put(_ header: inout TarHeader, _ records: PaxRecords) throws {
        if !records.isEmpty {
            let content = records.encoded()
            let extended = TarHeader(
                name: Self.sibling("PaxHeaders", of: header.name), linkName: [], mode: 0o644,
                userID: 0, groupID: 0, size: UInt64(content.count),
                modified: header.modified, kind: TarKind.records, major: 0, minor: 0,
                dialect: .posix)
            try append(extended.encoded())
            try append(content)
            try append(Array(repeating: 0, count: Self.filling(of: UInt64(content.count))))
        }
        try append(header.encoded())
    }

    /// `folder/last component`, for readers that know no records; cut to what fits.
    private static func sibling(_ folder: String, of name: [UInt8]) -> [UInt8] {
        let last = name.split(separator: UInt8(ascii: "/")).last ?? []
        return Array(folder.utf8) + [UInt8(ascii: "/")] + last.prefix(99 - folder.utf8.count)
    }

    private static func filling(of size: UInt64) -> Int {
        let rest = Int(size % UInt64(TarHeader.length))
        return rest == 0 ? 0 : TarHeader.length - rest
    }

    // MARK: Output

    private func append(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try append($0) }
    }

    private func append(_ bytes: UnsafeRawBufferPointer) throws {
        buffer.append(contentsOf: bytes)
        if buffer.count >= Self.bufferLength { try flush() }
    }

    private func flush() throws {
        try buffer.withUnsafeBytes { if !$0.isEmpty { try output($0) } }
        written += UInt64(buffer.count)
        buffer.removeAll(keepingCapacity: true)
    }
}
