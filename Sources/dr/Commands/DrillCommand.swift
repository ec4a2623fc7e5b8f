import ArgumentParser
import Catalog
import Engine
import Model
import Restore
import Workloads

/// `dr drill …`: proof that the backups restore, and its evidence.
struct DrillCommand: CommandGroup {
    static let configuration = CommandConfiguration(
        commandName: "drill", abstract: "Prove that everything comes back, beside what lives.",
        discussion: """
            Without a command of its own it drills: the same plan as in an incident, on copies with \
            other names, in networks that lead nowhere, without a published port. What came back is \
            proven, timed and removed, and evidence stays: dr report shows it.
            """,
        subcommands: [DrillRunCommand.self, DrillNoteCommand.self],
        defaultSubcommand: DrillRunCommand.self)

    @OptionGroup(title: "Global options") var global: GlobalOptions
}

/// `dr drill [run]`.
struct DrillRunCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Bring copies back, prove them, remove them.",
        discussion: """
            Ends with 0 when all came back and was proven, 4 when something is not as it must be, 5 \
            when an objective was missed, 1 when something of the drill is left behind.
            """)

    @Argument(
        help: ArgumentHelp(
            "Services, with what they depend on; all without a name.", valueName: "service"))
    var services: [String] = []

    @Option(
        name: .customLong("on"),
        help: ArgumentHelp(
            "A target of the configuration with isolated: true.", valueName: "target"))
    var target: String?

    @Option(
        help: ArgumentHelp(
            "As of when: a time, \"6h ago\", a run, a snapshot. The latest without it.",
            valueName: "moment"))
    var at: String?

    @Option(
        name: .customLong("fail"),
        help: ArgumentHelp(
            "Let this step of the plan fail, to see what becomes of the rest; can be repeated.",
            valueName: "step"))
    var failing: [String] = []

    @Option(
        help: ArgumentHelp(
            "Leave a service out, with what depends on it; can be repeated.", valueName: "service"))
    var without: [String] = []

    @Option(help: ArgumentHelp("Why it is done, for the evidence.", valueName: "text"))
    var reason = "scheduled"

    @Option(
        help: ArgumentHelp(
            "Repeats the choice of files that an earlier drill compared.", valueName: "number"))
    var seed: UInt64?

    @Flag(help: "Only remove what drills have left that were killed.")
    var cleanup = false

    @Option(name: .customLong("id"), help: .hidden)
    var id: String?

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if cleanup, !services.isEmpty || !failing.isEmpty || !without.isEmpty || at != nil {
            throw ValidationError("--cleanup clears up after every drill: leave out the rest")
        }
    }

    func run(in application: Application) async throws -> ExitCode {
        // A copy on this machine would prove nothing.
        let open = try await application.open(
            try await application.configuration(), caching: false)
        let lock = try DrillLock.acquire(in: open.catalog.directory)
        defer { lock.release() }
        let recovered = try await application.recoverDrills(open)
        if cleanup {
            application.output.present(ShownRecovery(recovered: recovered))
            return recovered.isClean ? .done : .failed
        }
        try report(recovered, on: application.output)
        var wish = DrillWish(
            services: services, target: target, moment: at, reason: reason,
            run: try id.map(named) ?? .random(), seed: seed ?? .random(in: 0 ... .max))
        wish.failing = failing
        wish.without = without
        let progress = ProgressDisplay("drill", on: application.output)
        let drill = try await application.prepareDrill(wish, open, progress: progress)
        show(drill.prepared.plan, on: application.output)
        // Services alone, with nothing of theirs brought back, would prove nothing.
        guard drill.prepared.plan.steps.contains(where: { $0.replay != nil }) else {
            let left = drill.prepared.plan.uncovered.map(\.reason)
            throw Failure(
                .failed, "nothing to drill: no snapshot that a drill can bring back was found",
                hint: left.isEmpty ? "run dr backup first" : nil,
                cause: left.isEmpty ? nil : left.joined(separator: "; "), side: .repository)
        }
        let stops = drill.prepared.plan.findings.contains { $0.severity != .warning }
        if !stops, !(try await application.confirm("bring copies of this back and remove them?")) {
            throw Failure(.interrupted, "not confirmed: nothing was changed")
        }
        let result = try await DrillRun(application: application, open: open, drill: drill)
            .carryOut(progress)
        application.output.present(
            ShownDrill(
                report: result.report, notes: [], hash: result.hash,
                json: JSONValue(message: "report", result.report)))
        return result.report.results.outcome
    }

    private func named(_ digits: String) throws -> RunID {
        guard let id = RunID(digits) else {
            throw Failure(.usage, "--id takes 64 hexadecimal digits")
        }
        return id
    }

    private func show(_ plan: RecoveryPlan, on output: Output) {
        for line in PlanText(plan, showsSteps: output.manner.verbosity > 0).text
            .split(separator: "\n", omittingEmptySubsequences: false)
        {
            output.note(StyledText(String(line)))
        }
        if let plan = try? JSONValue(plan) { output.event("plan", ["plan": plan]) }
    }

    /// Says what earlier drills had left; one that cannot be cleared up keeps others from beginning.
    private func report(_ recovered: RecoveredDrills, on output: Output) throws {
        for report in recovered.reports {
            output.warning(
                "drill \(report.identity.drill.short) was killed; it is cleared up now",
                hint: "dr report \(report.identity.drill.short) tells how far it had come")
        }
        for thing in recovered.strays.removed {
            output.warning("\(thing) was left of a drill, and is removed now")
        }
        guard !recovered.isClean else { return }
        let residue =
            recovered.residue.map(\.description) + recovered.strays.problems
            + recovered.reports.flatMap { $0.cleanup.residue + $0.cleanup.problems }
        throw Failure(
            .failed, "what an earlier drill has left cannot be removed",
            hint: "remove it by hand, then run dr drill --cleanup",
            cause: residue.joined(separator: "; "), side: .target)
    }
}

private struct ShownRecovery: Presentable {
    var recovered: RecoveredDrills

    var json: JSONValue {
        [
            "drills": .strings(recovered.reports.map { "\($0.identity.drill)" }),
            "removed": .strings(
                recovered.reports.flatMap(\.cleanup.removed)
                    + recovered.strays.removed.map(\.description)),
            "residue": .strings(
                recovered.residue.map(\.description)
                    + recovered.reports.flatMap(\.cleanup.residue)),
            "problems": .strings(
                recovered.strays.problems + recovered.reports.flatMap(\.cleanup.problems)),
        ]
    }

    func write(to page: inout Page) {
        if recovered.isNothing { return page.line("nothing of a drill is left") }
        for report in recovered.reports {
            page.line(
                StyledText(
                    "drill \(report.identity.drill.short) of "
                        + "\(report.identity.began.shortDescription) was killed:"))
            for thing in report.cleanup.removed { page.line(StyledText("  removed \(thing)")) }
            for problem in report.cleanup.problems + report.cleanup.residue {
                page.line(StyledText("  left: \(problem)", .bad))
            }
        }
        for thing in recovered.strays.removed { page.line(StyledText("removed \(thing)")) }
        for problem in recovered.strays.problems + recovered.residue.map(\.description) {
            page.line(StyledText("left: \(problem)", .bad))
        }
    }
}

/// A drill's report as its reader wants it.
struct ShownDrill: Presentable {
    var report: DrillReport
    var notes: [EvidenceRecord]
    var hash: String
    var json: JSONValue

    func write(to page: inout Page) {
        page.lines(of: DrillText(report, notes: notes, hash: hash).text)
    }
}
