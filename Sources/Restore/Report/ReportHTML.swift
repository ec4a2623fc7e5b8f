public import Model

/// A report as one HTML page that needs nothing else: no script, no network; readable on a phone,
/// in the dark, and printed.
public struct ReportHTML: Sendable {
    private let report: RecoveryReport

    public init(_ report: RecoveryReport) { self.report = report }

    /// The page. Names from outside cannot become markup.
    public var text: String {
        let title = "\(report.purpose.rawValue) \(report.declared.shortDescription)"
        return """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(escaped(title))</title>
            <style>
            \(Self.style)
            </style>
            </head>
            <body>
            <h1>\(escaped(title))</h1>
            <p class="\(report.result == .done ? "good" : "bad")">\
            \(escaped(report.result.meaning)) (exit code \(report.result.rawValue)): \
            \(report.services.count(where: \.isHealthy)) of \
            \(counted(report.services.count, "service")) back, \(report.bytes) in \
            \(report.ended)</p>
            \(facts)
            <h2>When</h2>
            \(GanttChart(report).svg)
            <h2>Services</h2>
            \(services)
            <h2>Steps</h2>
            \(steps)
            \(list("Critical path", report.criticalPath))
            \(list("Not executed", report.notExecuted.map { "\($0.id): \($0.message ?? "")" }))
            \(list("Not covered", report.uncovered.map {
                "\($0.workload?.text ?? $0.service.text): \($0.reason)"
            }))
            \(list("What went wrong", problems))
            \(list("Notes", report.notes))
            </body>
            </html>

            """
    }

    private static let style = """
        :root { color-scheme: light dark; --line: #8884; --good: #2a7d4f; --bad: #c0392b; \
        --data: #3572b0; --start: #2a7d4f; --check: #b8860b; --prepare: #777; }
        body { font: 15px/1.45 system-ui, sans-serif; max-width: 70rem; margin: 1rem auto; \
        padding: 0 1rem; }
        h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
        table { border-collapse: collapse; display: block; overflow-x: auto; }
        td, th { text-align: left; padding: .2rem .8rem .2rem 0; \
        border-bottom: 1px solid var(--line); white-space: nowrap; }
        td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
        .good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; }
        svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; \
        fill: currentColor; }
        @media print { body { max-width: none; font-size: 11px; } h2 { break-after: avoid; } }
        """

    private var facts: String {
        var rows = [
            ("run", "\(report.run)"), ("target", report.target.description),
            ("host", "\(report.host), dr \(report.program)"),
            ("recovery time", ReportWords.time(report)),
            ("recovery point", ReportWords.point(report)),
            ("declared", report.declared.shortDescription),
        ]
        rows += report.milestones.all.map { ($0.name, "\($0.at)") }
        if let forecast = report.forecast, forecast.isMeasured {
            rows.append(
                ("forecast", "\(forecast.expected), \(forecast.shortest) to \(forecast.longest)"))
        }
        return table(rows.map { [$0.0, $0.1] }, head: [], numbers: [])
    }

    private var services: String {
        table(
            report.services.map {
                [
                    $0.name.text, $0.state.rawValue, ReportWords.time($0), ReportWords.point($0),
                    "\($0.bytes)",
                ]
            }, head: ["service", "state", "recovery time", "recovery point", "bytes"],
            numbers: [4])
    }

    private var steps: String {
        table(
            report.executed.map { step in
                [
                    step.title, step.state.rawValue, "\(step.started ?? .zero)",
                    "\(step.duration ?? .zero)", "\(step.waited ?? .zero)", "\(step.bytes)",
                    step.throughput.map { "\($0)/s" } ?? "", "\(step.attempts)",
                ]
            }, head: ["step", "result", "start", "took", "waited", "bytes", "rate", "attempts"],
            numbers: [2, 3, 4, 5, 6, 7])
    }

    private var problems: [String] {
        report.steps.flatMap { step in
            ((step.state == .failed ? [step.message ?? ""] : []) + step.problems).map {
                "\(step.id): \($0)"
            } + (step.state == .failed ? step.hint.map { ["to do: \($0)"] } ?? [] : [])
        }
    }

    private func table(_ rows: [[String]], head: [String], numbers: Set<Int>) -> String {
        func line(_ cells: [String], _ tag: String) -> String {
            let inner = cells.enumerated().map { index, cell in
                "<\(tag)\(numbers.contains(index) ? " class=\"n\"" : "")>\(escaped(cell))</\(tag)>"
            }
            return "<tr>\(inner.joined())</tr>\n"
        }
        let top = head.isEmpty ? "" : line(head, "th")
        return "<table>\n\(top)\(rows.map { line($0, "td") }.joined())</table>"
    }

    private func list(_ title: String, _ items: [String]) -> String {
        guard !items.isEmpty else { return "" }
        let lines = items.map { "<li>\(escaped($0))</li>\n" }.joined()
        return "<h2>\(title)</h2>\n<ol>\n\(lines)</ol>"
    }
}

/// Text that HTML shows as it is, also within an attribute.
func escaped(_ text: String) -> String {
    var safe = ""
    for character in shown(text) {
        switch character {
        case "&": safe += "&amp;"
        case "<": safe += "&lt;"
        case ">": safe += "&gt;"
        case "\"": safe += "&quot;"
        case "'": safe += "&#39;"
        default: safe.append(character)
        }
    }
    return safe
}
