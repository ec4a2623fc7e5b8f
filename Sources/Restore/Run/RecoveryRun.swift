import Engine
public import Model
import Workloads

/// Carries a plan out, on the clock.
public struct RecoveryRun: Sendable {
    /// What one step came to.
    struct StepOutput: Sendable {
        var bytes = ByteCount(0)
        var attempts = 1
        var notes: [String] = []
        var problems: [String] = []
    }

    let plan: RecoveryPlan
    private let services: [ServiceName: Service]
    private let sources: RecoverySources
    private let environment: RecoveryEnvironment

    /// - Parameters:
    ///   - services: Those of the configuration; one that is missing has no settings.
    ///   - snapshots: Records, among them those that the plan uses.
    public init(
        _ plan: RecoveryPlan, services: [Service], snapshots: [SnapshotRecord],
        environment: RecoveryEnvironment
    ) {
        self.plan = plan
        self.services = Dictionary(services.map { ($0.name, $0) }) { first, _ in first }
        sources = RecoverySources(snapshots, open: environment.sourceFor)
        self.environment = environment
    }

    /// All that stands in the way at the target, or may: what blocks first.
    ///
    /// What cannot even be asked is a blocker too.
    public func preflight() async -> [PlanFinding] {
        var groups: [(first: PlannedStep.Replay, steps: [ReplayStep])] = []
        for step in plan.steps {
            guard let replay = step.replay, let made = ReplayStep(step) else { continue }
            if let place = groups.firstIndex(where: { $0.first.workload == replay.workload }) {
                groups[place].steps.append(made)
            } else {
                groups.append((replay, [made]))
            }
        }
        var findings: [PlanFinding] = []
        for (replay, steps) in groups {
            do {
                let found = try await environment.driverFor(replay.kind).preflight(
                    steps, from: try await sources.source(replay.snapshot),
                    service: service(replay.service), target: try ReplayTarget(plan.target),
                    context: environment.context)
                findings += found.map { PlanFinding($0, service: replay.service) }
            } catch {
                let failure = Failure(wrapping: error)
                findings.append(
                    PlanFinding(
                        .blocker, service: replay.service,
                        "\(replay.workload): \(failure.description)", hint: failure.hint))
            }
        }
        var seen: Set<PlanFinding> = []
        let once = findings.filter { seen.insert($0).inserted }
        return once.enumerated().sorted {
            ($0.element.severity, $0.offset) < ($1.element.severity, $1.offset)
        }.map(\.element)
    }

    /// Looks at the target, then brings everything back that can be.
    ///
    /// Cancelling the task ends the steps that run, starts no more, and still gives the report.
    ///
    /// - Parameters:
    ///   - run: The run's name.
    ///   - declared: When the outage began for the people concerned; nil for now.
    ///   - findings: What ``preflight()`` found just before; nil to look now.
    ///   - replace: What exists already may be replaced.
    ///   - observe: Called between events; must be quick.
    /// - Throws: ``RecoveryRefused`` when something stands in the way, `Failure` when there is
    ///   nothing to do: in both cases nothing was changed. Steps that fail are told by the report.
    public func execute(
        run: RunID = .random(), declared: Timestamp? = nil, findings: [PlanFinding]? = nil,
        replace: Bool = false, observe: @escaping @Sendable (RecoveryProgress) -> Void = { _ in }
    ) async throws -> RecoveryReport {
        let clock = RunClock(environment.timepiece, declared: declared)
        guard !plan.steps.isEmpty else {
            throw Failure(
                .failed, "nothing to bring back: no snapshot of any service was found",
                hint: "look at what the plan does not cover: dr plan", side: .repository)
        }
        let graph = try plan.graph()
        let found: [PlanFinding]
        if let findings { found = findings } else { found = await preflight() }
        let stops: Set<PlanFinding.Severity> = replace ? [.blocker] : [.blocker, .conflict]
        if found.contains(where: { stops.contains($0.severity) }) {
            throw RecoveryRefused(found, replace: replace)
        }
        let record = RunRecord(
            id: run, purpose: .restore, host: environment.host,
            processID: environment.processID, version: environment.program,
            started: clock.wallStart)
        let ledger = RecoveryLedger(
            environment.catalog, run: record, timepiece: environment.timepiece)
        await ledger.begin(plan)
        let firstReads = FirstReads()
        let planned = clock.offset
        let steps = Dictionary(uniqueKeysWithValues: plan.steps.map { ($0.id, $0) })
        let executor = GraphExecutor(
            graph, limits: environment.limits.graphLimits,
            preference: try plan.schedule(graph, limits: environment.limits).preference,
            timepiece: environment.timepiece)
        let results = try await executor.run(
            observe: { observe(RecoveryProgress(elapsed: clock.offset, moment: $0)) }
        ) { id, attempt -> StepOutput in
            guard let step = steps[id] else { throw CancellationError() }
            let start = clock.offset
            await ledger.began(step, at: start, attempt: attempt)
            let output = try await perform(step, replace: replace) {
                firstReads.note(step.services, at: clock.offset)
            }
            await ledger.proven(step, output.bytes, from: start, to: clock.offset)
            return output
        }
        var builder = ReportBuilder(
            plan: plan, record: record, clock: clock, findings: found,
            isCancelled: Task.isCancelled)
        builder.planned = planned
        builder.firstReads = firstReads.all
        var report = builder.report(results)
        if let trouble = ledger.trouble {
            report.notes.append("this run is not in the catalog: \(trouble)")
        }
        try report.validate()
        await ledger.finish(
            report, measurements: builder.measurements(report, at: clock.wallStart),
            summary: builder.summary(report))
        return report
    }

    private func perform(
        _ step: PlannedStep, replace: Bool, onRead: @escaping @Sendable () -> Void
    ) async throws -> StepOutput {
        guard let replay = step.replay, let made = ReplayStep(step) else {
            return try await check(step)
        }
        let source = try await sources.source(replay.snapshot)
        var context = environment.context
        context.replace = replace
        let isData = step.phase == .data
        let metered = MeteredSource(base: source) { if isData { onRead() } }
        let outcome = try await environment.driverFor(replay.kind).perform(
            made, from: metered,
            service: service(replay.service), target: try ReplayTarget(plan.target),
            context: context)
        return StepOutput(
            bytes: outcome.bytes, notes: outcome.notes, problems: outcome.problems)
    }

    /// The checks of a service one after the other; the first that fails decides.
    private func check(_ step: PlannedStep) async throws -> StepOutput {
        var output = StepOutput()
        let gate = HealthGate(probe: environment.probe, timepiece: environment.timepiece)
        for check in step.checks {
            output.attempts = max(output.attempts, try await gate.wait(for: check.check))
        }
        return output
    }

    private func service(_ name: ServiceName) -> Service {
        services[name] ?? Service(name: name, workloads: [])
    }
}

extension ReplayStep {
    /// The driver's step behind a planned one; nil when there is none.
    init?(_ step: PlannedStep) {
        guard let replay = step.replay, let phase = step.phase.replay else { return nil }
        self.init(
            id: replay.step, title: step.title, needs: replay.needs, bytes: step.bytes,
            phase: phase, makes: step.makes)
    }
}

extension PlanFinding {
    init(_ finding: PreflightFinding, service: ServiceName) {
        let severity: Severity =
            switch finding.severity {
            case .blocker: .blocker
            case .conflict: .conflict
            case .warning: .warning
            }
        self.init(severity, service: service, finding.message, hint: finding.hint)
    }
}
