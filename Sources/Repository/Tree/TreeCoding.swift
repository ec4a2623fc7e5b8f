public import Model

/// Writes entries as the bytes of a tree's entry list, in tree order.
///
/// An entry is: type and flags (1 byte), length of the path shared with the entry before (variable),
/// rest of the path (counted), mode, user, group (variable each), modification and change time in
/// nanoseconds (8 each, signed), inode, device (variable), then what its type has, then its extended
/// attributes if the flag says so. FORMAT.md, section 7.
public struct TreeEncoder {
    private var writer = ByteWriter()
    private var previous: [UInt8] = []

    static let torn: UInt8 = 0x80
    static let attributes: UInt8 = 0x40
    static let hardLink: UInt8 = 0x20

    public init() {}

    /// Appends `entry`, which must stand behind the one before in tree order.
    public mutating func append(_ entry: TreeEntry) {
        var head = entry.type.rawValue
        if entry.isTorn { head |= Self.torn }
        if !entry.attributes.isEmpty { head |= Self.attributes }
        if entry.hardLink != nil { head |= Self.hardLink }
        writer.append(head)
        var shared = 0
        let limit = min(previous.count, entry.path.count)
        while shared < limit, previous[shared] == entry.path[shared] { shared += 1 }
        writer.appendVariable(UInt64(shared))
        writer.appendCounted(entry.path[shared...])
        writer.appendVariable(UInt64(entry.mode))
        writer.appendVariable(UInt64(entry.userID))
        writer.appendVariable(UInt64(entry.groupID))
        writer.append(entry.modified.nanoseconds)
        writer.append(entry.changed.nanoseconds)
        writer.appendVariable(entry.inode)
        writer.appendVariable(entry.device)
        switch entry.type {
        case .file:
            writer.appendVariable(entry.size)
            writer.appendVariable(UInt64(entry.linkCount))
            if let target = entry.hardLink { writer.appendCounted(target) }
            append(entry.content)
        case .symlink: writer.appendCounted(entry.linkTarget)
        case .characterDevice, .blockDevice:
            writer.appendVariable(UInt64(entry.deviceNumber.major))
            writer.appendVariable(UInt64(entry.deviceNumber.minor))
        case .directory, .fifo: break
        }
        if !entry.attributes.isEmpty {
            writer.appendVariable(UInt64(entry.attributes.count))
            for attribute in entry.attributes {
                writer.appendCounted(attribute.name)
                writer.appendCounted(attribute.value)
            }
        }
        previous = entry.path
    }

    private mutating func append(_ content: ContentReference) {
        writer.append(content.depth)
        writer.appendVariable(content.length)
        writer.appendVariable(UInt64(content.references.count))
        for reference in content.references { NodeFormat.append(reference, to: &writer) }
    }

    /// Bytes appended since the last call.
    public var pendingCount: Int { writer.bytes.count }

    /// Calls `body` with the bytes appended since the last call, and forgets them.
    public mutating func flush(_ body: (UnsafeRawBufferPointer) throws -> Void) rethrows {
        try writer.bytes.withUnsafeBytes(body)
        writer.removeAll()
    }
}

/// Reads a tree's entry list piece by piece.
///
/// Refuses what no capture writes and a restore could be harmed by: paths out of order, absolute, or
/// with empty, `.` or `..` components or zero bytes; link targets with zero bytes; unknown types;
/// entries of more than ``largestEntry`` bytes; numbers that nothing can have.
public struct TreeDecoder {
    /// Bytes that one entry may have: a path, and attributes as large as any file system keeps.
    package static let largestEntry = 16 << 20

    /// Where a decoder stands: two that are equal go on equally with equal bytes.
    struct Position: Hashable {
        var rest: [UInt8]
        var previous: [UInt8]?
    }

    private var buffer: [UInt8] = []
    private var position = 0
    private var previous: [UInt8]?
    private let object: String

    /// - Parameter object: What is read, for messages.
    public init(object: String) { self.object = object }

