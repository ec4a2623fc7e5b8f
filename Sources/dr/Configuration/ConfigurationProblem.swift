import Model

/// One thing that is wrong in a configuration, and where.
struct ConfigurationProblem: Error, Sendable, Hashable {
    var position: TextPosition
    var message: String
    var hint: String?

    init(_ position: TextPosition, _ message: String, hint: String? = nil) {
        self.position = position
        self.message = message
        self.hint = hint
    }

    /// As a person sees it: `file:line:column: message`.
    func failure(file: String) -> Failure {
        // Messages quote the file, which may hold anything of any length.
        let shown = truncated(printable(message.utf8), to: 300)
        return Failure(
            .usage, "\(file):\(position.line):\(position.column): \(shown)",
            hint: hint.map { truncated(printable($0.utf8), to: 300) })
    }
}

/// All that is wrong in a configuration, collected so that it is mended in one go.
struct ProblemList: Sendable {
    /// How many are shown; a file of another kind altogether would fill the screen.
    static let limit = 20

    private(set) var all: [ConfigurationProblem] = []

    var isEmpty: Bool { all.isEmpty }

    mutating func add(_ position: TextPosition, _ message: String, hint: String? = nil) {
        all.append(ConfigurationProblem(position, message, hint: hint))
    }

    /// In the order of the file, at most `limit` of them; the last says how many are left out.
    func failures(file: String) -> [Failure] {
        let ordered = all.enumerated().sorted {
            ($0.element.position, $0.offset) < ($1.element.position, $1.offset)
        }
        var failures = ordered.prefix(Self.limit).map { $0.element.failure(file: file) }
        let rest = all.count - failures.count
        if rest > 0 {
            failures.append(
                Failure(
                    .usage, "\(file): \(rest) more \(rest == 1 ? "problem" : "problems")",
                    hint: "mend those above, then run dr config check again"))
        }
        return failures
    }
}

/// Several failures that end a command together.
struct Failures: Error, Sendable {
    var all: [Failure]
}
