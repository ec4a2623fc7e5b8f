import ArgumentParser
import Catalog
import Model
import Restore

/// `dr report`.
struct ReportCommand: ApplicationCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable { case text, markdown, html, json }

    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Show what a restore came to.",
        discussion: "Needs the catalog of the machine that ran it, and no password.")

    @Argument(
        help: ArgumentHelp(
            "The first digits of a run's id; the latest restore without it.", valueName: "run"))
    var run: String?

    @Option(help: "text, markdown, html or json.")
    var format = Format.text

    @Flag(name: .customLong("list"), help: "List the runs that this machine remembers.")
    var lists = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let catalog = try await application.openCatalog(try await application.configuration())
        if lists {
            application.output.present(RunList(runs: try await catalog.runs()))
            return .done
        }
        let record = try await found(in: catalog)
        guard let report = try await catalog.report(of: record.id) else {
            throw Failure(
                .failed, "run \(record.id.short) left no report",
                hint: record.finished == nil
                    ? "it still goes on, or its process was killed"
                    : "only restores have one: dr report --list shows which runs are")
        }
        switch format {
        case .text:
            application.output.present(ShownReport(report: report, json: try JSONValue(report)))
        case .markdown: application.output.document(ReportMarkdown(report).text)
        case .html: application.output.document(ReportHTML(report).text)
        case .json: application.output.document(try JSONValue(report).indented)
        }
        return .done
    }

    /// The run that is meant.
    private func found(in catalog: Catalog) async throws -> RunRecord {
        guard let run else {
            guard let latest = try await catalog.runs(.restore, limit: 1).first else {
                throw Failure(
                    .failed, "this machine remembers no restore of this repository",
                    hint: "reports stay on the machine that ran the restore")
            }
            return latest
        }
        let digits = run.lowercased()
        let isPlausible = !digits.isEmpty && digits.allSatisfy { $0.isHexDigit && $0.isASCII }
        let runs = isPlausible ? try await catalog.runs(idPrefix: digits, limit: 2) : []
        guard let only = runs.first, runs.count == 1 else {
            throw Failure(
                .usage,
                runs.isEmpty
                    ? "there is no run \"\(printable(run.utf8))\""
                    : "more than one run begins with \(digits)",
                hint: "dr report --list shows them")
        }
        return only
    }
}

private struct RunList: Presentable {
    var runs: [RunRecord]

    var json: JSONValue {
        .array(
            runs.map { run in
                .members([
                    "id": .string("\(run.id)"), "purpose": .string(run.purpose.rawValue),
                    "host": .string(run.host), "started": .string("\(run.started)"),
                    "finished": run.finished.map { .string("\($0)") },
                    "code": run.result.map { .integer(Int64($0.rawValue)) },
                    "summary": .string(run.summary),
                ])
            })
    }

    func write(to page: inout Page) {
        guard !runs.isEmpty else {
            page.line("no runs")
            return
        }
        var table = Table(
            .left("RUN"), .left("STARTED"), .left("FOR"), .left("RESULT"), .flexible("SUMMARY"))
        for run in runs {
            let result: StyledText =
                switch run.result {
                case nil: StyledText("unfinished", .warning)
                case .done: StyledText("done", .good)
                case let code?: StyledText(code.meaning, .bad)
                }
            table.add(
                StyledText(run.id.short), StyledText(run.started.shortDescription),
                StyledText(run.purpose.rawValue), result, StyledText(run.summary))
        }
        page.table(table)
    }
}
