import Model

/// A line for people: pieces of text with a meaning that a terminal may show as a colour.
///
/// The texts may come from anywhere. Whatever they hold, only printable characters and the styles
/// below reach a terminal.
struct StyledText: Sendable, Hashable, ExpressibleByStringInterpolation {
    enum Style: Sendable, Hashable {
        case plain, strong, dim, good, warning, bad

        /// The parameters of the terminal's "select graphic rendition".
        fileprivate var code: String? {
            switch self {
            case .plain: nil
            case .strong: "1"
            case .dim: "2"
            case .good: "32"
            case .warning: "33"
            case .bad: "31"
            }
        }
    }

    private struct Piece: Sendable, Hashable {
        var text: String
        var style: Style
    }

    private var pieces: [Piece]

    init(_ text: String, _ style: Style = .plain) {
        pieces = [Piece(text: Self.safe(text), style: style)]
    }

    init(stringLiteral value: String) { self.init(value) }

    static func + (left: Self, right: Self) -> Self {
        var sum = left
        sum.pieces += right.pieces
        return sum
    }

    /// Columns on a terminal.
    var width: Int { pieces.reduce(0) { $0 + columns(of: $1.text) } }

    /// The text, with the terminal's colour codes or without.
    func rendered(coloured: Bool) -> String {
        pieces.map { piece in
            guard coloured, let code = piece.style.code, !piece.text.isEmpty else {
                return piece.text
            }
            return "\u{1B}[\(code)m\(piece.text)\u{1B}[0m"
        }.joined()
    }

    /// Cut to at most `width` columns.
    func truncated(to width: Int) -> StyledText {
        guard self.width > width else { return self }
        var result = StyledText("")
        var left = width
        for piece in pieces {
            let text = dr.truncated(piece.text, to: left)
            result.pieces.append(Piece(text: text, style: piece.style))
            left -= columns(of: text)
            if text != piece.text { break }
        }
        return result
    }

    private static func safe(_ text: String) -> String {
        let isSimple = text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
        return isSimple ? text : printable(text.utf8)
    }
}
