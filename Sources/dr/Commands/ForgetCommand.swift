import ArgumentParser
import Catalog
import Engine
import Model
import Repository
import Snapshot

/// `dr forget`.
struct ForgetCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget", abstract: "Remove snapshots that are no longer wanted.",
        discussion: """
            "dr forget 4f2a…" removes the snapshots that it names. Without snapshots it applies rules \
            to each workload: those of the --keep options, else the configuration's retention. Days, \
            weeks, months and years are counted where there are good snapshots, and end at midnight \
            UTC. Whatever the rules say, pinned snapshots and the last good one of each workload \
            stay, and as long as the newest is suspicious all of them do. Space becomes free with \
            dr prune.
            """)

    @Argument(
        help: ArgumentHelp(
            "Snapshots by the first digits of their ids, or services to apply the rules to; all "
                + "services without any.", valueName: "snapshot|service"))
    var names: [String] = []

    @OptionGroup var retention: RetentionOptions

    @Flag(name: .customLong("dry-run"), help: "Only show what would stay and go, and why.")
    var isDryRun = false

    @Flag(help: "Remove the named snapshots even if one is the last good one of its workload.")
    var force = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let open = try await application.open(
            try await application.configuration(), writing: !isDryRun)
        var lock: RunLock?
        if !isDryRun {
            lock = try RunLock.acquire(
                in: open.catalog.directory,
                as: .current(purpose: "dr forget", at: application.timepiece.wall))
        }
        defer { lock?.release() }
        let known = Set(try await open.catalog.snapshots().map(\.service))
            .union(open.configuration.services.map(\.name))
        let services = names.map { ServiceName($0) }.filter { known.contains($0) }
        if services.count < names.count {
            guard services.isEmpty else {
                let other = names.first { !known.contains(ServiceName($0)) } ?? ""
                throw Failure(
                    .usage, "\"\(printable(other.utf8))\" is no service, and others are",
                    hint: "name either snapshots or services")
            }
            return try await forgetNamed(application, open)
        }
        guard !force else {
            throw Failure(
                .usage, "--force is for snapshots that are named",
                hint: "rules never remove the last good snapshot of a workload")
        }
        return try await applyRules(to: services, application, open)
    }

    private func applyRules(
        to services: [ServiceName], _ application: Application, _ open: OpenRepository
    ) async throws -> ExitCode {
        let policy = retention.policy
        let configuration = open.configuration
        guard
            policy != nil || configuration.retention.isSet
                || configuration.services.contains(where: { $0.retention?.isSet ?? false })
        else {
            throw Failure(
                .usage, "nothing says which snapshots to keep",
                hint: "set retention: in the configuration, or give --keep-daily 7 and the like")
        }
        let result = try await application.retain(
            open, services: services.isEmpty ? nil : Set(services), policy: policy,
            trustsTimes: retention.trustsTimes, isDryRun: isDryRun)
        application.output.present(RetentionPage(result: result))
        return result.outcome.warnings.isEmpty ? .done : .partial
    }

    private func forgetNamed(
        _ application: Application, _ open: OpenRepository
    ) async throws -> ExitCode {
        guard retention.policy == nil else {
            throw Failure(
                .usage, "rules are for services, not for snapshots that are named",
                hint: "leave the --keep options out, or the snapshots")
        }
        var chosen: [SnapshotRecord] = []
        for name in names {
            let snapshot = try await open.snapshot(name, now: application.now)
            if !chosen.contains(where: { $0.id == snapshot.id }) { chosen.append(snapshot) }
        }
        let forgetting = application.forgetting(open)
        let objections = try await forgetting.objections(to: chosen.map(\.id), force: force)
        guard objections.isEmpty else {
            let isPinned = objections.contains { $0.hasSuffix("pinned") }
            throw Failure(
                .usage, objections.joined(separator: "; "),
                hint: isPinned
                    ? "dr snapshots unpin takes the mark away"
                    : "--force removes it all the same")
        }
        if !isDryRun {
            try await forgetting.forget(chosen.map(\.id), at: application.timepiece.wall)
        }
        application.output.present(ForgottenPage(snapshots: chosen, isDryRun: isDryRun))
        return .done
    }
}

/// What became of named snapshots.
private struct ForgottenPage: Presentable {
    var snapshots: [SnapshotRecord]
    var isDryRun: Bool

    var json: JSONValue {
        [
            "dry_run": .bool(isDryRun),
            "forgotten": .integer(Int64(snapshots.count)),
            "snapshots": .array(
                snapshots.map {
                    [
                        "id": .string("\($0.id)"), "workload": .string($0.workload.text),
                        "as_of": .string("\($0.asOf)"), "kept": false,
                        "reasons": ["named"],
                    ]
                }),
        ]
    }

    func write(to page: inout Page) {
        for snapshot in snapshots {
            page.line(
                StyledText(
                    "\(isDryRun ? "would forget" : "forgot") \(snapshot.id.short), "
                        + "\(snapshot.workload) of \(snapshot.asOf.shortDescription)"))
        }
    }
}

/// Every snapshot with the reason why it stays or goes.
struct RetentionPage: Presentable {
    var result: RetentionResult

    var json: JSONValue { result.json }

    func write(to page: inout Page) {
        let decisions = result.outcome.decisions
        var table = Table(
            .left("ID"), .left("AS OF"), .left("WORKLOAD"), .left("IS"), .flexible("BECAUSE"))
        for decision in decisions {
            table.add(
                StyledText(decision.snapshot.short), StyledText(decision.asOf.shortDescription),
                StyledText(decision.workload.text),
                decision.isKept ? StyledText("kept", .good) : StyledText("forgotten", .warning),
                StyledText(decision.explanation))
        }
        if !decisions.isEmpty {
            page.table(table)
            page.line()
        }
        let gone = result.outcome.forgotten.count
        let verb = result.isDryRun ? "would be forgotten" : "forgotten"
        page.line(StyledText("\(gone) \(verb), \(decisions.count - gone) kept"))
    }
}