    /// Gives the decoder the next bytes.
    public mutating func feed(_ bytes: UnsafeRawBufferPointer) {
        if position > 0 {
            buffer.removeFirst(position)
            position = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// Where it stands, between two bytes of what it is given.
    var state: Position { Position(rest: Array(buffer[position...]), previous: previous) }

    /// Whether all bytes given have been read as entries.
    public var isAtEnd: Bool { position == buffer.count }

    /// The next entry; nil when it is not whole yet.
    public mutating func next() throws(FormatError) -> TreeEntry? {
        guard position < buffer.count else { return nil }
        var reader = ByteReader(buffer[position...], in: object)
        let entry: TreeEntry
        do throws(FormatError) {
            entry = try read(&reader)
        } catch {
            // Not enough bytes looks like damage until there are none to come: see `finish`.
            let isShort =
                error.reason == "ends too early" || error.reason.hasPrefix("a length is larger")
            if isShort, buffer.count - position <= Self.largestEntry { return nil }
            throw error
        }
        try check(entry)
        position = reader.position
        previous = entry.path
        return entry
    }

    /// Throws unless everything given was read.
    public func finish() throws(FormatError) {
        guard isAtEnd else { throw FormatError(object, "its entry list ends within an entry") }
    }

    private func read(_ reader: inout ByteReader) throws(FormatError) -> TreeEntry {
        let head = try reader.readByte()
        guard let type = EntryType(rawValue: head & 0x1F) else {
            throw FormatError(object, "an entry has an unknown type")
        }
        let shared = try reader.readVariable()
        guard shared <= UInt64(previous?.count ?? 0) else {
            throw FormatError(object, "an entry's path shares more than there is")
        }
        let rest = try reader.readCounted()
        var path = Array((previous ?? []).prefix(Int(shared)))
        path.append(contentsOf: rest)
        var entry = TreeEntry(path: path, type: type)
        entry.isTorn = head & TreeEncoder.torn != 0
        guard type == .file || head & TreeEncoder.hardLink == 0 else {
            throw FormatError(object, "an entry that is no file is a further hard link")
        }
        entry.mode = try reader.readVariable(atMost: 0o7777)
        entry.userID = try reader.readVariable(atMost: .max)
        entry.groupID = try reader.readVariable(atMost: .max)
        entry.modified = Timestamp(nanoseconds: try reader.readInt64())
        entry.changed = Timestamp(nanoseconds: try reader.readInt64())
        entry.inode = try reader.readVariable()
        entry.device = try reader.readVariable()
        switch type {
        case .file:
            entry.size = try reader.readVariable()
            entry.linkCount = try reader.readVariable(atMost: .max)
            if head & TreeEncoder.hardLink != 0 { entry.hardLink = Array(try reader.readCounted()) }
            entry.content = try readContent(&reader)
        case .symlink: entry.linkTarget = Array(try reader.readCounted())
        case .characterDevice, .blockDevice:
            let major = try reader.readVariable(atMost: .max)
            entry.deviceNumber = (major, try reader.readVariable(atMost: .max))
        case .directory, .fifo: break
        }
        if head & TreeEncoder.attributes != 0 {
            for _ in 0..<(try reader.readCount(atLeast: 2)) {
                let name = Array(try reader.readCounted())
                entry.attributes.append(
                    ExtendedAttribute(name: name, value: Array(try reader.readCounted())))
            }
        }
        return entry
    }

    private func readContent(_ reader: inout ByteReader) throws(FormatError) -> ContentReference {
        let depth = try reader.readByte()
        guard depth <= ContentReference.maximumDepth else {
            throw FormatError(object, "a content is nested too deeply")
        }
        let length = try reader.readVariable()
        let count = try reader.readVariable()
        guard length <= ContentReference.maximumLength,
            count <= UInt64(ContentReference.maximumReferences)
        else { throw FormatError(object, "a content is larger than one may be") }
        var references: [ChunkReference] = []
        for _ in 0..<count { references.append(try NodeFormat.read(&reader, in: object)) }
        return ContentReference(length: length, depth: depth, references: references)
    }

    private func check(_ entry: TreeEntry) throws(FormatError) {
        let slash = UInt8(ascii: "/")
        let dot = UInt8(ascii: ".")
        guard let previous else {
            guard entry.path.isEmpty else {
                throw FormatError(object, "its entry list does not begin with the root")
            }
            return
        }
        guard TreeOrder.precedes(previous, entry.path) else {
            throw FormatError(object, "entry '\(printable(entry.path))' is out of order")
        }
        for component in entry.path.split(separator: slash, omittingEmptySubsequences: false) {
            guard !component.isEmpty, !component.contains(0), component != [dot],
                component != [dot, dot]
            else {
                throw FormatError(object, "entry '\(printable(entry.path))' has no proper name")
            }
        }
        guard !entry.linkTarget.contains(0) else {
            throw FormatError(object, "entry '\(printable(entry.path))' has no proper link target")
        }
    }
}
