public import Engine
import Model

/// How much goes on at once at the target.
public struct RecoveryLimits: Sendable, Hashable {
    /// Steps that write data.
    public var data: Int
    /// Steps that make or start something.
    public var control: Int

    public init(data: Int = 4, control: Int = 8) {
        self.data = max(1, data)
        self.control = max(1, control)
    }

    /// What a step holds while it runs; checks hold nothing.
    func resources(for phase: PlannedStep.Phase) -> [String: Int] {
        switch phase {
        case .data: ["data": 1]
        case .prepare, .start: ["control": 1]
        case .check, .healthy: [:]
        }
    }

    public var graphLimits: GraphLimits {
        GraphLimits(resources: ["data": data, "control": control])
    }
}

extension RecoveryPlan {
    /// The schedule that the executor follows as far as estimates are true.
    ///
    /// Longest remaining path first. Where times were measured and the plan is small enough to try
    /// other orders in no time, the best of them.
    func schedule(_ graph: Graph, limits: RecoveryLimits) throws -> GraphSchedule {
        let isWorthwhile = hasMeasurements && steps.count <= 200
        return try GraphSchedule.best(
            graph, limits: limits.graphLimits, effort: isWorthwhile ? 400 : 0)
    }

    /// Whether any estimate rests on a measurement.
    private var hasMeasurements: Bool { steps.contains { $0.measurements > 0 } }

    /// The plan as the executor takes it.
    func graph() throws -> Graph {
        try Graph(
            steps.map {
                GraphNode(
                    $0.id, needs: $0.needs, estimate: $0.estimate, resources: $0.resources,
                    retry: $0.phase == .healthy
                        ? .never : RetryPolicy(attempts: 3, first: TimeSpan(seconds: 1)))
            })
    }
}
