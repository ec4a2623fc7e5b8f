public import Model

/// A drill's evidence as a document: Markdown, or one HTML page that needs nothing else.
public struct DrillDocument: Sendable {
    private let report: DrillReport
    private let blocks: [ReportBlock]

    /// - Parameters:
    ///   - notes: What people added to it.
    ///   - hash: Of the record that it is kept as.
    public init(_ report: DrillReport, notes: [EvidenceRecord], hash: String) {
        self.report = report
        blocks = ReportBlock.all(report, notes: notes, hash: hash)
    }

    private var title: String { "Drill of \(report.timeline.declared.shortDescription)" }

    private var verdict: String {
        let healthy = report.recovery.services.count(where: \.isHealthy)
        return "\(report.results.outcome.meaning) (exit code \(report.results.outcome.rawValue)): "
            + "\(healthy) of \(counted(report.recovery.services.count, "service")) back, "
            + (report.cleanup.isClean ? "nothing left behind" : "NOT cleared up")
    }

    /// Markdown. Names from outside cannot become markup.
    public var markdown: String {
        "# \(title)\n\n**\(markdownSafe(verdict))**\n" + blocks.map(\.markdown).joined()
    }

    /// One page without scripts. Names from outside cannot become markup.
    public var html: String {
        let kind = report.results.outcome == .done ? "good" : "bad"
        var body = "<p class=\"\(kind)\">\(escaped(verdict))</p>\n" + figures
        for block in blocks {
            switch block.title {
            case "Timeline": body += block.html(figure: GanttChart(report.recovery).html)
            case "Trend":
                let chart = TrendChart(report.trend, report.objectives.whole)
                body += block.html(figure: chart.svg)
            default: body += block.html()
            }
        }
        return HTMLPage(title: title, body: body).text
    }

    private var figures: String {
        func kind(_ met: Bool?) -> String { met.map { $0 ? "good" : "bad" } ?? "" }
        let results = report.results
        let proven = report.verification.count { $0.outcome == .passed }
        let failed = report.verification.count { $0.outcome == .failed }
        return HTMLPage.figures([
            (
                "recovery time", results.recoveryTime.map { "\($0)" } ?? "not reached",
                report.objectives.whole.rto.map { "objective \($0)" } ?? "no objective",
                kind(results.meetsRecoveryTime)
            ),
            (
                "data loss", results.recoveryPoint.map { "\($0)" } ?? "not reached",
                report.objectives.whole.rpo.map { "objective \($0)" } ?? "no objective",
                kind(results.meetsRecoveryPoint)
            ),
            (
                "proven", "\(proven)", failed == 0 ? "nothing failed" : "\(failed) FAILED",
                failed == 0 ? "good" : "bad"
            ),
            (
                "left behind", "\(report.cleanup.residue.count)",
                report.cleanup.isClean ? "cleared up" : "NOT CLEAN",
                report.cleanup.isClean ? "good" : "bad"
            ),
        ])
    }
}

/// Recovery times of drills, oldest first, as bars with the objective across them.
struct TrendChart {
    private let points: [DrillReport.Trend.Point]
    private let objective: TimeSpan?

    init(_ trend: DrillReport.Trend, _ objectives: Objectives) {
        points = trend.drills
        objective = objectives.rto
    }

    /// Nothing where there is nothing to compare.
    var svg: String {
        let longest = points.compactMap { $0.recoveryTime?.seconds }.max() ?? 0
        guard points.count > 1, longest > 0 else { return "" }
        let shown = objective.flatMap { $0.seconds <= longest * 4 ? $0.seconds : nil }
        let top = max(longest, shown ?? 0)
        let (step, height) = (56, 120.0)
        func rise(_ seconds: Double) -> Int { Int((seconds / top * height).rounded()) }
        var body = ""
        for (place, point) in points.enumerated() {
            let left = place * step + 8
            let bar = max(1, rise(point.recoveryTime?.seconds ?? 0))
            let title =
                "\(point.declared.shortDescription): "
                + (point.recoveryTime.map { "\($0)" } ?? "not reached")
            body += """
                <g class="node-\(point.isPassed ? "good" : "bad")"><title>\(escaped(title))</title>\
                <rect x="\(left)" y="\(140 - bar)" width="40" height="\(bar)"/>\
                <text class="small" x="\(left)" y="156">\
                \(escaped(point.recoveryTime.map { "\($0)" } ?? "-"))</text></g>

                """
        }
        if let shown {
            let at = 140 - rise(shown)
            body += "<path d=\"M0 \(at)H\(points.count * step + 8)\" stroke-dasharray=\"5 3\"/>\n"
        }
        let width = points.count * step + 16
        return "<svg viewBox=\"0 0 \(width) 164\" width=\"\(width)\" role=\"img\" "
            + "aria-label=\"recovery times\">\n\(body)</svg>\n"
    }
}
