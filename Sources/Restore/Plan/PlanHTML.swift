public import Model

/// A plan as one HTML page, for whoever has to agree to it or wants it on paper.
public struct PlanHTML: Sendable {
    private let plan: RecoveryPlan

    public init(_ plan: RecoveryPlan) { self.plan = plan }

    /// The page. Names from outside cannot become markup.
    public var text: String {
        HTMLPage(title: "Restore to \(plan.target)", body: body).text
    }

    private var body: String {
        """
        <p>As of \(escaped(plan.at ?? "the latest")), planned \
        \(plan.made.shortDescription)</p>
        \(HTMLPage.figures(figures))
        <h2>Services</h2>
        \(ServiceGraph(plan).svg)
        \(services)
        \(HTMLPage.list("In the way, or worth knowing", plan.findings.map {
            "\($0.severity.rawValue): \($0.message)" + ($0.hint.map { " (\($0))" } ?? "")
        }))
        \(HTMLPage.list("Not covered", plan.uncovered.map {
            "\($0.workload?.text ?? $0.service.text): \($0.reason)"
        }))
        <h2>Steps</h2>
        \(steps)
        \(HTMLPage.list("Critical path", plan.forecast?.criticalPath ?? []))
        \(HTMLPage.list("Notes", plan.notes))
        """
    }

    private var figures: [(name: String, value: String, detail: String, kind: String)] {
        var figures = [
            (
                "services", "\(plan.services.count)", "\(counted(plan.steps.count, "step"))", ""
            ), ("data", "\(plan.bytes)", "as files", ""),
        ]
        if let forecast = plan.forecast {
            let objective = plan.objectives.rto
            let isLate = forecast.isMeasured && objective.map { forecast.expected > $0 } ?? false
            let range =
                forecast.isMeasured
                ? "\(forecast.shortest) to \(forecast.longest)" : "never measured"
            figures.append(
                (
                    "forecast", "\(forecast.expected)",
                    range + (objective.map { ", objective \($0)" } ?? ""), isLate ? "bad" : ""
                ))
        }
        if let oldest = plan.services.compactMap(\.asOf).min() {
            let loss = plan.made - oldest
            let isLate = plan.objectives.rpo.map { loss > $0 } ?? false
            figures.append(
                (
                    "data loss", "\(loss)",
                    plan.objectives.rpo.map { "objective \($0)" } ?? "no objective",
                    isLate ? "bad" : ""
                ))
        }
        return figures
    }

    private var services: String {
        HTMLPage.table(
            plan.services.flatMap { service in
                service.snapshots.map { snapshot in
                    [
                        "\(service.wave)", service.name.text, snapshot.workload.text,
                        snapshot.snapshot.short, snapshot.asOf.shortDescription,
                        "\(snapshot.age)", "\(snapshot.bytes)",
                        snapshot.remarks.joined(separator: "; "),
                    ]
                }
            },
            head: ["wave", "service", "workload", "snapshot", "of", "data loss", "bytes", ""],
            numbers: [0, 5, 6])
    }

    private var steps: String {
        HTMLPage.table(
            plan.steps.map { step in
                [
                    step.title, step.services.map(\.text).joined(separator: ", "),
                    step.bytes.bytes > 0 ? "\(step.bytes)" : "",
                    "\(step.measurements > 0 ? "" : "about ")\(step.estimate)",
                ]
            }, head: ["step", "service", "bytes", "takes"], numbers: [2, 3])
    }
}
