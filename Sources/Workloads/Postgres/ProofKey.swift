/// The name of a table or sequence as ``Proof`` has it: `database.schema.name`.
///
/// A component that holds a dot or a quote is quoted as in SQL, so that every name has one key.
struct ProofKey: Hashable, Sendable {
    var database: String
    var schema: String
    var name: String

    init(database: String, schema: String, name: String) {
        self.database = database
        self.schema = schema
        self.name = name
    }

    /// Reads a key; nil when it does not have three components.
    init?(_ text: String) {
        var components: [String] = []
        var component = ""
        var isQuoted = false
        var previousQuote = false
        for character in text {
            if character == "\"" {
                // A doubled quote within quotes stands for one.
                if previousQuote { component.append("\"") }
                previousQuote = isQuoted && !previousQuote
                isQuoted.toggle()
                continue
            }
            previousQuote = false
            if character == ".", !isQuoted {
                components.append(component)
                component = ""
            } else {
                component.append(character)
            }
        }
        components.append(component)
        guard components.count == 3, !isQuoted else { return nil }
        database = components[0]
        schema = components[1]
        name = components[2]
    }

    var text: String { [database, schema, name].map(Self.component).joined(separator: ".") }

    private static func component(_ text: String) -> String {
        guard text.contains(".") || text.contains("\"") else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }
}
