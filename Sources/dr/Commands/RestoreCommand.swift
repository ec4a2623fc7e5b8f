import ArgumentParser
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
            their own last name, to here where they were.
            """)

    @OptionGroup var recovery: RecoveryOptions

    @Option(
        name: .customLong("to"),
        help: ArgumentHelp(
            "here: this machine, under the original names. Or a directory with a / in its path, "
                + "made when missing.", valueName: "here|directory"))
    var target: String

    @Flag(help: "Replace what exists already.")
    var replace = false

    @Flag(
        help: """
            Bring devices, setuid bits and privileged attributes back into a directory too; to \
            here they always come back.
            """)
    var privilegedMetadata = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let output = application.output
        let open = try await application.open(try await application.configuration())
        let progress = ProgressDisplay("restore", on: output)
        var wish = try await recovery.wish(
            open, target: application.target(target), now: application.now)
        wish.replace = replace
        wish.privilegedMetadata = privilegedMetadata
        let prepared = try await application.prepare(wish, open, progress: progress)
        let plan = prepared.plan
        for line in PlanText(plan, showsSteps: output.manner.verbosity > 0).text
            .split(separator: "\n", omittingEmptySubsequences: false)
        {
            output.note(StyledText(String(line)))
        }
        output.event("plan", ["plan": try JSONValue(plan)])
        // What stands in the way is refused by the run itself: nobody has to be asked first.
        let stops: Set<PlanFinding.Severity> = replace ? [.blocker] : [.blocker, .conflict]
        let isBlocked = plan.findings.contains { stops.contains($0.severity) }
        if !isBlocked, !plan.steps.isEmpty,
            !(try await application.confirm("bring this back to \(plan.target)?"))
        {
            throw Failure(.interrupted, "not confirmed: nothing was changed")
        }
        progress.update {
            $0.bytesTotal = plan.bytes
            $0.stepsTotal = plan.steps.count
        }
        let reporter = RestoreReporter(plan, output: output, progress: progress)
        let report = try await progress.during {
            try await prepared.run.execute(
                findings: plan.findings, replace: replace, observe: reporter.observe)
        }
        output.present(ShownReport(report: report, json: JSONValue(message: "report", report)))
        return report.result
    }
}

/// A report as its reader wants it.
struct ShownReport: Presentable {
    var report: RecoveryReport
    var json: JSONValue

    func write(to page: inout Page) { page.lines(of: ReportText(report).text) }
}
