import Model

/// The bytes of a YAML file, checked to be text that a YAML parser may see.
///
/// libyaml reports bad encodings by byte offset or not at all; here each has its line and column.
struct YamlText: Sendable {
    /// UTF-8 without a byte order mark.
    let bytes: [UInt8]

    /// - Throws: ``ConfigurationProblem`` when the bytes are not UTF-8 or hold control characters.
    init(_ input: [UInt8]) throws(ConfigurationProblem) {
        if let name = Self.foreignEncoding(input) {
            throw ConfigurationProblem(
                .start, "the file is \(name), not UTF-8", hint: "save it as UTF-8")
        }
        bytes = input.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(input.dropFirst(3)) : input
        if let problem = Self.firstProblem(bytes) { throw problem }
    }

    private static func foreignEncoding(_ input: [UInt8]) -> String? {
        if input.starts(with: [0xFF, 0xFE, 0, 0]) || input.starts(with: [0, 0, 0xFE, 0xFF]) {
            return "UTF-32"
        }
        if input.starts(with: [0xFF, 0xFE]) || input.starts(with: [0xFE, 0xFF]) {
            return "UTF-16"
        }
        guard input.count >= 2 else { return nil }
        // A configuration begins with an ASCII character: a zero beside it is half a UTF-16 one.
        return (input[0] == 0) != (input[1] == 0) ? "UTF-16" : nil
    }

    private static func firstProblem(_ bytes: [UInt8]) -> ConfigurationProblem? {
        var position = TextPosition.start
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            let length =
                switch byte {
                case ..<0x80: 1
                case 0xC2...0xDF: 2
                case 0xE0...0xEF: 3
                case 0xF0...0xF4: 4
                default: 0
                }
            let end = index + length
            guard length > 0, end <= bytes.count,
                let text = String(validating: bytes[index..<end], as: UTF8.self),
                let scalar = text.unicodeScalars.first, text.unicodeScalars.count == 1
            else {
                return ConfigurationProblem(
                    position, "the byte 0x\(Hexadecimal.encode([byte])) is not UTF-8 text",
                    hint: "save the file as UTF-8")
            }
            if !isAllowed(scalar) {
                let code = String(scalar.value, radix: 16, uppercase: true)
                let padded = String(repeating: "0", count: max(0, 4 - code.count)) + code
                return ConfigurationProblem(
                    position, "the control character U+\(padded) is not allowed",
                    hint: "remove it, or write it as \\x.. in double quotes")
            }
            if byte == 0x0A {
                position = TextPosition(line: position.line + 1, column: 1)
            } else {
                position.column += 1
            }
            index = end
        }
        return nil
    }

    /// The characters YAML 1.2 allows in a file.
    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A, 0x0D, 0x20...0x7E, 0x85, 0xA0...0xD7FF, 0xE000...0xFEFE,
            0xFF00...0xFFFD, 0x10000...0x10FFFF:
            true
        default: false
        }
    }

    /// The character at `position`; nil at the end of a line or of the text.
    func character(at position: TextPosition) -> Character? {
        let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        guard position.line >= 1, position.line <= lines.count else { return nil }
        let scalars = String(decoding: lines[position.line - 1], as: UTF8.self).unicodeScalars
        return scalars.dropFirst(position.column - 1).first.map { Character($0) }
    }
}
