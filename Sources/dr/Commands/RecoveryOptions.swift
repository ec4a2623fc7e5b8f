import ArgumentParser
import Model

/// What `dr plan` and `dr restore` both need to know.
struct RecoveryOptions: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "Services to bring back, with what they depend on; all without any.",
            valueName: "service"))
    var services: [String] = []

    @Option(
        help: ArgumentHelp(
            "The moment to go back to: a time, \"yesterday 3am\", \"6h ago\", or the first digits "
                + "of a snapshot or run. The latest without it.",
            valueName: "moment"))
    var at: String?

    @Flag(help: "Leave out what the named services depend on.")
    var only = false

    func validate() throws {
        if only, services.isEmpty { throw ValidationError("--only needs the name of a service") }
    }
}
