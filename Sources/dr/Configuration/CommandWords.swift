/// Splits a command line into words as a shell does, for programs that run without one.
///
/// Knows spaces, single and double quotes and backslashes. What only a shell could do (pipes,
/// redirections, variables, `~`) is refused: passed on as a word it would never do what was meant.
enum CommandWords {
    /// Why a line is no command.
    struct Problem: Error, Hashable {
        var message: String
        var hint: String
    }

    static let shellHint = "it runs without a shell; write sh -c '...' where you need one"

    static func split(_ line: String) throws(Problem) -> [String] {
        var words: [String] = []
        var word: String?
        var characters = Array(line)[...]
        func refuse(_ character: Character) -> Problem {
            Problem(message: "\"\(character)\" means something only to a shell", hint: shellHint)
        }
        while let character = characters.popFirst() {
            switch character {
            case " ", "\t", "\n":
                if let finished = word { words.append(finished) }
                word = nil
            case "'":
                guard let end = characters.firstIndex(of: "'") else { throw unclosed }
                word = (word ?? "") + String(characters[..<end])
                characters = characters[(end + 1)...]
            case "\"":
                word = (word ?? "") + (try quoted(&characters))
            case "\\":
                guard let next = characters.popFirst() else {
                    throw Problem(
                        message: "it ends with a backslash", hint: "remove it, or quote it")
                }
                word = (word ?? "") + String(next)
            case "|", "&", ";", "<", ">", "(", ")", "$", "`":
                throw refuse(character)
            case "~" where word == nil:
                throw Problem(
                    message: "\"~\" means something only to a shell", hint: "write the whole path")
            default:
                word = (word ?? "") + String(character)
            }
        }
        if let finished = word { words.append(finished) }
        if words.isEmpty || words[0].isEmpty {
            throw Problem(message: "it names no program", hint: "write a program and its arguments")
        }
        return words
    }

    private static let unclosed = Problem(
        message: "a quote is opened and never closed", hint: "close it")

    /// What stands between double quotes, of which the first is already consumed.
    private static func quoted(_ characters: inout ArraySlice<Character>) throws(Problem) -> String
    {
        var text = ""
        while let character = characters.popFirst() {
            switch character {
            case "\"": return text
            case "\\":
                guard let next = characters.popFirst() else { throw unclosed }
                if !["\"", "\\", "$", "`"].contains(next) { text.append("\\") }
                text.append(next)
            case "$", "`":
                throw Problem(
                    message: "\"\(character)\" means something only to a shell", hint: shellHint)
            default: text.append(character)
            }
        }
        throw unclosed
    }
}
