import ArgumentParser
import Catalog
import Model
import Restore

/// `dr restore`.
struct RestoreCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Bring services back, in order and on the clock.",
        discussion: """
            Shows the plan and what is in its way, asks, brings everything back in the order of \
            its dependencies and ends with a report. Nothing that exists is overwritten without \
            --replace. With --path, single files or directories come back: into a directory under \
            their own last name, to here where they were. What lay in a volume goes into a \
            directory, and from there into its container.

            A restore that was interrupted, killed or failed in part goes on with --resume: what \
            was done and proven is not done again, and the clock never stopped.
            """)

    @OptionGroup var recovery: RecoveryOptions

    @Option(
        name: .customLong("to"),
        help: ArgumentHelp(
            "here: this machine, under the original names. Or a target of the configuration. Or a "
                + "directory with a / in its path, made when missing.", valueName: "target"))
    var target: String?

    @Flag(
        help: """
            Go on with the latest restore, or with the one whose id is given in place of services.
            """)
    var resume = false

    @Flag(help: "Replace what exists already; it is moved aside first.")
    var replace = false

    @Option(
        help: ArgumentHelp(
            "When the outage began, for the report: a time, \"03:10\", \"20m ago\". Now without it.",
            valueName: "moment"))
    var declared: String?

    @Flag(help: "Nobody is there: refuse plans with manual steps.")
    var unattended = false

    @Flag(
        help: """
            Bring devices, setuid bits and privileged attributes back into a directory too; to \
            here they always come back.
            """)
    var privilegedMetadata = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if resume {
            if target != nil || recovery.at != nil || recovery.only || !recovery.paths.isEmpty
                || declared != nil || privilegedMetadata
            {
                throw ValidationError(
                    "--resume goes on with what was asked for: leave out the rest")
            }
            if recovery.services.count > 1 {
                throw ValidationError("--resume takes the id of one run")
            }
        } else if target == nil {
            throw ValidationError(
                "--to is missing: here, a target's name, or a directory with a / in its path")
        }
    }

    func run(in application: Application) async throws -> ExitCode {
        let open = try await application.open(try await application.configuration())
        let progress = ProgressDisplay("restore", on: application.output)
        return resume
            ? try await goOn(application, open, progress)
            : try await begin(application, open, progress)
    }

    private func begin(
        _ application: Application, _ open: OpenRepository, _ progress: ProgressDisplay
    ) async throws -> ExitCode {
        let output = application.output
        // Whoever calls dr has declared the outage; what planning takes is part of it.
        let declared = try moment(declared, now: application.now) ?? application.started
        var wish = try await recovery.wish(
            open, target: try application.target(target ?? "", open), now: application.now)
        wish.replace = replace
        wish.privilegedMetadata = privilegedMetadata
        wish.unattended = unattended
        let prepared = try await application.prepare(wish, open, progress: progress)
        let plan = prepared.plan
        // What a person adds before is not the program's.
        let preparation = declared == application.started ? application.now - declared : nil
        show(plan, on: output)
        if !isBlocked(plan, replace: replace), !plan.steps.isEmpty,
            !(try await application.confirm("bring this back to \(plan.target)?"))
        {
            throw Failure(.interrupted, "not confirmed: nothing was changed")
        }
        let live = LiveView(plan, title: "restore to \(plan.target)") {
            application.now - declared
        }
        let reporter = RestoreReporter(plan, output: output, progress: progress, live: live)
        do {
            let paths = wish.paths
            let report = try await progress.during {
                try await prepared.run.execute(
                    declared: declared, preparation: preparation, findings: plan.findings,
                    replace: replace, unattended: unattended, paths: paths,
                    observe: reporter.observe)
            }
            return present(report, on: output)
        } catch let refusal as RecoveryRefused {
            try await pointToInterrupted(plan, open, output)
            throw refusal
        }
    }

    private func goOn(
        _ application: Application, _ open: OpenRepository, _ progress: ProgressDisplay
    ) async throws -> ExitCode {
        let output = application.output
        let (earlier, prepared) = try await application.prepareResume(
            recovery.services.first, open, replace: replace, unattended: unattended,
            progress: progress)
        let plan = prepared.plan
        let (done, count) = (earlier.done.count, plan.steps.count)
        output.note(
            StyledText(
                "run \(earlier.record.id.short) of \(earlier.record.started.shortDescription):"
                    + " \(done) of \(count) steps were done, \(count - done) are left"))
        for finding in plan.findings {
            output.note(StyledText("  \(finding.severity.rawValue): \(finding.message)"))
        }
        output.event(
            "resume",
            [
                "run": .string("\(earlier.record.id)"), "done": .integer(Int64(done)),
                "steps": .integer(Int64(count)), "plan": try JSONValue(plan),
            ])
        let began = earlier.orders.declared
        let live = LiveView(plan, title: "restore to \(plan.target)", done: earlier.done) {
            application.now - began
        }
        let reporter = RestoreReporter(
            plan, output: output, progress: progress, live: live, done: earlier.done,
            bytes: earlier.bytes)
        let replace = replace
        let report = try await progress.during {
            try await prepared.run.resume(
                earlier, findings: plan.findings, replace: replace, observe: reporter.observe)
        }
        return present(report, on: output)
    }

    private func show(_ plan: RecoveryPlan, on output: Output) {
        for line in PlanText(plan, showsSteps: output.manner.verbosity > 0).text
            .split(separator: "\n", omittingEmptySubsequences: false)
        {
            output.note(StyledText(String(line)))
        }
        if let plan = try? JSONValue(plan) { output.event("plan", ["plan": plan]) }
    }

    /// What stands in the way is refused by the run itself: nobody has to be asked first.
    private func isBlocked(_ plan: RecoveryPlan, replace: Bool) -> Bool {
        let stops: Set<PlanFinding.Severity> = replace ? [.blocker] : [.blocker, .conflict]
        return plan.findings.contains { stops.contains($0.severity) }
    }

    private func present(_ report: RecoveryReport, on output: Output) -> ExitCode {
        output.present(ShownReport(report: report, json: JSONValue(message: "report", report)))
        return report.result
    }

    /// Who types the command of an interrupted restore again finds that everything exists already.
    private func pointToInterrupted(
        _ plan: RecoveryPlan, _ open: OpenRepository, _ output: Output
    ) async throws {
        guard let last = try await open.catalog.runs(.restore, limit: 1).first,
            last.finished == nil || last.result == .interrupted,
            let earlier = try? await InterruptedRun(last, from: open.catalog),
            earlier.plan.target == plan.target
        else { return }
        output.warning(
            "run \(last.id.short) of \(last.started.shortDescription) was interrupted",
            hint: "dr restore --resume goes on where it was")
    }

    private func moment(_ text: String?, now: Timestamp) throws -> Timestamp? {
        guard let text else { return nil }
        let today = text.contains(":") && !text.contains("-") ? "today \(text)" : text
        guard case .time(let time) = try RecoveryMoment(parsing: today, now: now, among: []),
            time <= now
        else {
            throw Failure(
                .usage, "--declared \"\(printable(text.utf8))\" is no time of the past",
                hint: "give a time like 03:10, \"20m ago\" or 2026-11-22T03:10:00Z")
        }
        return time
    }
}

/// A report as its reader wants it.
struct ShownReport: Presentable {
    var report: RecoveryReport
    var json: JSONValue

    func write(to page: inout Page) { page.lines(of: ReportText(report).text) }
}
