import ArgumentParser
import Catalog
import Model
import Restore

/// `dr report`.
struct ReportCommand: ApplicationCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable { case text, markdown, html, json }

    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Show what a restore or drill came to.",
        discussion: """
            Needs the catalog of the machine that ran it, and no password. dr report verify tells \
            whether the evidence of all drills is as it was written.
            """)

    @Argument(
        help: ArgumentHelp(
            "The first digits of a run's id, or verify; the latest restore without it.",
            valueName: "run"))
    var run: String?

    @Option(help: "text, markdown, html or json.")
    var format = Format.text

    @Flag(name: .customLong("list"), help: "List the runs that this machine remembers.")
    var lists = false

    @Flag(help: "How restores and drills went over time: recovery times, forecasts, data losses.")
    var history = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let catalog = try await application.openCatalog(try await application.configuration())
        if lists {
            application.output.present(RunList(runs: try await catalog.runs()))
            return .done
        }
        if history {
            let reports = try await catalog.reports()
            application.output.present(
                ShownHistory(history: ReportHistory(reports), json: try JSONValue(reports)))
            return .done
        }
        if run == "verify" {
            let chain = try await EvidenceChain(catalog)
            application.output.present(ShownChain(chain: chain))
            return chain.problems.isEmpty ? .done : .verificationFailed
        }
        let record = try await found(in: catalog)
        if record.purpose == .drill {
            return try await showDrill(record, catalog, application.output)
        }
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

    private func showDrill(
        _ record: RunRecord, _ catalog: Catalog, _ output: Output
    ) async throws -> ExitCode {
        let chain = try await EvidenceChain(catalog)
        guard let link = chain.drill(record.id), let report = link.record.drill else {
            throw Failure(
                .failed, "drill \(record.id.short) left no evidence",
                hint: "it still goes on, or was killed: dr drill --cleanup clears up after it")
        }
        let notes = chain.notes(of: record.id)
        let document = DrillDocument(report, notes: notes, hash: link.hash)
        switch format {
        case .text:
            output.present(
                ShownDrill(
                    report: report, notes: notes, hash: link.hash, json: try JSONValue(report)))
        case .markdown: output.document(document.markdown)
        case .html: output.document(document.html)
        case .json: output.document(try JSONValue(report).indented)
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

private struct ShownChain: Presentable {
    var chain: EvidenceChain

    var json: JSONValue {
        [
            "records": .integer(Int64(chain.links.count)),
            "drills": .integer(Int64(chain.drills.count)),
            "newest": .string(chain.links.last?.hash ?? ""),
            "problems": .strings(chain.problems),
        ]
    }

    func write(to page: inout Page) {
        for problem in chain.problems { page.line(StyledText(problem, .bad)) }
        let count = "\(chain.links.count) records of \(chain.drills.count) drills"
        page.line(
            chain.problems.isEmpty
                ? StyledText("\(count), each as it was written", .good)
                : StyledText("\(count): the evidence is NOT as it was written", .bad))
        if let newest = chain.links.last?.hash { page.line(StyledText("newest: sha256 \(newest)")) }
    }
}

private struct ShownHistory: Presentable {
    var history: ReportHistory
    var json: JSONValue

    func write(to page: inout Page) { page.lines(of: history.text) }
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
