import ArgumentParser
import Model

/// What `dr plan` and `dr restore` both need to know.
struct RecoveryOptions: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "Services to bring back, with what they depend on; all without any. Or one thing of a "
                + "snapshot: 4f2a:/srv/www/index.html.",
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

    @Option(
        name: .customLong("path"), parsing: .singleValue,
        help: ArgumentHelp(
            "Only this file or directory, and no service around it; can be repeated.",
            valueName: "path"))
    var paths: [String] = []

    func validate() throws {
        if only, services.isEmpty { throw ValidationError("--only needs the name of a service") }
    }

    /// What is wanted, with a snapshot and a path in it taken apart.
    func wish(_ open: OpenRepository, target: RecoveryTarget, now: Timestamp) async throws
        -> RecoveryWish
    {
        var wish = RecoveryWish(services: services, target: target, moment: at, only: only)
        wish.paths = paths
        // Names of services hold no colon.
        guard let text = services.first(where: { $0.contains(":") }) else { return wish }
        let reference = SnapshotReference(text)
        guard services.count == 1, at == nil, paths.isEmpty, let path = reference.path else {
            throw Failure(
                .usage, "\(printable(text.utf8)) names one thing of one snapshot",
                hint: "leave out other services, --at and --path, or name a service instead")
        }
        let snapshot = try await open.snapshot(reference.snapshot, now: now)
        _ = try snapshot.places(at: path)
        wish.services = [snapshot.service.text]
        wish.moment = "\(snapshot.id)"
        wish.paths = [path]
        return wish
    }
}
