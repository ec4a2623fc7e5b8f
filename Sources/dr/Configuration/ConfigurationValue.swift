import Model

/// A value of the configuration that has the shape it must have, still with its place.
struct ConfigurationValue: Sendable {
    enum Content: Sendable {
        case text(String)
        case flag(Bool)
        case integer(Int)
        case span(TimeSpan)
        case words([String])
        case list([ConfigurationValue])
        case record([String: ConfigurationValue])
        case named([(name: String, position: TextPosition, value: ConfigurationValue)])
    }

    var content: Content
    var position: TextPosition

    /// The value of a record's key; nil when it is absent, or this is no record.
    subscript(_ key: String) -> ConfigurationValue? {
        guard case .record(let values) = content else { return nil }
        return values[key]
    }

    var text: String? {
        guard case .text(let text) = content else { return nil }
        return text
    }

    var flag: Bool? {
        guard case .flag(let flag) = content else { return nil }
        return flag
    }

    var integer: Int? {
        guard case .integer(let integer) = content else { return nil }
        return integer
    }

    var span: TimeSpan? {
        guard case .span(let span) = content else { return nil }
        return span
    }

    var words: [String]? {
        guard case .words(let words) = content else { return nil }
        return words
    }

    /// A record in which at least one key has a value.
    var isFilled: Bool {
        guard case .record(let values) = content else { return false }
        return !values.isEmpty
    }

    var isRecord: Bool {
        guard case .record = content else { return false }
        return true
    }

    /// The items of a list; a single value counts as a list of one.
    var items: [ConfigurationValue] {
        guard case .list(let items) = content else { return [self] }
        return items
    }

    /// The texts of a list, or the only one.
    var texts: [String] { items.compactMap(\.text) }

    /// The entries of a mapping of names, in the order of the file.
    var entries: [(name: String, position: TextPosition, value: ConfigurationValue)] {
        guard case .named(let entries) = content else { return [] }
        return entries
    }
}
