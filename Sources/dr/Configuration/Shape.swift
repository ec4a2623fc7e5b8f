import Model

/// What a value of the configuration may look like.
///
/// One table of these (`ConfigurationShape`) drives reading, error messages, the JSON Schema and the
/// reference documentation, so that they cannot disagree.
indirect enum Shape: Sendable {
    case text(TextRule)
    case flag
    case integer(ClosedRange<Int>)
    /// A length of time above zero.
    case span
    case choice([String])
    /// A program and its arguments: a list, or one line that is split into words.
    case words
    /// Not empty.
    case list(Shape)
    /// One, or a list of some.
    case oneOrMore(Shape)
    case record(RecordShape)
    /// A mapping whose keys are names that the user chooses.
    case named(RecordShape)
    /// A mapping of texts to texts.
    case pairs(TextRule, TextRule)
    /// A text in the simple case, a mapping in the full one.
    case textOrRecord(TextRule, RecordShape)
    /// A list in the simple case, a mapping in the full one.
    case listOrRecord(Shape, RecordShape)

    /// Completes "must be".
    var phrase: String {
        switch self {
        case .text(let rule): rule.phrase
        case .flag: "true or false"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .span: "a length of time"
        case .choice(let words): Self.alternatives(words)
        case .words: "a program with its arguments"
        case .list(let item): "a list of \(item.plural)"
        case .oneOrMore(let item): "\(item.phrase) or a list of \(item.plural)"
        case .record: "a mapping"
        case .named: "a mapping of names"
        case .pairs(let key, let value): "a mapping of \(key.plural) to \(value.plural)"
        case .textOrRecord(let rule, _): "\(rule.phrase), or a mapping"
        case .listOrRecord(let item, _): "a list of \(item.plural) or a mapping"
        }
    }

    private var plural: String {
        switch self {
        case .text(let rule): rule.plural
        case .record: "mappings"
        default: phrase
        }
    }

    /// `a, b or c`.
    static func alternatives(_ words: [String]) -> String {
        guard let last = words.last, words.count > 1 else { return words.joined() }
        return words.dropLast().joined(separator: ", ") + " or " + last
    }
}

/// A mapping with known keys.
struct RecordShape: Sendable {
    var keys: [KeyShape]
    /// One of these, and only one, must be there; empty for no such rule.
    var exactlyOne: [String] = []
    /// At most one of these may be there.
    var atMostOne: [String] = []
    /// At least one of these must be there.
    var atLeastOne: [String] = []
    /// Keys that a later version will know.
    var later: [String] = []

    func key(_ name: String) -> KeyShape? { keys.first { $0.name == name } }
}

/// One key of a mapping.
struct KeyShape: Sendable {
    var name: String
    var shape: Shape
    /// One line for people; begins with a capital, ends without a full stop.
    var summary: String
    var isRequired = false
    /// What holds when the key is left out, in words.
    var absent: String?
    /// As it would stand in a file.
    var example: String
    /// What to write instead of a mapping, where people expect that one may stand.
    var insteadOfMapping: String?
}

extension KeyShape {
    /// The keys of ``secret(_:_:absent:example:)``.
    static func secretNames(_ name: String) -> [String] {
        ["\(name)_file", "\(name)_env", "\(name)_command"]
    }

    /// Where a secret comes from: one of three keys.
    ///
    /// - Parameters:
    ///   - name: What it is in keys and in variables' names.
    ///   - what: As the keys' summaries call it.
    ///   - absent: What holds without any of them, in words.
    ///   - example: What the secret is for, as a word with hyphens.
    static func secret(_ name: String, _ what: String, absent: String, example: String)
        -> [KeyShape]
    {
        let names = secretNames(name)
        let variable = "\(example)-\(name)".uppercased().map { $0 == "-" ? "_" : $0 }
        return [
            KeyShape(
                name: names[0], shape: .text(.path), summary: "A file that holds \(what)",
                absent: absent, example: "/etc/dr/\(example).\(name)"),
            KeyShape(
                name: names[1], shape: .text(.variable),
                summary: "An environment variable that holds \(what)", absent: absent,
                example: String(variable)),
            KeyShape(
                name: names[2], shape: .words,
                summary: "A program that prints \(what); it runs without a shell", absent: absent,
                example: "[pass, show, \(example)]"),
        ]
    }
}
