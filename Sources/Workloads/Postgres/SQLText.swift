/// SQL as text: quoting names and values, and taking scripts apart.
enum SQLText {
    /// `"name"`, which may hold anything but a zero byte.
    static func name(_ name: String) -> String {
        "\"" + name.replacing("\"", with: "\"\"") + "\""
    }

    /// `'value'`, whatever `standard_conforming_strings` says.
    static func literal(_ value: String) -> String {
        let quoted = value.replacing("'", with: "''")
        guard quoted.contains("\\") else { return "'\(quoted)'" }
        return " E'" + quoted.replacing("\\", with: "\\\\") + "'"
    }

    /// A connection string that names a database and nothing else.
    static func connection(to database: String) -> String {
        let escaped = database.replacing("\\", with: "\\\\").replacing("'", with: "\\'")
        return "dbname='\(escaped)'"
    }

    /// The statements of a script that pg_dumpall wrote, each with its semicolon; comments and
    /// psql's own commands are left out.
    static func statements(_ script: String) -> [String] {
        var statements: [String] = []
        var statement: [UInt8] = []
        var quote: UInt8?
        var hasEscapes = false
        var bytes = Array(script.utf8)[...]
        func isBlank() -> Bool { statement.allSatisfy { $0 == 32 || (9...13).contains($0) } }
        while let byte = bytes.popFirst() {
            if let open = quote {
                statement.append(byte)
                if byte == UInt8(ascii: "\\"), hasEscapes, let next = bytes.popFirst() {
                    statement.append(next)
                } else if byte == open {
                    // A doubled quote closes and opens again.
                    quote = nil
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "'"), UInt8(ascii: "\""):
                hasEscapes =
                    byte == UInt8(ascii: "'") && [69, 101].contains(statement.last)
                    || byte == UInt8(ascii: "'") && hasEscapes && statement.last == byte
                quote = byte
                statement.append(byte)
            case UInt8(ascii: "-") where bytes.first == byte:
                bytes = bytes.drop { $0 != 10 }
            case UInt8(ascii: "\\") where isBlank():
                bytes = bytes.drop { $0 != 10 }
            case UInt8(ascii: ";"):
                statement.append(byte)
                statements.append(trimmed(statement))
                statement = []
            default: statement.append(byte)
            }
        }
        if !isBlank() { statements.append(trimmed(statement)) }
        return statements
    }

    /// The name after `prefix` at the beginning of a statement, unquoted; nil for other statements.
    static func name(after prefix: String, in statement: String) -> String? {
        guard statement.hasPrefix(prefix + " ") else { return nil }
        let rest = statement.dropFirst(prefix.count + 1)
        guard rest.first == "\"" else {
            return String(rest.prefix { !$0.isWhitespace && $0 != ";" })
        }
        var name = ""
        var characters = rest.dropFirst().unicodeScalars[...]
        while let next = characters.popFirst() {
            if next == "\"" {
                guard characters.first == "\"" else { return name }
                characters.removeFirst()
            }
            name.unicodeScalars.append(next)
        }
        return nil
    }

    private static func trimmed(_ bytes: [UInt8]) -> String {
        let start = bytes.drop { $0 == 32 || (9...13).contains($0) }
        return String(decoding: start, as: UTF8.self)
    }
}
