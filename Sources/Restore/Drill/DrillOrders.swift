public import Catalog
import Engine
public import Model

/// What a drill was told and knew before it began; kept with the run, so that one that was killed
/// leaves evidence too.
public struct DrillOrders: Sendable, Codable {
    public var identity: DrillReport.Identity
    public var scenario: DrillReport.Scenario
    public var inputs: [DrillReport.Input]
    /// What nothing in the drill could answer.
    public var skipped: [DrillReport.Verification]
    /// How long its result counts.
    public var interval: TimeSpan
    /// The Docker Engine that it was carried out in; nil for this machine's.
    public var engine: String?
    /// How long today's size would take, from what was measured before.
    public var estimate: TimeSpan?

    public init(
        identity: DrillReport.Identity, scenario: DrillReport.Scenario, interval: TimeSpan
    ) {
        self.identity = identity
        self.scenario = scenario
        self.interval = interval
        inputs = []
        skipped = []
    }

    public static let documentName = "drill.json"

    /// The evidence of a drill.
    ///
    /// - Parameter earlier: Of this catalog.
    public func report(
        _ recovery: RecoveryReport, verdict: DrillVerdict, cleanup: DrillCleanup,
        deviations: [String], at end: Timestamp, verified: TimeSpan?, earlier: EvidenceChain
    ) -> DrillReport {
        var identity = identity
        identity.ended = end
        var verdict = verdict
        verdict.verification += skipped
        let outcome = verdict.outcome(
            of: recovery, cleanup: cleanup, failsOnPurpose: !scenario.failing.isEmpty)
        let isPassed = [.done, .objectiveMissed].contains(outcome) && scenario.isWhole
        let attestation = DrillReport.Attestation(
            isPassed: isPassed, expires: end + interval,
            keeps: isPassed ? inputs.map(\.snapshot) : [])
        var report = DrillReport(
            identity: identity, scenario: scenario, attestation: attestation, recovery: recovery)
        report.inputs = inputs
        report.objectives.services = Dictionary(
            recovery.services.map { ($0.name.text, $0.objectives) }
        ) { first, _ in first }
        report.timeline.verified = verified
        report.results.outcome = outcome
        report.verification = verdict.verification
        report.deviations = deviations
        report.cleanup = cleanup
        report.actions = earlier.openActions
        report.trend = DrillReport.Trend(
            drills: earlier.drills.suffix(Self.trendLength).map(DrillReport.Trend.Point.init)
                + [DrillReport.Trend.Point(report)])
        report.trend.estimate = estimate
        return report
    }

    /// Drills that a trend goes back.
    private static let trendLength = 11
}

/// A drill whose process ended before its evidence was written.
public struct UnfinishedDrill: Sendable {
    public let record: RunRecord
    public let plan: RecoveryPlan
    public let orders: DrillOrders
    /// As far as it came.
    public let recovery: RecoveryReport
    /// Names that it was about to make.
    public let names: [String]

    /// Those of a catalog that no evidence tells of.
    public static func all(
        in catalog: Catalog, without known: Set<RunID>
    ) async throws -> [UnfinishedDrill] {
        var found: [UnfinishedDrill] = []
        for record in try await catalog.runs(.drill, limit: 10_000) where !known.contains(record.id)
        {
            guard let plan = try await catalog.document(Catalog.planName, of: record.id),
                let orders = try await catalog.document(DrillOrders.documentName, of: record.id)
            else { continue }
            found.append(
                try await UnfinishedDrill(
                    record, StableJSON.decode(RecoveryPlan.self, from: plan),
                    StableJSON.decode(DrillOrders.self, from: orders), catalog))
        }
        return found.reversed()
    }

    private init(
        _ record: RunRecord, _ plan: RecoveryPlan, _ orders: DrillOrders, _ catalog: Catalog
    ) async throws {
        self.record = record
        self.plan = plan
        self.orders = orders
        names = try await catalog.journal(of: record.id).filter { $0.kind == .making }.map(\.name)
        if let report = try await catalog.report(of: record.id) {
            recovery = report
        } else {
            recovery = Self.report(record, plan, try await catalog.steps(of: record.id))
        }
    }

    /// What is known of a recovery that wrote no report.
    private static func report(
        _ record: RunRecord, _ plan: RecoveryPlan, _ steps: [StepRecord]
    ) -> RecoveryReport {
        var report = RecoveryReport(
            run: record.id, purpose: .drill, target: plan.target, host: record.host,
            program: record.version, declared: record.started)
        let known = Dictionary(steps.map { ($0.id, $0) }) { first, _ in first }
        report.steps = plan.steps.map { planned in
            var step = StepReport(planned)
            let record = known[planned.id]
            step.started = record?.started
            step.ended = record?.ended
            step.bytes = record?.bytes ?? step.bytes
            step.attempts = record?.attempts ?? 0
            step.message = record?.message
            switch record?.state {
            case .done: step.state = .done
            case .failed: step.state = .failed
            case .running:
                step.state = .failed
                step.message = "the process was killed while it ran"
            case .waiting, .notExecuted, nil:
                step.state = .notExecuted
                step.message = step.message ?? "the process was killed before"
            }
            return step
        }
        report.ended = report.steps.compactMap(\.ended).max() ?? .zero
        report.wallEnded = report.ended
        report.objectives = plan.objectives
        report.uncovered = plan.uncovered
        report.services = plan.services.map { planned in
            var service = ServiceReport(
                name: planned.name, wave: planned.wave, state: .notExecuted,
                objectives: planned.objectives)
            service.snapshots = planned.snapshots
            service.causes = ["the process was killed"]
            return service
        }
        report.notes = ["the process was killed: what it wrote down is all that is known"]
        report.result = .interrupted
        return report
    }
}
