public import Model

/// A report for a terminal.
public struct ReportText: Sendable {
    private let report: RecoveryReport

    public init(_ report: RecoveryReport) { self.report = report }

    /// The text, each line with its end. Names from outside are made safe to show.
    public var text: String {
        var text = header + milestones
        text += section("services", services) + section("steps", steps)
        text += section("not executed", notExecuted)
        text += section(
            "critical path", report.criticalPath.map { "  \(shown($0))\n" }.joined())
        text += section("not covered", uncovered) + section("what went wrong", problems)
        text += section("notes", notes)
        text += section("to do the rest", next)
        return text
    }

    private var header: String {
        "\(report.purpose.rawValue) to \(shown(report.target.description)),"
            + " run \(report.run.short) on \(shown(report.host)): \(report.result.meaning)\n"
            + "\(ReportWords.extent(report)), \(report.bytes) in \(report.ended)\n"
            + recovery + forecast + people
    }

    private var recovery: String {
        if let paths = ReportWords.paths(report) { return "\(shown(paths))\n" }
        return "recovery time \(ReportWords.time(report))\n"
            + "recovery point \(ReportWords.point(report))\n"
    }

    private var forecast: String {
        guard let forecast = report.forecast, forecast.isMeasured else { return "" }
        return "forecast was \(forecast.expected)"
            + " (\(forecast.shortest) to \(forecast.longest))\n"
            + (ReportWords.deviation(report)
                .map { "it took \($0)\n" } ?? "")
    }

    private var people: String {
        var text = ""
        if let waiting = report.humanWaiting { text += "waited \(waiting) for people\n" }
        if let resumed = report.resumed {
            let moments = resumed.map { "\($0)" }.joined(separator: ", ")
            text += "interrupted, taken up again after \(moments)\n"
        }
        return text
    }

    private var next: String {
        report.nextCommand.map { "  \($0)\n" } ?? ""
    }

    private var milestones: String {
        var table = TextTable(rightAligned: [1])
        table.add("declared", "0.0 s", report.declared.shortDescription)
        for (name, at) in report.milestones.all {
            table.add(name, "\(at)", (report.declared + at).shortDescription)
        }
        return "\n" + table.text
    }

    private var services: String {
        var table = TextTable(rightAligned: [4])
        table.add("service", "state", "recovery time", "recovery point", "bytes")
        for service in report.services {
            table.add(
                shown(service.name.text), ReportWords.state(service, in: report),
                ReportWords.time(service, in: report), ReportWords.point(service, in: report),
                "\(service.bytes)")
        }
        return table.text
    }

    private var steps: String {
        var table = TextTable(rightAligned: [0, 1, 2, 3, 4, 5])
        table.add("start", "end", "took", "waited", "bytes", "rate", "step")
        for step in report.executed {
            var title = shown(step.title)
            if step.attempts > 1 { title += " (\(step.attempts) attempts)" }
            if step.state == .failed { title += ": FAILED" }
            table.add(
                "\(step.started ?? .zero)", "\(step.ended ?? .zero)", "\(step.duration ?? .zero)",
                step.waited ?? .zero > .zero ? "\(step.waited ?? .zero)" : "",
                step.bytes.bytes > 0 ? "\(step.bytes)" : "",
                step.throughput.map { "\($0)/s" } ?? "", title)
        }
        return table.text
    }

    private var notes: String {
        let steps = report.steps.flatMap { step in step.notes.map { "\(step.id): \($0)" } }
        return (report.notes + steps).map { "  \(shown($0))\n" }.joined()
    }

    private var notExecuted: String {
        var table = TextTable()
        for step in report.notExecuted { table.add(shown(step.id), shown(step.message ?? "")) }
        return table.text
    }

    private var uncovered: String {
        var table = TextTable()
        for item in report.uncovered {
            table.add(shown(item.workload?.text ?? item.service.text), shown(item.reason))
        }
        return table.text
    }

    private var problems: String {
        report.steps.filter { $0.state == .failed || !$0.problems.isEmpty }.map { step in
            let causes = (step.state == .failed ? [step.message ?? ""] : []) + step.problems
            return causes.map { "  \(shown(step.id)): \(shown($0))\n" }.joined()
                + (step.hint.map { "    \(shown($0))\n" } ?? "")
        }.joined()
    }

    private func section(_ title: String, _ body: String) -> String {
        body.isEmpty ? "" : "\n\(title)\n\(body)"
    }
}

/// How a report's figures are put, whatever it is rendered to.
enum ReportWords {
    static func time(_ report: RecoveryReport) -> String {
        measured(report.recoveryTime, report.objectives.rto, report.meetsRecoveryTime)
            ?? "not reached"
    }

    static func point(_ report: RecoveryReport) -> String {
        measured(report.recoveryPoint, report.objectives.rpo, report.meetsRecoveryPoint)
            ?? "not reached"
    }

    static func time(_ service: ServiceReport, in report: RecoveryReport) -> String {
        measured(service.recoveryTime, service.objectives.rto, service.meetsRecoveryTime)
            ?? (report.paths == nil ? "not reached" : "-")
    }

    static func point(_ service: ServiceReport, in report: RecoveryReport) -> String {
        measured(service.recoveryPoint, service.objectives.rpo, service.meetsRecoveryPoint)
            ?? (report.paths == nil ? "none" : "-")
    }

    static func state(_ service: ServiceReport, in report: RecoveryReport) -> String {
        report.paths != nil && service.state == .recovered ? "paths back" : service.state.rawValue
    }

    /// What came back, for example `2 of 3 services back`.
    static func extent(_ report: RecoveryReport) -> String {
        guard let paths = report.paths else {
            let healthy = report.services.count(where: \.isHealthy)
            return "\(healthy) of \(counted(report.services.count, "service")) back"
        }
        let isAll = report.services.allSatisfy { $0.state == .recovered }
        return (isAll ? "" : "not all of ") + counted(paths.count, "path") + " back"
    }

    /// That single paths were wanted, and which; nil when services were.
    static func paths(_ report: RecoveryReport) -> String? {
        guard let paths = report.paths else { return nil }
        let more = paths.count > 3 ? " and \(paths.count - 3) more" : ""
        return "no service as a whole, only " + paths.prefix(3).joined(separator: ", ") + more
    }

    /// How far the actual duration was from the forecast; nil where nothing was forecast or the run
    /// did not do all of it at once.
    static func deviation(_ report: RecoveryReport) -> String? {
        guard let forecast = report.forecast, forecast.isMeasured, forecast.expected > .zero,
            report.resumed == nil, report.steps.allSatisfy({ $0.state == .done }),
            let planned = report.milestones.planned
        else { return nil }
        let took = report.ended - planned
        let percent = Int(((took.seconds / forecast.expected.seconds - 1) * 100).rounded())
        let isWithin = took >= forecast.shortest && took <= forecast.longest
        return "\(took), \(percent < 0 ? "\(percent)" : "+\(percent)") %, "
            + (isWithin ? "within the range" : "outside of the range")
    }

    private static func measured(_ actual: TimeSpan?, _ objective: TimeSpan?, _ met: Bool?)
        -> String?
    {
        guard let actual else { return nil }
        guard let objective, let met else { return "\(actual)" }
        return "\(actual) of \(objective), \(met ? "met" : "MISSED")"
    }
}
