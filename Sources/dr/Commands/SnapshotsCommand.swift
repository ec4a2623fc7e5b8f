import ArgumentParser
import Catalog
import Model
import Snapshot

/// `dr snapshots …`: lists them, and says things about them.
struct SnapshotsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshots", abstract: "List what is in the repository, newest first.",
        subcommands: [
            SnapshotsListCommand.self, SnapshotsPinCommand.self, SnapshotsUnpinCommand.self,
            SnapshotsAcceptCommand.self,
        ],
        defaultSubcommand: SnapshotsListCommand.self)

    @OptionGroup(title: "Global options") var global: GlobalOptions
}

/// `dr snapshots list`, or without `list`.
struct SnapshotsListCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List what is in the repository, newest first.",
        discussion: """
            KEPT says why retention keeps a snapshot: the rules of the configuration, a pin, or \
            that it is the last good one.
            """)

    @Argument(help: ArgumentHelp("Only snapshots of these services.", valueName: "service"))
    var services: [String] = []

    @Option(help: ArgumentHelp("Only snapshots with this tag.", valueName: "name"))
    var tag: String?

    @Option(help: ArgumentHelp("At most so many, the newest.", valueName: "count"))
    var limit: Int?

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more") }
    }

    func run(in application: Application) async throws -> ExitCode {
        let open = try await application.open(try await application.configuration())
        // Services that are no longer configured still have snapshots: any name may be asked for.
        let names = services.isEmpty ? nil : services.map { ServiceName($0) }
        let snapshots = try await open.catalog.snapshots(
            SnapshotFilter(services: names, tag: tag, limit: limit))
        var kept: [SnapshotID: [String]] = [:]
        if open.configuration.retention.isSet {
            let configuration = open.configuration
            let outcome = try await application.forgetting(open).decide(now: application.now) {
                configuration.retention(of: $0)
            }
            for decision in outcome.decisions {
                kept[decision.snapshot] = decision.reasons
            }
        }
        let marks = Dictionary(grouping: try await open.catalog.marks(), by: \.snapshot)
        application.output.present(
            SnapshotList(
                entries: snapshots.map {
                    SnapshotList.Entry(
                        snapshot: $0, kept: kept[$0.id], marks: marks[$0.id] ?? [])
                }))
        return .done
    }
}

/// `dr snapshots pin`.
struct SnapshotsPinCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "pin", abstract: "Keep snapshots whatever retention says.")

    @OptionGroup var named: MarkOptions
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        try await application.mark(named, .pinned, isSet: true)
    }
}

/// `dr snapshots unpin`.
struct SnapshotsUnpinCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "unpin", abstract: "Let retention decide about snapshots again.")

    @OptionGroup var named: MarkOptions
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        try await application.mark(named, .pinned, isSet: false)
    }
}

/// `dr snapshots accept`.
struct SnapshotsAcceptCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "accept", abstract: "Say that suspicious snapshots are good all the same.",
        discussion: """
            From then on they count as good: restores choose them, and retention, which was held, \
            goes on.
            """)

    @OptionGroup var named: MarkOptions
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        try await application.mark(named, .accepted, isSet: true)
    }
}

/// Which snapshots something is said about, and why.
struct MarkOptions: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "The first digits of ids, latest, or service@moment.", valueName: "snapshot"))
    var snapshots: [String]

    @Option(help: ArgumentHelp("Why, in your words.", valueName: "text"))
    var reason: String?
}

extension Application {
    /// Says something about snapshots, in the repository and in the catalog.
    fileprivate func mark(_ named: MarkOptions, _ mark: SnapshotMark, isSet: Bool) async throws
        -> ExitCode
    {
        let open = try await open(try await configuration())
        var chosen: [SnapshotRecord] = []
        for name in named.snapshots {
            let snapshot = try await open.snapshot(name, now: now)
            if !chosen.contains(where: { $0.id == snapshot.id }) { chosen.append(snapshot) }
        }
        if mark == .accepted, let good = chosen.first(where: \.suspicions.isEmpty) {
            throw Failure(
                .usage, "snapshot \(good.id.short) is not suspicious: nothing is to be accepted",
                hint: "dr snapshots shows which ones are")
        }
        // The chain belongs to one process at a time.
        let lock = try RunLock.acquire(
            in: open.catalog.directory,
            as: .current(purpose: "dr snapshots", at: now))
        defer { lock.release() }
        let present = try await open.catalog.marks().filter { $0.mark == mark }
        let reason = named.reason ?? ""
        let changes = chosen.compactMap { snapshot -> MarkChange? in
            let known = present.first { $0.snapshot == snapshot.id }
            let isSame = isSet ? known != nil && known?.reason == reason : known == nil
            return isSame ? nil : MarkChange(snapshot.id, mark, isSet: isSet, reason: reason)
        }
        try await SnapshotMarking(repository: open.repository, catalog: open.catalog)
            .say(changes, at: now, host: host, version: Version.current)
        output.present(
            MarkResult(snapshots: chosen, word: isSet ? mark.rawValue : "not pinned any more"))
        return .done
    }
}

private struct MarkResult: Presentable {
    var snapshots: [SnapshotRecord]
    var word: String

    var json: JSONValue {
        .array(snapshots.map { ["id": .string("\($0.id)"), "mark": .string(word)] })
    }

    func write(to page: inout Page) {
        for snapshot in snapshots {
            page.line(
                StyledText(
                    "\(snapshot.id.short) \(snapshot.workload) of "
                        + "\(snapshot.asOf.shortDescription): \(word)"))
        }
    }
}
