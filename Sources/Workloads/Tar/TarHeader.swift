public import Model

/// A tar archive that is not as the format says, or that lies.
public struct TarError: Error, Sendable, Hashable, CustomStringConvertible {
    public var reason: String
    /// Bytes of the archive before the place at which it was noticed.
    public var offset: UInt64

    public var description: String { "the tar archive is not whole: \(reason)" }

    /// As a person sees it.
    public var failure: Failure {
        Failure(
            .failed, description, hint: "what came before it was read; make the archive again",
            cause: "at byte \(offset)", side: .source)
    }
}

/// One header block of a tar archive, 512 bytes: POSIX ustar, as GNU tar and its forebears vary it.
struct TarHeader {
    static let length = 512

    enum Dialect { case old, posix, gnu }

    var name: [UInt8]
    var linkName: [UInt8]
    var mode: UInt32
    var userID: UInt32
    var groupID: UInt32
    var size: UInt64
    var modified: Int64
    var kind: UInt8
    var major: UInt32
    var minor: UInt32
    var dialect: Dialect

    /// Takes a block apart.
    ///
    /// - Returns: nil for a block of zeros.
    static func parse(_ block: UnsafeRawBufferPointer) throws(TarProblem) -> TarHeader? {
        if block.allSatisfy({ $0 == 0 }) { return nil }
        guard checksumHolds(block) else { throw TarProblem("a header's checksum does not hold") }
        func field(_ offset: Int, _ count: Int) -> [UInt8] {
            Array(block[offset..<(offset + count)].prefix { $0 != 0 })
        }
        func number(_ offset: Int, _ count: Int, _ what: String) throws(TarProblem) -> Int64 {
            let bytes = block[offset..<(offset + count)]
            guard let value = TarNumber.parse(bytes) else {
                throw TarProblem("a header's \(what) is no number")
            }
            return value
        }
        let magic = Array(block[257..<265])
        let dialect: Dialect =
            magic == Array("ustar  \0".utf8)
            ? .gnu : magic.starts(with: Array("ustar\0".utf8)) ? .posix : .old
        let size = try number(124, 12, "size")
        guard size >= 0 else { throw TarProblem("a header's size is negative") }
        var name = field(0, 100)
        // GNU tar keeps other things in the prefix.
        if dialect == .posix {
            let prefix = field(345, 155)
            if !prefix.isEmpty { name = prefix + [UInt8(ascii: "/")] + name }
        }
        let isDevice = block[156] == TarKind.characterDevice || block[156] == TarKind.blockDevice
        return TarHeader(
            name: name, linkName: field(157, 100),
            mode: UInt32(truncatingIfNeeded: try number(100, 8, "mode")) & 0o7777,
            userID: UInt32(clamping: try number(108, 8, "owner")),
            groupID: UInt32(clamping: try number(116, 8, "group")), size: UInt64(size),
            modified: try number(136, 12, "time"), kind: block[156],
            major: isDevice ? UInt32(clamping: try number(329, 8, "device")) : 0,
            minor: isDevice ? UInt32(clamping: try number(337, 8, "device")) : 0,
            dialect: dialect)
    }

    /// Old programs summed signed characters; both are taken.
    private static func checksumHolds(_ block: UnsafeRawBufferPointer) -> Bool {
        guard let stored = TarNumber.parse(block[148..<156]) else { return false }
        var unsigned: Int64 = 0
        var signed: Int64 = 0
        for (offset, byte) in block.enumerated() {
            let counted = (148..<156).contains(offset) ? UInt8(ascii: " ") : byte
            unsigned += Int64(counted)
            signed += Int64(Int8(bitPattern: counted))
        }
        return stored == unsigned || stored == signed
    }

    /// The block; numbers too large for it are left at what fits, for pax records to say better.
    func encoded() -> [UInt8] {
        var block = [UInt8](repeating: 0, count: Self.length)
        func put(_ bytes: some Sequence<UInt8>, _ offset: Int, _ count: Int) {
            for (index, byte) in bytes.prefix(count).enumerated() { block[offset + index] = byte }
        }
        func octal(_ value: UInt64, _ offset: Int, _ digits: Int) {
            let most = (UInt64(1) << (3 * UInt64(digits))) - 1
            let text = String(min(value, most), radix: 8)
            put(String(repeating: "0", count: digits - text.count).utf8, offset, digits)
            put(text.utf8, offset + digits - text.count, digits)
        }
        put(name, 0, 100)
        octal(UInt64(mode), 100, 7)
        octal(UInt64(userID), 108, 7)
        octal(UInt64(groupID), 116, 7)
        octal(size, 124, 11)
        octal(UInt64(max(0, modified)), 136, 11)
        block[156] = kind
        put(linkName, 157, 100)
        put("ustar\0".utf8, 257, 6)
        put("00".utf8, 263, 2)
        octal(UInt64(major), 329, 7)
        octal(UInt64(minor), 337, 7)
        put(Array(repeating: UInt8(ascii: " "), count: 8), 148, 8)
        octal(block.reduce(0) { $0 + UInt64($1) }, 148, 6)
        block[154] = 0
        return block
    }
}

