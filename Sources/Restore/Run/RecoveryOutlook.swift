import Engine
public import Model

/// How long the rest of a plan will take, while it is carried out.
public struct RecoveryOutlook: Sendable {
    private let plan: RecoveryPlan
    private let limits: RecoveryLimits

    public init(_ plan: RecoveryPlan, limits: RecoveryLimits = RecoveryLimits()) {
        self.plan = plan
        self.limits = limits
    }

    /// The rest by the scheduler that carries it out, with the estimates of the plan.
    ///
    /// - Parameters:
    ///   - ended: Steps that are over, whatever came of them.
    ///   - running: How long those that run have run.
    public func remaining(ended: Set<String>, running: [String: TimeSpan]) -> TimeSpan {
        var rest = plan
        for place in rest.steps.indices {
            guard let passed = running[rest.steps[place].id] else { continue }
            let estimate = rest.steps[place].estimate
            // What has taken longer than was thought will go on for a while.
            let least = TimeSpan(nanoseconds: passed.nanoseconds / 10)
            rest.steps[place].estimate = max(estimate - passed, least)
        }
        guard let graph = try? rest.graph(without: ended),
            let schedule = try? GraphSchedule.simulate(graph, limits: limits.graphLimits)
        else { return .zero }
        return schedule.duration
    }
}
