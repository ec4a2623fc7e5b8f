import Model

/// The records of a pax header: `length key=value`, one after the other.
struct PaxRecords {
    /// Bytes that the records of one entry may have: attributes as large as any file system keeps.
    static let largest = 8 << 20

    private(set) var values: [(key: [UInt8], value: [UInt8])] = []

    init() {}

    /// Takes the content of a header of type `x` or `g` apart.
    init(_ bytes: [UInt8]) throws(TarProblem) {
        var rest = bytes[...]
        while !rest.isEmpty {
            // Some writers fill the block up.
            if rest.allSatisfy({ $0 == 0 }) { return }
            guard let space = rest.prefix(20).firstIndex(of: UInt8(ascii: " ")),
                let length = TarNumber.decimal(rest[..<space]).flatMap({ Int(exactly: $0) }),
                length > space - rest.startIndex + 1, length <= rest.count,
                rest[rest.startIndex + length - 1] == UInt8(ascii: "\n")
            else { throw TarProblem("an extended header's record has a wrong length") }
            let record = rest[(space + 1)..<(rest.startIndex + length - 1)]
            guard let equals = record.firstIndex(of: UInt8(ascii: "=")) else {
                throw TarProblem("an extended header's record has no value")
            }
            values.append((Array(record[..<equals]), Array(record[(equals + 1)...])))
            rest = rest[(rest.startIndex + length)...]
        }
    }

    var isEmpty: Bool { values.isEmpty }

    /// The last value of a key.
    subscript(_ key: String) -> [UInt8]? {
        values.last { $0.key.elementsEqual(key.utf8) }?.value
    }

    mutating func add(_ key: some Sequence<UInt8>, _ value: some Sequence<UInt8>) {
        values.append((Array(key), Array(value)))
    }

    mutating func add(_ key: String, _ value: some Sequence<UInt8>) { add(key.utf8, value) }

    mutating func add(_ other: PaxRecords) { values += other.values }

    /// The records as a header's content.
    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        for (key, value) in values {
            // The length counts its own digits.
            let rest = key.count + value.count + 3
            var length = rest + 1
            while String(length).utf8.count + rest != length {
                length = String(length).utf8.count + rest
            }
            bytes += "\(length) ".utf8
            bytes += key
            bytes.append(UInt8(ascii: "="))
            bytes += value
            bytes.append(UInt8(ascii: "\n"))
        }
        return bytes
    }
}

/// Names of attributes as pax keys, which cannot hold `=`: GNU tar writes it, and `%`, as `%NN`.
enum PaxAttributeName {
    static func encode(_ name: [UInt8]) -> [UInt8] {
        name.flatMap { byte -> [UInt8] in
            switch byte {
            case UInt8(ascii: "%"): Array("%25".utf8)
            case UInt8(ascii: "="): Array("%3D".utf8)
            default: [byte]
            }
        }
    }

    static func decode(_ key: some Collection<UInt8>) -> [UInt8] {
        var name: [UInt8] = []
        var rest = key[...]
        while let byte = rest.first {
            if byte == UInt8(ascii: "%"), rest.count >= 3,
                let decoded = Hexadecimal.decode(
                    String(decoding: rest.dropFirst().prefix(2), as: UTF8.self))
            {
                name += decoded
                rest = rest.dropFirst(3)
            } else {
                name.append(byte)
                rest = rest.dropFirst()
            }
        }
        return name
    }
}
