import ArgumentParser

/// Options that every command takes, before or after its name.
struct GlobalOptions: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: ArgumentHelp("The configuration file.", valueName: "file"),
        completion: .file(extensions: ["yaml", "yml"]))
    var configuration: String?

    @Option(
        help: ArgumentHelp(
            "Where the backups are, instead of what the configuration says.",
            valueName: "place"),
        completion: .directory)
    var repository: String?

    @Flag(name: .customLong("json"), help: "Write results for programs.")
    var isJSON = false

    @Flag(
        name: [.customLong("quiet"), .customShort("q")],
        help: "Say nothing but results and problems.")
    var isQuiet = false

    @Flag(name: [.customLong("verbose"), .customShort("v")], help: "Say more of what is done.")
    var verbosity: Int

    @Flag(
        name: [.customLong("yes"), .customShort("y")],
        help: "Answer every question with yes.")
    var isYes = false

    /// The options as a value without the parser's machinery.
    struct Values: Sendable {
        var configuration: String?
        var repository: String?
        var isJSON = false
        var isQuiet = false
        var verbosity = 0
        var isYes = false
    }

    var values: Values {
        Values(
            configuration: configuration, repository: repository, isJSON: isJSON,
            isQuiet: isQuiet, verbosity: verbosity, isYes: isYes)
    }
}
