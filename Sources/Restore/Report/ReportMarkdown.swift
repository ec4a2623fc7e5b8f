public import Model

/// A report as Markdown, for a ticket, a wiki or a mail.
public struct ReportMarkdown: Sendable {
    private let report: RecoveryReport

    public init(_ report: RecoveryReport) { self.report = report }

    /// The document, each line with its end. Names from outside cannot become markup.
    public var text: String {
        var text = """
            # \(report.purpose == .drill ? "Drill" : "Restore") of \
            \(report.declared.shortDescription)

            **\(report.result.meaning)** (exit code \(report.result.rawValue)): \
            \(ReportWords.extent(report)), \(report.bytes) in \(report.ended).

            | | |
            | --- | --- |
            | run | `\(report.run)` |
            | target | \(cell(report.target.description)) |
            | host | \(cell(report.host)), dr \(cell(report.program)) |
            \(recovery)\(forecast)\(people)
            ## Clock

            | moment | since declared | time |
            | --- | ---: | --- |
            | declared | 0.0 s | \(report.declared.shortDescription) |

            """
        for (name, at) in report.milestones.all {
            text += "| \(name) | \(at) | \((report.declared + at).shortDescription) |\n"
        }
        text += services + steps
        text += list("Critical path", report.criticalPath.map { cell($0) }, numbered: true)
        text += list(
            "Not executed", report.notExecuted.map { "\(cell($0.id)): \(cell($0.message ?? ""))" })
        text += list(
            "Not covered",
            report.uncovered.map {
                "\(cell($0.workload?.text ?? $0.service.text)): \(cell($0.reason))"
            })
        text += list("What went wrong", problems)
        let notes =
            report.notes
            + report.steps.flatMap { step in step.notes.map { "\(step.id): \($0)" } }
        text += list("Notes", notes.map { cell($0) })
        text += list("To do the rest", report.nextCommand.map { ["`\($0)`"] } ?? [])
        return text
    }

    private var recovery: String {
        if let paths = ReportWords.paths(report) { return "| restored | \(cell(paths)) |\n" }
        return "| recovery time | \(ReportWords.time(report)) |\n"
            + "| recovery point | \(ReportWords.point(report)) |\n"
    }

    private var forecast: String {
        guard let forecast = report.forecast, forecast.isMeasured else { return "" }
        let took = ReportWords.deviation(report).map { "; it took \($0)" } ?? ""
        return "| forecast | \(forecast.expected), \(forecast.shortest) to"
            + " \(forecast.longest)\(took) |\n"
    }

    private var people: String {
        var text = report.humanWaiting.map { "| waited for people | \($0) |\n" } ?? ""
        for moment in report.resumed ?? [] { text += "| taken up again | after \(moment) |\n" }
        return text
    }

    private var services: String {
        var text = """

            ## Services

            | service | state | recovery time | recovery point | bytes |
            | --- | --- | --- | --- | ---: |

            """
        for service in report.services {
            text +=
                "| \(cell(service.name.text)) | \(ReportWords.state(service, in: report)) |"
                + " \(ReportWords.time(service, in: report)) |"
                + " \(ReportWords.point(service, in: report)) |"
                + " \(service.bytes) |\n"
        }
        return text
    }

    private var steps: String {
        var text = """

            ## Steps

            | step | result | start | took | waited | bytes | rate | attempts |
            | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |

            """
        for step in report.executed {
            let rate = step.throughput.map { "\($0)/s" } ?? ""
            text +=
                "| \(cell(step.title)) | \(step.state.rawValue) | \(step.started ?? .zero) |"
                + " \(step.duration ?? .zero) | \(step.waited ?? .zero) | \(step.bytes) |"
                + " \(rate) | \(step.attempts) |\n"
        }
        return text
    }

    private var problems: [String] {
        report.steps.flatMap { step in
            ((step.state == .failed ? [step.message ?? ""] : []) + step.problems).map {
                "\(cell(step.id)): \(cell($0))"
            } + (step.state == .failed ? step.hint.map { ["to do: \(cell($0))"] } ?? [] : [])
        }
    }

    private func list(_ title: String, _ items: [String], numbered: Bool = false) -> String {
        guard !items.isEmpty else { return "" }
        let lines = items.enumerated().map { numbered ? "\($0 + 1). \($1)\n" : "- \($1)\n" }
        return "\n## \(title)\n\n" + lines.joined()
    }

    private func cell(_ text: String) -> String { markdownSafe(text) }
}

/// Text that Markdown shows as it is, also within a table.
func markdownSafe(_ text: String) -> String {
    var safe = ""
    for character in shown(text) {
        if "\\`*_{}[]<>#|~&!".contains(character) { safe.append("\\") }
        safe.append(character)
    }
    return safe
}
