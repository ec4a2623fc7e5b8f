/// libyaml's account of a mistake, and what it most likely is in the words of who made it.
struct YamlSyntaxError {
    var problem: String
    var position: TextPosition
    /// What was being read, for example `while scanning a quoted scalar`, and where that began.
    var context: String
    var contextPosition: TextPosition?

    func inPlainWords(_ text: YamlText) -> ConfigurationProblem {
        let begun = contextPosition ?? position
        switch problem {
        case _ where text.character(at: position) == "\t" || problem.contains("tab character"):
            return ConfigurationProblem(
                position, "a tab is used for indentation", hint: "YAML allows only spaces there")
        case "found unexpected end of stream" where context.contains("quoted"):
            return ConfigurationProblem(
                begun, "the quote that opens here is never closed",
                hint: "close it, or double a quote that belongs to the text")
        case "mapping values are not allowed in this context":
            return ConfigurationProblem(
                position, "a colon is not allowed here",
                hint: "indent the key like its neighbours, or quote a text that holds a colon")
        case "could not find expected ':'":
            return ConfigurationProblem(
                begun, "a key without a colon", hint: "write a colon and a space after the key")
        case "did not find expected key":
            return ConfigurationProblem(
                position, "this line does not belong to what is above it",
                hint: "indent it like the other keys of the mapping that begins on line "
                    + "\(begun.line)")
        case "did not find expected '-' indicator":
            return ConfigurationProblem(
                position, "this line does not belong to the list above it",
                hint: "indent it like the items of the list that begins on line \(begun.line)")
        case "did not find expected ',' or ']'":
            return ConfigurationProblem(
                begun, "the bracket that opens here is never closed",
                hint: "separate items with commas and close it with ]")
        case "did not find expected ',' or '}'":
            return ConfigurationProblem(
                begun, "the brace that opens here is never closed",
                hint: "separate keys with commas and close it with }")
        case "did not find expected alphabetic or numeric character":
            return ConfigurationProblem(
                begun, "a value cannot begin with * or & without quotes",
                hint: "put it in quotes, for example \"*.log\"")
        case "found character that cannot start any token":
            let found = text.character(at: position).map { "\"\($0)\"" } ?? "this"
            return ConfigurationProblem(
                position, "a value cannot begin with \(found) without quotes",
                hint: "put it in quotes")
        case "found unknown escape character":
            return ConfigurationProblem(
                position, "an unknown escape in double quotes",
                hint: "use single quotes, in which a backslash is only a backslash")
        case "block sequence entries are not allowed in this context":
            return ConfigurationProblem(
                position, "a list item is not allowed here",
                hint: "put the list on lines of its own below the key")
        default:
            let place = context.isEmpty ? "" : " \(context)"
            return ConfigurationProblem(position, "not valid YAML: \(problem)\(place)")
        }
    }
}
