public import Model

/// A drill's evidence for a terminal: what was proven first, the rest is in `dr report`.
public struct DrillText: Sendable {
    private let report: DrillReport
    private let notes: [EvidenceRecord]
    private let hash: String

    /// - Parameters:
    ///   - notes: What people added to it.
    ///   - hash: Of the record that it is kept as.
    public init(_ report: DrillReport, notes: [EvidenceRecord], hash: String) {
        self.report = report
        self.notes = notes
        self.hash = hash
    }

    /// The text, each line with its end. Names from outside are made safe to show.
    public var text: String {
        var text = header
        text += section("proven", rows(.passed)) + section("NOT AS IT MUST BE", rows(.failed))
        text += section("not looked at", rows(.skipped))
        text += section("out of scope", lines(report.scenario.outOfScope))
        text += section("not executed", lines(report.results.notExecuted))
        let failed = report.recovery.steps.filter { $0.state == .failed }
        text += section("failed", lines(failed.map { "\($0.title): \($0.message ?? "")" }))
        text += section("cleanup", cleanup) + section("deviations", lines(report.deviations))
        text += section("open actions", lines(report.actions.map(DrillWords.action)))
        text += section("added later", lines(notes.compactMap(DrillWords.note)))
        return text + "\nevidence \(hash.prefix(16)), all of it: dr report"
            + " \(report.identity.drill.short) --format html\n"
    }

    private var header: String {
        let recovery = report.recovery
        let healthy = recovery.services.count(where: \.isHealthy)
        let end = report.attestation.expires.shortDescription
        let valid =
            report.attestation.isPassed
            ? "passed: counts until \(end), or until plan, configuration or program change"
            : "not passed"
        let services = counted(recovery.services.count, "service")
        return """
            drill \(report.identity.drill.short) on \(shown(report.identity.host)): \
            \(report.results.outcome.meaning)
            \(valid)
            \(healthy) of \(services) back, \(recovery.bytes) in \(recovery.ended)
            recovery time \(ReportWords.time(recovery))
            recovery point \(ReportWords.point(recovery))

            """
    }

    private func rows(_ outcome: DrillReport.Verification.Outcome) -> String {
        var table = TextTable()
        for item in report.verification where item.outcome == outcome {
            table.add(item.kind, shown(item.subject), shown(item.detail))
        }
        return table.text
    }

    private var cleanup: String {
        let cleanup = report.cleanup
        guard cleanup.isDone else { return lines(["not done"] + cleanup.problems) }
        let summary =
            "\(counted(cleanup.removed.count, "thing")) removed, "
            + (cleanup.residue.isEmpty ? "nothing left" : "LEFT BEHIND:")
        return lines([summary] + cleanup.residue + cleanup.problems)
    }

    private func lines(_ items: [String]) -> String { items.map { "  \(shown($0))\n" }.joined() }

    private func section(_ title: String, _ body: String) -> String {
        body.isEmpty ? "" : "\n\(title)\n\(body)"
    }
}

/// Words that all forms of a drill's report share.
enum DrillWords {
    static func action(_ action: CorrectiveAction) -> String {
        var words = ["#\(action.number) \(action.finding)"]
        if let owner = action.owner { words.append("owner \(owner)") }
        if let due = action.due { words.append("due \(due)") }
        if let link = action.link { words.append(link) }
        words.append("of drill \(action.drill.short)")
        return words.joined(separator: ", ")
    }

    static func note(_ record: EvidenceRecord) -> String? {
        guard let note = record.note else { return nil }
        var words = "\(record.at.shortDescription) \(note.author), \(note.kind.rawValue)"
        if let closed = note.closes { words += " #\(closed)" }
        if note.kind == .action { words += " #\(record.sequence)" }
        return note.text.isEmpty ? words : "\(words): \(note.text)"
    }
}
