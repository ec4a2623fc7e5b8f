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
    /// What a number of bytes costs, by kind of workload.
    private let costs: [WorkloadKind: DataCost]
    /// What comes before the first step: reading the catalog, planning, looking at the target.
    private let preparation: Estimate
    /// Bytes a second at which the repository was read back; nil when it never was.
    private let readRate: Double?

    init(_ measurements: [Measurement]) {
        // A few bytes say nothing about a rate.
        let reads = measurements.filter {
            $0.subject == PlanRequest.readingSubject && $0.duration > .zero
                && $0.bytes.bytes > 16 << 20
        }
        .map { Double($0.bytes.bytes) / $0.duration.seconds }.sorted()
        readRate = reads.isEmpty ? nil : reads.quantile(0.5)
        bySubject = Dictionary(grouping: measurements.filter { $0.duration > .zero }, by: \.subject)
        let data = Dictionary(grouping: bySubject[Self.subject(of: .data)] ?? []) { $0.kind }
        var costs: [WorkloadKind: DataCost] = [:]
        for case (let kind?, let known) in data { costs[kind] = DataCost(known) }
        self.costs = costs
        let before = Self.newest(bySubject[PlanRequest.planningSubject] ?? [])
        preparation = Self.estimate(from: before.map(\.duration.seconds).sorted())
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
        let nearest =
            [same, step.phase == .healthy ? [] : workload, kind].first { !$0.isEmpty } ?? []
        let relatives = Self.newest(nearest)
        guard !relatives.isEmpty else { return assumption(step) }
        let cost = replay.flatMap { costs[$0.kind] } ?? DataCost.proportional
        let seconds = relatives.map { measurement in
            step.phase == .data
                ? measurement.duration.seconds * cost.ratio(step.bytes, to: measurement.bytes)
                : measurement.duration.seconds
        }
        return Self.estimate(from: seconds.sorted())
    }

    private static func newest(_ measurements: [Measurement]) -> ArraySlice<Measurement> {
        measurements.sorted { $0.at > $1.at }.prefix(remembered)
    }

    /// - Parameter seconds: In ascending order; nothing for nothing.
    private static func estimate(from seconds: [Double]) -> Estimate {
        guard !seconds.isEmpty else {
            return Estimate(expected: .zero, shortest: .zero, longest: .zero, count: 0)
        }
        let expected = seconds.quantile(0.5)
        // Few measurements say little of what the next one will be: one alone leaves half to double.
        let doubt = 1 + max(0.15, 1 / Double(seconds.count))
        return Estimate(
            expected: TimeSpan(seconds: expected),
            shortest: TimeSpan(seconds: min(seconds.quantile(0.1), expected / doubt)),
            longest: TimeSpan(seconds: max(seconds.quantile(0.9), expected * doubt)),
            count: seconds.count)
    }

    /// How many of the newest measurements count: machines and disks change.
    private static let remembered = 12

    /// Without measurements of a restore, what reading back took: enough to order steps by, never enough to raise an alarm.
    private func assumption(_ step: PlannedStep) -> Estimate {
        let seconds =
            switch step.phase {
            case .prepare: 0.5
            case .data: 0.2 + Double(step.bytes.bytes) / max(1e6, readRate ?? 100e6)
            case .start: 2.0
            case .check: 1.0
            case .manual: 60.0
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
        let schedule = try plan.schedule(graph, limits: limits.graphLimits)
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
            expected: preparation.expected + schedule.duration,
            shortest: try preparation.shortest + duration(\.shortest),
            longest: try preparation.longest + duration(\.longest),
            measuredSteps: counted.count { $0.measurements > 0 }, steps: counted.count,
            criticalPath: schedule.criticalPath(of: graph).map { plan.steps[$0].id })
        let ends = Dictionary(uniqueKeysWithValues: zip(plan.steps.map(\.id), schedule.ends))
        for place in plan.services.indices {
            let service = plan.services[place]
            let end = ends[StepAssembly.healthyID(service.name)].map { preparation.expected + $0 }
            plan.services[place].expected = end
            guard plan.forecast?.isMeasured == true, let end, let rto = service.objectives.rto,
                rto != plan.objectives.rto, end > rto
            else { continue }
            plan.notes.append(
                "\(service.name) would be back after about \(end), its objective is \(rto)")
        }
    }
}
