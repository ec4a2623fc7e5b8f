public import Model

/// Bytes of the repository that are not as the format says.
public struct FormatError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was read, for example `pack 3f…`.
    public var object: String
    public var reason: String

    public init(_ object: String, _ reason: String) {
        self.object = object
        self.reason = reason
    }

    public var description: String { "\(object) is damaged: \(reason)" }

    /// As a person sees it.
    public var failure: Failure {
        Failure(
            .damaged, description,
            hint: "run 'dr check --read-data' to see what is affected", side: .repository)
    }
}

/// Appends little-endian numbers, variable-length numbers and bytes.
package struct ByteWriter {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package mutating func append(_ value: UInt8) { bytes.append(value) }
    package mutating func append(_ value: UInt32) { appendLittleEndian(value) }
    package mutating func append(_ value: UInt64) { appendLittleEndian(value) }
    package mutating func append(_ value: Int64) { appendLittleEndian(UInt64(bitPattern: value)) }
    package mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }
    package mutating func append<Kind>(_ id: Identifier<Kind>) {
        id.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }

    /// Seven bits a byte, least significant first, the top bit set on all but the last (LEB128).
    package mutating func appendVariable(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// Length as a variable number, then the bytes.
    package mutating func appendCounted(_ more: some Collection<UInt8>) {
        appendVariable(UInt64(more.count))
        bytes.append(contentsOf: more)
    }

    /// Forgets what was appended; its memory is used again.
    package mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    private mutating func appendLittleEndian<Value: FixedWidthInteger>(_ value: Value) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
}

/// Takes apart what ``ByteWriter`` put together; never reads past the end, whatever the bytes say.
package struct ByteReader {
    private let bytes: ArraySlice<UInt8>
    package private(set) var position: Int
    private let object: String

    package init(_ bytes: ArraySlice<UInt8>, in object: String) {
        self.bytes = bytes
        self.object = object
        position = bytes.startIndex
    }

    package var isAtEnd: Bool { position == bytes.endIndex }
    package var remaining: Int { bytes.endIndex - position }

    package mutating func readBytes(_ count: Int) throws(FormatError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= remaining else {
            throw FormatError(object, "ends too early")
        }
        defer { position += count }
        return bytes[position..<(position + count)]
    }

    package mutating func readByte() throws(FormatError) -> UInt8 {
        guard position < bytes.endIndex else { throw FormatError(object, "ends too early") }
        defer { position += 1 }
        return bytes[position]
    }

    package mutating func readUInt32() throws(FormatError) -> UInt32 { try readLittleEndian() }
    package mutating func readUInt64() throws(FormatError) -> UInt64 { try readLittleEndian() }
    package mutating func readInt64() throws(FormatError) -> Int64 {
        Int64(bitPattern: try readLittleEndian())
    }

    private mutating func readLittleEndian<Value: FixedWidthInteger>() throws(FormatError) -> Value
    {
        var value: Value = 0
        var shift = 0
        for byte in try readBytes(MemoryLayout<Value>.size) {
            value |= Value(truncatingIfNeeded: byte) << Value(truncatingIfNeeded: shift)
            shift += 8
        }
        return value
    }

    package mutating func readVariable() throws(FormatError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try readByte()
            guard shift < 63 || byte < 2 else { throw FormatError(object, "a number is too large") }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
    }

    /// A variable number of at most `limit`.
    package mutating func readVariable(atMost limit: UInt32) throws(FormatError) -> UInt32 {
        let value = try readVariable()
        guard value <= UInt64(limit) else { throw FormatError(object, "a number is too large") }
        return UInt32(value)
    }

    /// A variable number that must fit the bytes left, so that a length never allocates more.
    package mutating func readCount(atLeast size: Int = 1) throws(FormatError) -> Int {
        let value = try readVariable()
        guard value <= UInt64(remaining / max(1, size)) else {
            throw FormatError(object, "a length is larger than what follows")
        }
        return Int(value)
    }

    package mutating func readCounted() throws(FormatError) -> ArraySlice<UInt8> {
        try readBytes(try readCount())
    }

    package mutating func readIdentifier<Kind>() throws(FormatError) -> Identifier<Kind> {
        let slice = try readBytes(Identifier<Kind>.byteCount)
        return slice.withUnsafeBytes { Identifier<Kind>($0) }
    }
}
