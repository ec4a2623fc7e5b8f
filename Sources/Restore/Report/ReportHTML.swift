public import Model

/// A report as one HTML page.
public struct ReportHTML: Sendable {
    private let report: RecoveryReport

    public init(_ report: RecoveryReport) { self.report = report }

    /// The page. Names from outside cannot become markup.
    public var text: String {
        let name = report.purpose == .drill ? "Drill" : "Restore"
        return HTMLPage(
            title: "\(name) of \(report.declared.shortDescription)", body: body
        ).text
    }

    private var body: String {
        """
        <p class="\(report.result == .done ? "good" : "bad")">\
        \(escaped(report.result.meaning)) (exit code \(report.result.rawValue)): \
        \(ReportWords.extent(report)), \(report.bytes) in \
        \(report.ended)</p>\(ReportWords.paths(report).map { "\n<p>\(escaped($0))</p>" } ?? "")
        \(HTMLPage.figures(figures))
        \(next)
        \(HTMLPage.list("What went wrong", problems))
        <h2>When</h2>
        \(GanttChart(report).html)
        <h2>Services</h2>
        \(ServiceGraph(report).svg)
        \(services)
        <h2>Steps</h2>
        \(steps)
        \(HTMLPage.list("Critical path", report.criticalPath))
        \(HTMLPage.list(
                "Not executed", report.notExecuted.map { "\($0.id): \($0.message ?? "")" }))
        \(HTMLPage.list("Not covered", report.uncovered.map {
                "\($0.workload?.text ?? $0.service.text): \($0.reason)"
            }))
        \(HTMLPage.list("Notes", report.notes + stepNotes))
        <h2>The run</h2>
        \(facts)
        """
    }

    private typealias Figure = (name: String, value: String, detail: String, kind: String)

    private var figures: [Figure] {
        var figures = report.paths == nil ? recovery : []
        if let forecast = report.forecast, forecast.isMeasured {
            figures.append(
                (
                    "forecast", "\(forecast.expected)",
                    ReportWords.deviation(report).map { "it took \($0)" }
                        ?? "\(forecast.shortest) to \(forecast.longest)", ""
                ))
        }
        if let waiting = report.humanWaiting {
            figures.append(("waiting for people", "\(waiting)", "within the recovery time", ""))
        }
        return figures
    }

    private var recovery: [Figure] {
        func kind(_ met: Bool?) -> String { met.map { $0 ? "good" : "bad" } ?? "" }
        func against(_ objective: TimeSpan?, _ met: Bool?) -> String {
            guard let objective else { return "no objective" }
            return "objective \(objective)" + (met.map { $0 ? ": met" : ": MISSED" } ?? "")
        }
        return [
            (
                "recovery time", report.recoveryTime.map { "\($0)" } ?? "not reached",
                against(report.objectives.rto, report.meetsRecoveryTime),
                kind(report.meetsRecoveryTime)
            ),
            (
                "data loss", report.recoveryPoint.map { "\($0)" } ?? "not reached",
                against(report.objectives.rpo, report.meetsRecoveryPoint),
                kind(report.meetsRecoveryPoint)
            ),
        ]
    }

    private var next: String {
        guard let command = report.nextCommand else { return "" }
        return "<p class=\"next\">The rest: <code>\(escaped(command))</code></p>"
    }

    private var facts: String {
        var rows = [
            ("run", "\(report.run)"), ("target", report.target.description),
            ("host", "\(report.host), dr \(report.program)"),
            ("declared", report.declared.shortDescription),
        ]
        rows += report.milestones.all.map {
            ($0.name, "\($0.at), \((report.declared + $0.at).shortDescription)")
        }
        rows += (report.resumed ?? []).map { ("taken up again", "\($0)") }
        return HTMLPage.table(rows.map { [$0.0, $0.1] })
    }

    private var services: String {
        HTMLPage.table(
            report.services.map {
                [
                    $0.name.text, ReportWords.state($0, in: report),
                    ReportWords.time($0, in: report), ReportWords.point($0, in: report),
                    "\($0.bytes)",
                ]
            }, head: ["service", "state", "recovery time", "recovery point", "bytes"],
            numbers: [4])
    }

    private var steps: String {
        let planned = report.steps.contains { $0.forecast != nil }
        var head = ["step", "result", "start", "took", "waited", "bytes", "rate", "attempts"]
        if planned { head.insert("forecast", at: 4) }
        return HTMLPage.table(
            report.executed.map { step in
                var row = [
                    step.title, step.state.rawValue, "\(step.started ?? .zero)",
                    "\(step.duration ?? .zero)", "\(step.waited ?? .zero)", "\(step.bytes)",
                    step.throughput.map { "\($0)/s" } ?? "", "\(step.attempts)",
                ]
                if planned { row.insert(step.forecast.map { "\($0)" } ?? "", at: 4) }
                return row
            }, head: head, numbers: Set(2..<head.count))
    }

    private var problems: [String] {
        report.steps.flatMap { step in
            ((step.state == .failed ? [step.message ?? ""] : []) + step.problems).map {
                "\(step.id): \($0)"
            } + (step.state == .failed ? step.hint.map { ["to do: \($0)"] } ?? [] : [])
        }
    }

    private var stepNotes: [String] {
        report.steps.flatMap { step in step.notes.map { "\(step.id): \($0)" } }
    }
}
