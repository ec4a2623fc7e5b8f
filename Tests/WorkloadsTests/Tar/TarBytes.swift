/// Builds tar archives byte by byte, honest and dishonest ones, with none of the code under test.
struct TarBytes {
    private(set) var bytes: [UInt8] = []

    /// One header block, and its data with filling.
    ///
    /// - Parameters:
    ///   - size: What the header says; the data's length when nil.
    ///   - raw: Fields to overwrite, by offset, before the checksum is made.
    ///   - checksum: Added to the right one.
    mutating func add(
        _ name: String, kind: Character = "0", link: String = "", data: [UInt8] = [],
        size: UInt64? = nil, mode: Int = 0o644, owner: Int = 0, modified: Int = 1_000_000_000,
        device: (Int, Int) = (0, 0), magic: String = "ustar\u{0}00",
        raw: [(offset: Int, bytes: [UInt8])] = [], checksum: Int = 0
    ) {
        bytes += Self.header(
            Array(name.utf8), kind, link, size ?? UInt64(data.count), mode, owner, modified,
            device, magic, raw, checksum)
        bytes += data
        fill()
    }

    /// An extended header of records, with the right lengths unless `records` are bytes.
    mutating func pax(_ records: [(String, String)], kind: Character = "x") {
        pax(bytes: records.flatMap { Self.record($0, Array($1.utf8)) }, kind: kind)
    }

    mutating func pax(bytes records: [UInt8], kind: Character = "x") {
        add("PaxHeaders/x", kind: kind, data: records)
    }

    /// GNU's header for a name that is too long.
    mutating func long(_ name: String, kind: Character = "L") {
        add(
            "././@LongLink", kind: kind, data: Array(name.utf8) + [0],
            magic: "ustar  \u{0}")
    }

    /// The two blocks of zeros.
    mutating func end() { bytes += Array(repeating: 0, count: 1024) }

    mutating func append(_ more: [UInt8]) { bytes += more }

    private mutating func fill() {
        let rest = bytes.count % 512
        if rest > 0 { bytes += Array(repeating: 0, count: 512 - rest) }
    }

    static func record(_ key: String, _ value: [UInt8]) -> [UInt8] {
        let rest = key.utf8.count + value.count + 3
        var length = rest
        while length != rest + String(length).utf8.count {
            length = rest + String(length).utf8.count
        }
        return Array("\(length) \(key)=".utf8) + value + [10]
    }

    static func header(
        _ name: [UInt8], _ kind: Character, _ link: String, _ size: UInt64, _ mode: Int,
        _ owner: Int, _ modified: Int, _ device: (Int, Int), _ magic: String,
        _ raw: [(offset: Int, bytes: [UInt8])], _ checksum: Int
    ) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ bytes: [UInt8], _ offset: Int, _ count: Int) {
            for (index, byte) in bytes.prefix(count).enumerated() { block[offset + index] = byte }
        }
        func octal(_ value: UInt64, _ digits: Int) -> [UInt8] {
            let text = String(value, radix: 8)
            return Array((String(repeating: "0", count: max(0, digits - text.count)) + text).utf8)
        }
        put(name, 0, 100)
        put(octal(UInt64(mode), 7), 100, 7)
        put(octal(UInt64(owner), 7), 108, 7)
        put(octal(UInt64(owner), 7), 116, 7)
        put(octal(size, 11), 124, 11)
        put(octal(UInt64(modified), 11), 136, 11)
        block[156] = kind.asciiValue ?? 0
        put(Array(link.utf8), 157, 100)
        put(Array(magic.utf8), 257, 8)
        put(octal(UInt64(device.0), 7), 329, 7)
        put(octal(UInt64(device.1), 7), 337, 7)
        for (offset, bytes) in raw { put(bytes, offset, bytes.count) }
        put(Array(repeating: 32, count: 8), 148, 8)
        let sum = block.reduce(0) { $0 + Int($1) } + checksum
        put(octal(UInt64(sum), 6) + [0, 32], 148, 8)
        return block
    }
}
