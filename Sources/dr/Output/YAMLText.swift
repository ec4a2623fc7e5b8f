extension JSONValue {
    /// The document as YAML in block style, two spaces a level; ends with a line break.
    ///
    /// Texts stand without quotes only when YAML cannot take them for anything else.
    var yaml: String {
        var lines: [String] = []
        writeBlock(to: &lines, indent: 0)
        return lines.map { $0 + "\n" }.joined()
    }

    private func writeBlock(to lines: inout [String], indent: Int) {
        let margin = String(repeating: "  ", count: indent)
        guard case .object(let members) = self else {
            lines.append(margin + flow)
            return
        }
        for member in members {
            let key = margin + JSONValue.string(member.name).flow + ":"
            switch member.value {
            case .object(let inner) where !inner.isEmpty:
                lines.append(key)
                member.value.writeBlock(to: &lines, indent: indent + 1)
            case .array(let items) where items.contains(where: \.isObject):
                lines.append(key)
                for item in items { lines.append("\(margin)  - \(item.flow)") }
            default: lines.append("\(key) \(member.value.flow)")
            }
        }
    }

    private var isObject: Bool {
        guard case .object = self else { return false }
        return true
    }

    /// The document as YAML in flow style, on one line without a line break.
    var flow: String {
        switch self {
        case .string(let text): Self.isPlain(text) ? text : line
        case .array(let items): "[" + items.map(\.flow).joined(separator: ", ") + "]"
        case .object(let members):
            "{"
                + members.map { "\(JSONValue.string($0.name).flow): \($0.value.flow)" }
                .joined(separator: ", ") + "}"
        case .null, .bool, .integer, .number, .lines: line
        }
    }

    private static func isPlain(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first else { return false }
        // Digits with units, as in 1h30m, are no number; 1e3 would be one.
        let isSpan =
            (48...57).contains(first) && bytes.last.map { "smhd".utf8.contains($0) } == true
            && bytes.allSatisfy { (48...57).contains($0) || "smhd".utf8.contains($0) }
        guard isSpan || isLetter(first) || first == UInt8(ascii: "/") else { return false }
        let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        guard !words.contains(text.lowercased()) else { return false }
        return bytes.allSatisfy {
            isLetter($0) || (48...57).contains($0) || "/._-".utf8.contains($0)
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (65...90).contains(byte) || (97...122).contains(byte)
    }
}
