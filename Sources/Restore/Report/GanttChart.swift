import Model

/// The steps of a report as bars along the clock, as SVG.
struct GanttChart {
    private let report: RecoveryReport
    private let rowHeight = 20.0
    private let labelWidth = 300.0
    private let chartWidth = 640.0
    private let top = 24.0

    init(_ report: RecoveryReport) { self.report = report }

    var svg: String {
        let steps = report.executed
        let span = max(report.ended.seconds, 1e-9)
        let height = top + Double(steps.count) * rowHeight + 8
        let width = labelWidth + chartWidth + 20
        func x(_ time: TimeSpan) -> Double { labelWidth + time.seconds / span * chartWidth }
        var svg =
            "<svg viewBox=\"0 0 \(number(width)) \(number(height))\" role=\"img\""
            + " aria-label=\"steps along the clock\">\n"
        for part in 0...4 {
            let time = TimeSpan(seconds: span * Double(part) / 4)
            let anchor = part == 0 ? "start" : part == 4 ? "end" : "middle"
            svg += line(x(time), "var(--line)")
            svg +=
                "<text x=\"\(number(x(time)))\" y=\"14\" text-anchor=\"\(anchor)\">\(time)</text>\n"
        }
        if let rto = report.objectives.rto, rto <= report.ended {
            svg += line(x(rto), "var(--bad)")
        }
        let critical = Set(report.criticalPath)
        for (row, step) in steps.enumerated() {
            let y = top + Double(row) * rowHeight
            let start = step.started ?? .zero
            let ready = step.ready ?? start
            let end = step.ended ?? start
            let weight = critical.contains(step.id) ? " font-weight=\"bold\"" : ""
            svg += "<text x=\"0\" y=\"\(number(y + 14))\"\(weight)>\(escaped(label(step)))</text>\n"
            if start > ready {
                svg += bar(x(ready), x(start), y + 8, 4, "var(--line)")
            }
            svg +=
                "<g><title>\(escaped("\(step.id): \(start) to \(end)"))</title>"
                + bar(x(start), max(x(end), x(start) + 1), y + 3, 14, colour(step)) + "</g>\n"
        }
        return svg + "</svg>"
    }

    private func label(_ step: StepReport) -> String {
        step.title.count <= 44 ? step.title : step.title.prefix(43) + "…"
    }

    private func colour(_ step: StepReport) -> String {
        guard step.state == .done else { return "var(--bad)" }
        return switch step.phase {
        case .prepare: "var(--prepare)"
        case .data: "var(--data)"
        case .start: "var(--start)"
        case .check, .healthy: "var(--check)"
        }
    }

    private func bar(
        _ left: Double, _ right: Double, _ y: Double, _ height: Double, _ colour: String
    ) -> String {
        "<rect x=\"\(number(left))\" y=\"\(number(y))\" width=\"\(number(right - left))\""
            + " height=\"\(number(height))\" fill=\"\(colour)\"/>"
    }

    private func line(_ x: Double, _ colour: String) -> String {
        let bottom = top + Double(report.executed.count) * rowHeight
        return "<line x1=\"\(number(x))\" x2=\"\(number(x))\" y1=\"\(number(top - 4))\""
            + " y2=\"\(number(bottom))\" stroke=\"\(colour)\"/>\n"
    }

    private func number(_ value: Double) -> String { value.rounded(toPlaces: 1) }
}