/// What is wrong with an archive, before it is known where.
struct TarProblem: Error {
    var reason: String
    init(_ reason: String) { self.reason = reason }
}

/// The types of headers.
enum TarKind {
    static let file = UInt8(ascii: "0")
    static let hardLink = UInt8(ascii: "1")
    static let symlink = UInt8(ascii: "2")
    static let characterDevice = UInt8(ascii: "3")
    static let blockDevice = UInt8(ascii: "4")
    static let directory = UInt8(ascii: "5")
    static let fifo = UInt8(ascii: "6")
    static let contiguous = UInt8(ascii: "7")
    static let records = UInt8(ascii: "x")
    static let globalRecords = UInt8(ascii: "g")
    static let sunRecords = UInt8(ascii: "X")
    static let longName = UInt8(ascii: "L")
    static let longLink = UInt8(ascii: "K")
    static let gnuSparse = UInt8(ascii: "S")
    static let dumpDirectory = UInt8(ascii: "D")
    static let volumeLabel = UInt8(ascii: "V")
    static let continuation = UInt8(ascii: "M")
    static let sunAccessControl = UInt8(ascii: "A")
}

/// Numbers as tar headers hold them.
enum TarNumber {
    /// Octal digits between spaces and zero bytes, or GNU's two's complement behind a first byte of
    /// 0x80 or 0xFF; nil for anything else and for what does not fit.
    static func parse(_ field: some Collection<UInt8>) -> Int64? {
        guard let first = field.first else { return nil }
        if first == 0x80 || first == 0xFF {
            var value: Int64 = first == 0xFF ? -1 : 0
            for byte in field.dropFirst() {
                let (product, overflow) = value.multipliedReportingOverflow(by: 256)
                if overflow { return nil }
                value = product | Int64(byte)
            }
            return value
        }
        let isSpace: (UInt8) -> Bool = { $0 == UInt8(ascii: " ") || $0 == 0 }
        let trimmed = field.drop { $0 == UInt8(ascii: " ") }
        var value: Int64 = 0
        var rest = trimmed[...]
        while let byte = rest.first, !isSpace(byte) {
            guard (48...55).contains(byte), value < 1 << 59 else { return nil }
            value = value << 3 | Int64(byte - 48)
            rest = rest.dropFirst()
        }
        return rest.allSatisfy(isSpace) ? value : nil
    }

    /// Decimal digits and nothing else.
    static func decimal(_ text: some Collection<UInt8>) -> UInt64? {
        guard !text.isEmpty, text.count <= 20 else { return nil }
        var value: UInt64 = 0
        for byte in text {
            guard (48...57).contains(byte) else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, again) = product.addingReportingOverflow(UInt64(byte - 48))
            if overflow || again { return nil }
            value = sum
        }
        return value
    }

    /// A time in decimal seconds, with a sign and a fraction of any length; nil for anything else.
    static func time(_ text: some Collection<UInt8>) -> Timestamp? {
        let isNegative = text.first == UInt8(ascii: "-")
        let digits = text.dropFirst(isNegative ? 1 : 0)
        let parts = digits.split(
            separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first.flatMap({ decimal($0) }), whole < UInt64(Int64.max) else {
            return nil
        }
        var fraction = 0
        var scale = 100_000_000
        for byte in parts.count > 1 ? parts[1] : digits[digits.endIndex...] {
            guard (48...57).contains(byte) else { return nil }
            fraction += Int(byte - 48) * scale
            scale /= 10
        }
        guard isNegative else { return Timestamp(seconds: Int(whole), nanoseconds: fraction) }
        // -0.25 is a quarter of a second before 1970.
        return fraction == 0
            ? Timestamp(seconds: -Int(whole), nanoseconds: 0)
            : Timestamp(seconds: -Int(whole) - 1, nanoseconds: 1_000_000_000 - fraction)
    }

    /// What ``time(_:)`` reads back.
    static func text(of time: Timestamp) -> String {
        let (seconds, fraction) = (time.wholeSeconds, time.fraction)
        guard fraction != 0 else { return String(seconds) }
        let isNegative = seconds < 0
        let whole = isNegative ? -(seconds + 1) : seconds
        var digits = String(isNegative ? 1_000_000_000 - fraction : fraction)
        digits = String(repeating: "0", count: 9 - digits.count) + digits
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(isNegative ? "-" : "")\(whole).\(digits)"
    }
}
