public import Model

/// A plan for people: what comes back from which snapshot, in which order, and what does not.
public struct PlanText: Sendable {
    private let plan: RecoveryPlan
    /// Whether every step is listed under its service.
    private let showsSteps: Bool

    public init(_ plan: RecoveryPlan, showsSteps: Bool = true) {
        self.plan = plan
        self.showsSteps = showsSteps
    }

    /// The text, each line with its end. Names from outside are made safe to show.
    public var text: String {
        var text = header
        let waves = Set(plan.services.map(\.wave)).sorted()
        for wave in waves {
            text += "\nwave \(wave)\n"
            for service in plan.services where service.wave == wave { text += lines(service) }
        }
        if let path = plan.forecast?.criticalPath, path.count > 1 {
            text += "\ncritical path\n  " + path.map(shown).joined(separator: "\n  ") + "\n"
        }
        text += section("not covered", uncovered) + section("found at the target", findings)
        text += section("notes", plan.notes.map { "  \(shown($0))\n" }.joined())
        return text
    }

    private var header: String {
        let covered = plan.services.count { !$0.snapshots.isEmpty }
        var text =
            "restore to \(shown(plan.target.description)): \(counted(covered, "service")),"
            + " \(counted(plan.steps.count, "step")), \(plan.bytes)\n"
        text +=
            "as of \(plan.at.map(shown) ?? "the latest"), planned \(plan.made.shortDescription)\n"
        text += forecast
        return text
    }

    private var forecast: String {
        let objective = plan.objectives.rto.map { "objective \($0)" } ?? "no objective"
        guard let forecast = plan.forecast else { return "\(objective)\n" }
        guard forecast.isMeasured else {
            return "duration never measured, assumed about \(forecast.expected); \(objective)\n"
        }
        let missed = plan.objectives.rto.map { forecast.expected > $0 } ?? false
        return "forecast \(forecast.expected) (\(forecast.shortest) to \(forecast.longest)),"
            + " \(forecast.measuredSteps) of \(counted(forecast.steps, "step")) measured;"
            + " \(objective)\(missed ? ": WILL BE MISSED" : "")\n"
    }

    private func lines(_ service: PlannedService) -> String {
        var title = "  \(shown(service.name.text))"
        if !service.after.isEmpty {
            title += " after " + service.after.map { shown($0.text) }.joined(separator: ", ")
        }
        if let rpo = service.objectives.rpo, let asOf = service.asOf {
            let loss = plan.made - asOf
            title += loss > rpo ? ", data \(loss) old, objective \(rpo): MISSED" : ""
        }
        var text = title + "\n"
        var snapshots = TextTable(indent: "    ", rightAligned: [4])
        for snapshot in service.snapshots {
            snapshots.add(
                shown(snapshot.workload.text), snapshot.snapshot.short,
                snapshot.asOf.shortDescription, "\(snapshot.age) old",
                snapshot.bytes.bytes > 0 ? "\(snapshot.bytes)" : "")
        }
        text += snapshots.text
        for snapshot in service.snapshots {
            for remark in snapshot.remarks { text += "    ! \(shown(remark))\n" }
        }
        if showsSteps {
            var steps = TextTable(indent: "    - ", rightAligned: [1, 2])
            for step in plan.steps where step.services.first == service.name {
                steps.add(
                    shown(step.title), step.bytes.bytes > 0 ? "\(step.bytes)" : "",
                    step.estimate > .zero
                        ? "\(step.measurements > 0 ? "" : "~")\(step.estimate)" : "")
            }
            text += steps.text
        }
        return text
    }

    private var uncovered: String {
        var table = TextTable()
        for item in plan.uncovered {
            table.add(shown(item.workload?.text ?? item.service.text), shown(item.reason))
        }
        return table.text
    }

    private var findings: String {
        plan.findings.map { finding in
            "  \(finding.severity.rawValue): \(shown(finding.message))\n"
                + (finding.hint.map { "    \(shown($0))\n" } ?? "")
        }.joined()
    }

    private func section(_ title: String, _ body: String) -> String {
        body.isEmpty ? "" : "\n\(title)\n\(body)"
    }
}

/// Text from outside made safe to show.
func shown(_ text: String) -> String { printable(text.utf8) }
