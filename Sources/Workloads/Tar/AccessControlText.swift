/// POSIX ACLs between Linux's attributes and the text that tar archives hold.
///
/// The attribute is version 2 (4 bytes, little-endian), then for each entry its tag (2), its
/// permissions (2) and, for named users and groups, their number (4). The text is entries like
/// `user:1234:rw-`, separated by commas; users and groups are numbers on both sides.
enum AccessControlText {
    static let access = Array("system.posix_acl_access".utf8)
    static let inherited = Array("system.posix_acl_default".utf8)

    private static let tags: [(tag: UInt16, word: String, isNamed: Bool)] = [
        (0x01, "user", false), (0x02, "user", true), (0x04, "group", false),
        (0x08, "group", true), (0x10, "mask", false), (0x20, "other", false),
    ]

    /// The text of an attribute's value; nil when that is none.
    static func text(of value: [UInt8]) -> [UInt8]? {
        guard value.count >= 4, (value.count - 4) % 8 == 0, value[..<4] == [2, 0, 0, 0] else {
            return nil
        }
        var entries: [String] = []
        for start in stride(from: 4, to: value.count, by: 8) {
            let tag = UInt16(value[start]) | UInt16(value[start + 1]) << 8
            let permissions = UInt16(value[start + 2]) | UInt16(value[start + 3]) << 8
            guard let known = tags.first(where: { $0.tag == tag }), permissions < 8 else {
                return nil
            }
            let number = (0..<4).reduce(UInt32(0)) {
                $0 | UInt32(value[start + 4 + $1]) << (8 * UInt32($1))
            }
            let name = known.isNamed ? String(number) : ""
            let letters =
                (permissions & 4 != 0 ? "r" : "-") + (permissions & 2 != 0 ? "w" : "-")
                + (permissions & 1 != 0 ? "x" : "-")
            entries.append("\(known.word):\(name):\(letters)")
        }
        return Array(entries.joined(separator: ",").utf8)
    }

    /// The attribute's value that a text means; nil for a text that is none, and for names that are
    /// not numbers.
    static func value(of text: [UInt8]) -> [UInt8]? {
        var entries: [(tag: UInt16, number: UInt32, permissions: UInt16)] = []
        let lines = text.split { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "\n") }
        for line in lines {
            // What follows a `#` says what is effective.
            let bare = line.prefix { $0 != UInt8(ascii: "#") }
            let fields = String(decoding: bare, as: UTF8.self).filter { $0 != " " && $0 != "\t" }
                .split(separator: ":", omittingEmptySubsequences: false)
            guard let word = fields.first, fields.count >= 2 else { return nil }
            // Some write `mask::rwx`, some `mask:rwx`; some put the number behind the permissions.
            let isShort = fields.count == 2
            let name = isShort ? "" : fields[1]
            guard let permissions = permissions(isShort ? fields[1] : fields[2]) else { return nil }
            guard
                let known = tags.first(where: {
                    ($0.word == word || $0.word.prefix(1) == word) && $0.isNamed == !name.isEmpty
                })
            else { return nil }
            var number = UInt32.max
            if known.isNamed {
                let extra = fields.count > 3 ? UInt32(fields[3]) : nil
                guard let parsed = extra ?? UInt32(name) else { return nil }
                number = parsed
            }
            entries.append((known.tag, number, permissions))
        }
        guard !entries.isEmpty else { return nil }
        // The order that the kernel asks for.
        entries.sort { ($0.tag, $0.number) < ($1.tag, $1.number) }
        var value: [UInt8] = [2, 0, 0, 0]
        for entry in entries {
            for word in [entry.tag, entry.permissions] {
                value += [UInt8(truncatingIfNeeded: word), UInt8(truncatingIfNeeded: word >> 8)]
            }
            value += (0..<4).map { UInt8(truncatingIfNeeded: entry.number >> (8 * UInt32($0))) }
        }
        return value
    }

    private static func permissions(_ text: Substring) -> UInt16? {
        var bits: UInt16 = 0
        for letter in text {
            switch letter {
            case "r": bits |= 4
            case "w": bits |= 2
            case "x": bits |= 1
            case "-": break
            default: return nil
            }
        }
        return text.isEmpty ? nil : bits
    }
}
