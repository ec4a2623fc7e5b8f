public import Model

/// A plan as a graph for Graphviz: steps in boxes of their services, what waits for what.
public struct PlanGraph: Sendable {
    private let plan: RecoveryPlan

    public init(_ plan: RecoveryPlan) { self.plan = plan }

    /// In the DOT language, each line with its end.
    public var dot: String {
        let critical = Set(plan.forecast?.criticalPath ?? [])
        var text = """
            digraph "restore" {
              rankdir=LR;
              node [shape=box, style=rounded, fontname="sans-serif", fontsize=11];

            """
        for (number, service) in plan.services.enumerated() {
            text += "  subgraph \"cluster_\(number)\" {\n    label=\(quoted(service.name.text));\n"
            for step in plan.steps where step.services.first == service.name {
                let bytes = step.bytes.bytes > 0 ? "\n\(step.bytes)" : ""
                let label = quoted(step.title + bytes)
                let pen = critical.contains(step.id) ? ", penwidth=2.5" : ""
                text += "    \(quoted(step.id)) [label=\(label)\(pen)];\n"
            }
            text += "  }\n"
        }
        for step in plan.steps {
            for need in step.needs {
                let isCritical = critical.contains(step.id) && critical.contains(need)
                text +=
                    "  \(quoted(need)) -> \(quoted(step.id))"
                    + "\(isCritical ? " [penwidth=2.5]" : "");\n"
            }
        }
        return text + "}\n"
    }

    private func quoted(_ text: String) -> String {
        var safe = ""
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if !safe.isEmpty { safe += "\\n" }
            for character in shown(String(line)) {
                if character == "\"" || character == "\\" { safe.append("\\") }
                safe.append(character)
            }
        }
        return "\"\(safe)\""
    }
}
