/// A place in a text, counted as people and editors count: both from 1, columns in characters.
struct TextPosition: Sendable, Hashable, Comparable {
    var line: Int
    var column: Int

    /// Where a file begins.
    static let start = TextPosition(line: 1, column: 1)

    static func < (left: Self, right: Self) -> Bool {
        (left.line, left.column) < (right.line, right.column)
    }
}

/// One value of a YAML document, and where it stands.
///
/// An alias is the node it stands for, at that node's place. Storage is shared, so that a document
/// made of aliases costs no more memory than its text.
struct YamlNode: Sendable {
    enum Content: Sendable {
        /// Text. `isPlain` when it was written without quotes: only then can it mean a number.
        case scalar(String, isPlain: Bool)
        case sequence([YamlNode])
        case mapping([YamlEntry])
    }

    var content: Content
    var position: TextPosition
    /// Nodes in it, itself counted, aliases counted in full.
    var weight: Int

    /// Nothing after the colon, or one of YAML's words for it.
    var isNull: Bool {
        guard case .scalar(let text, isPlain: true) = content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }
}

/// One key of a mapping with its value.
struct YamlEntry: Sendable {
    var key: String
    var position: TextPosition
    var value: YamlNode
}
