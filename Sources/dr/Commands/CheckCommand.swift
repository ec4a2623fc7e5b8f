import ArgumentParser
import Catalog
import Model
import Repository

/// `dr check`.
struct CheckCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check that every snapshot can be restored.",
        discussion: """
            Looks at records, lists and references. With --read-data it reads and opens every \
            byte, which takes as long as restoring everything.
            """)

    @Flag(name: .customLong("read-data"), help: "Read all data, not only lists.")
    var readsData = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let open = try await application.open(
            try await application.configuration(), refreshing: false)
        let progress = ProgressDisplay("check", on: application.output)
        let known = try await open.catalog.chainHeads()
        let options = CheckOptions(readData: readsData)
        let report = try await progress.during {
            try await open.repository.check(index: open.index, options: options, known: known) {
                done, total in
                progress.update {
                    $0.stepsDone = done
                    $0.stepsTotal = total
                }
            }
        }
        // What is damaged must still be missed the next time.
        if report.findings.isEmpty { try await open.catalog.remember(chainHeads: report.heads) }
        application.output.present(CheckResult(report: report, readsData: readsData))
        return report.exitCode
    }
}

private struct CheckResult: Presentable {
    /// More would scroll the reasons away.
    private static let shownLimit = 50

    var report: CheckReport
    var readsData: Bool

    var json: JSONValue { JSONValue(message: "summary", report) }

    func write(to page: inout Page) {
        for finding in report.findings.prefix(Self.shownLimit) {
            page.line(
                StyledText("damaged: ", .bad) + StyledText("\(finding.object): \(finding.reason)"))
        }
        let more = report.findings.count - Self.shownLimit
        if more > 0 { page.line(StyledText("and \(more) more")) }
        if !report.affected.isEmpty {
            page.line()
            page.line("cannot be restored:")
            for item in report.affected.prefix(Self.shownLimit) {
                let path = item.path.map { ": \($0)" } ?? ""
                page.line(
                    StyledText(
                        "  \(item.service) snapshot \(item.snapshot.short) \(item.part)\(path)"))
            }
            let hidden = report.affectedCount - min(report.affected.count, Self.shownLimit)
            if hidden > 0 { page.line(StyledText("  and \(hidden) more")) }
            page.line()
        }
        let read =
            readsData
            ? ", \(report.packsRead) read (\(report.bytesRead))" : ", none read (no --read-data)"
        let verdict =
            report.findings.isEmpty
            ? StyledText("no damage", .good)
            : StyledText("\(report.findings.count) findings", .bad)
        page.line(
            verdict + StyledText(": \(report.snapshots) snapshots, \(report.packs) packs\(read)"))
    }
}
