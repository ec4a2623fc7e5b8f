import Engine
import Model

/// Predicts how long steps and plans take, from what earlier runs measured.
struct Forecaster {
    /// A duration, the quarter points around it, and on how many measurements it rests.
    struct Estimate {
        var expected: TimeSpan
        var shortest: TimeSpan
        var longest: TimeSpan
        var count: Int
    }

    private let bySubject: [String: [Measurement]]

    init(_ measurements: [Measurement]) {
        bySubject = Dictionary(grouping: measurements.filter { $0.duration > .zero }, by: \.subject)
    }

    /// The subject under which a step of this phase is measured.
    static func subject(of phase: PlannedStep.Phase) -> String { "restore.\(phase.rawValue)" }

    func estimate(_ step: PlannedStep) -> Estimate {
        let known = bySubject[Self.subject(of: step.phase)] ?? []
        let replay = step.replay
        // The nearest relatives that were measured: the same step, workload, kind of workload.
        let same = known.filter {
            $0.step == (replay?.step ?? step.id) && $0.workload == replay?.workload
        }
        let workload = known.filter { $0.workload != nil && $0.workload == replay?.workload }
        let kind = known.filter { $0.kind != nil && $0.kind == replay?.kind }
        let relatives =
            [same, step.phase == .healthy ? [] : workload, kind].first { !$0.isEmpty } ?? []
        guard !relatives.isEmpty else { return assumption(step) }
        let size = Self.size(step.bytes)
        let seconds = relatives.map { measurement in
            step.phase == .data
                ? measurement.duration.seconds * size / Self.size(measurement.bytes)
                : measurement.duration.seconds
        }.sorted()
        return Estimate(
            expected: TimeSpan(seconds: Self.quantile(seconds, 0.5)),
            shortest: TimeSpan(seconds: Self.quantile(seconds, 0.25)),
            longest: TimeSpan(seconds: Self.quantile(seconds, 0.75)), count: seconds.count)
    }

    /// Bytes to compare durations by: below a megabyte it is not the bytes that take the time.
    private static func size(_ bytes: ByteCount) -> Double {
        max(1_048_576, Double(bytes.bytes))
    }

    /// Without measurements: enough to order steps by, never enough to raise an alarm.
    private func assumption(_ step: PlannedStep) -> Estimate {
        let seconds =
            switch step.phase {
            case .prepare: 0.5
            case .data: 0.2 + Double(step.bytes.bytes) / 100e6
            case .start: 2.0
            case .check: 1.0
            case .healthy: step.checks.isEmpty ? 0 : 5.0
            }
        let span = TimeSpan(seconds: seconds)
        return Estimate(expected: span, shortest: span, longest: span, count: 0)
    }

    /// Fills in the steps' estimates and the plan's forecast, combined by the scheduler that will
    /// carry it out.
    func forecast(_ plan: inout RecoveryPlan, limits: RecoveryLimits) throws {
        let estimates = plan.steps.map { estimate($0) }
        for (place, estimate) in estimates.enumerated() {
            plan.steps[place].estimate = estimate.expected
            plan.steps[place].measurements = estimate.count
        }
        guard !plan.steps.isEmpty else { return }
        let graph = try plan.graph()
        let schedule = try plan.schedule(graph, limits: limits)
        func duration(_ choose: (Estimate) -> TimeSpan) throws -> TimeSpan {
            var changed = plan
            for (place, estimate) in estimates.enumerated() {
                changed.steps[place].estimate = choose(estimate)
            }
            return try GraphSchedule.simulate(
                changed.graph(), limits: limits.graphLimits, preference: schedule.preference
            ).duration
        }
        // A service without checks is healthy as soon as it is back: nothing to measure.
        let counted = plan.steps.filter { $0.phase != .healthy || !$0.checks.isEmpty }
        plan.forecast = RecoveryForecast(
            expected: schedule.duration, shortest: try duration(\.shortest),
            longest: try duration(\.longest),
            measuredSteps: counted.count { $0.measurements > 0 }, steps: counted.count,
            criticalPath: schedule.criticalPath(of: graph).map { plan.steps[$0].id })
    }

    private static func quantile(_ sorted: [Double], _ fraction: Double) -> Double {
        guard let last = sorted.last else { return 0 }
        let position = fraction * Double(sorted.count - 1)
        let index = Int(position)
        guard index + 1 < sorted.count else { return last }
        let part = position - Double(index)
        return sorted[index] * (1 - part) + sorted[index + 1] * part
    }
}
