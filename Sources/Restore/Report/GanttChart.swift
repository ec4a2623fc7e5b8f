import Model

/// The steps of a report as bars along the clock, as HTML: on a phone the names stand above the bars.
struct GanttChart {
    private let report: RecoveryReport
    private let span: Double

    init(_ report: RecoveryReport) {
        self.report = report
        span = max(report.ended.seconds, 1e-9)
    }

    var html: String {
        let critical = Set(report.criticalPath)
        let rows = report.executed.map { row($0, isCritical: critical.contains($0.id)) }
        return legend + "\n<div class=\"gantt\">\n" + axis + planning + rows.joined() + "</div>"
    }

    /// What passed before the first step: it counts as well.
    private var planning: String {
        guard let planned = report.milestones.planned, planned > .zero else { return "" }
        return "<div class=\"row\"><div class=\"label dim\">planned, looked over, confirmed</div>"
            + "<div class=\"track\">\(bar("wait", .zero, planned, "until \(planned)"))"
            + "<span class=\"time\" style=\"left:\(percent(planned))\">\(planned)</span></div></div>\n"
    }

    private var legend: String {
        let phases = PlannedStep.Phase.allCases.filter { phase in
            phase != .check && report.executed.contains { $0.phase == phase }
        }
        let names = phases.map { phase in
            let words =
                switch phase {
                case .prepare: "prepares"
                case .data: "brings data back"
                case .start: "starts"
                case .manual: "a person does it"
                case .check, .healthy: "checks"
                }
            return "<span><i class=\"\(phase.rawValue)\"></i>\(words)</span>"
        }
        var more = "<span>bold: the critical path</span> "
        if report.objectives.rto.map({ $0 <= report.ended }) ?? false {
            more += "<span class=\"bad\">dashed: the objective</span>"
        }
        if report.resumed != nil { more += "<span>dotted: taken up again</span>" }
        return "<p class=\"legend\">\(names.joined(separator: " ")) \(more)</p>"
    }

    private var axis: String {
        let ticks = (0...4).map { part in
            let time = TimeSpan(seconds: span * Double(part) / 4)
            let shift = part == 4 ? "right:0" : "left:\(percent(time))"
            return "<span class=\"time\" style=\"\(shift)\">\(time)</span>"
        }
        return
            "<div class=\"row axis\"><div class=\"label dim\">since the outage was declared</div>"
            + "<div class=\"track\">\(ticks.joined())</div></div>\n"
    }

    private func row(_ step: StepReport, isCritical: Bool) -> String {
        let start = step.started ?? .zero
        let ready = step.ready ?? start
        let end = step.ended ?? start
        var track = (1...3).map {
            mark("mark", TimeSpan(seconds: span * Double($0) / 4))
        }.joined()
        if let rto = report.objectives.rto, rto <= report.ended { track += mark("mark rto", rto) }
        for moment in report.resumed ?? [] { track += mark("mark resumed", moment) }
        if start > ready { track += bar("wait", ready, start, "") }
        let kind = step.state == .done ? step.phase.rawValue : "failed"
        track += bar("bar \(kind)", start, end, "\(step.id): \(start) to \(end)")
        // The figure stands where there is room for it.
        let isLate = end.seconds / span > 0.85
        let place =
            isLate ? "right:\(percentText(1 - start.seconds / span))" : "left:\(percent(end))"
        let took = step.duration ?? .zero
        let failed = step.state == .done ? "" : " FAILED"
        track += "<span class=\"time\" style=\"\(place)\">\(took)\(failed)</span>"
        return "<div class=\"row\(isCritical ? " critical" : "")\"><div class=\"label\">"
            + "\(escaped(step.title))</div><div class=\"track\">\(track)</div></div>\n"
    }

    private func mark(_ kind: String, _ at: TimeSpan) -> String {
        "<i class=\"\(kind)\" style=\"left:\(percent(at))\"></i>"
    }

    private func bar(_ kind: String, _ from: TimeSpan, _ to: TimeSpan, _ title: String) -> String {
        let width = percentText((to - from).seconds / span)
        return "<i class=\"\(kind)\" style=\"left:\(percent(from));width:\(width)\""
            + "\(title.isEmpty ? "" : " title=\"\(escaped(title))\"")></i>"
    }

    private func percent(_ time: TimeSpan) -> String { percentText(time.seconds / span) }

    private func percentText(_ share: Double) -> String {
        "\((min(1, max(0, share)) * 100).rounded(toPlaces: 2))%"
    }
}
