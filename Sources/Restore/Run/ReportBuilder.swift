import Engine
import Model

/// Makes a report of what was planned and what became of it.
struct ReportBuilder {
    typealias Result = GraphExecutor.NodeResult<RecoveryRun.StepOutput>

    let plan: RecoveryPlan
    let record: RunRecord
    let clock: RunClock
    let findings: [PlanFinding]
    let isCancelled: Bool
    var planned = TimeSpan.zero
    /// How long it took until the plan stood, without people; nil when that is not known.
    var preparation: TimeSpan?
    /// What earlier processes of the run did.
    var proven: [String: ProvenStep] = [:]
    /// The run ended before with a report: what was measured then is known.
    var wasReported = false
    /// Steps that had been done before the machine was started again.
    var repeated: Set<String> = []
    /// The single paths that were all that was wanted; empty when services were.
    var paths: [String] = []
    /// When the run was taken up again.
    var resumed: [TimeSpan] = []
    var firstReads: [ServiceName: TimeSpan] = [:]
    var failedAttempts = FailedAttempts()

    init(
        plan: RecoveryPlan, record: RunRecord, clock: RunClock, findings: [PlanFinding],
        isCancelled: Bool
    ) {
        self.plan = plan
        self.record = record
        self.clock = clock
        self.findings = findings
        self.isCancelled = isCancelled
    }

    func report(_ results: [Result]) -> RecoveryReport {
        var report = RecoveryReport(
            run: record.id, purpose: record.purpose, target: plan.target, host: record.host,
            program: record.version, declared: clock.declared)
        report.began = clock.began
        report.ended = clock.offset
        report.wallEnded = clock.wallOffset
        report.objectives = plan.objectives
        report.uncovered = plan.uncovered
        report.findings = findings
        report.forecast = plan.forecast
        report.notes = plan.notes
        let drift = (report.wallEnded - report.ended).seconds
        if abs(drift) > max(2, report.ended.seconds * 0.01) {
            report.notes.append(
                "the time of day was set by \(TimeSpan(seconds: drift)) during the run;"
                    + " durations are not affected")
        }
        if clock.isBridged {
            report.notes.append(
                "the machine was started again in between: the time until the run went on is by"
                    + " the time of day")
        }
        let byID = Dictionary(results.map { ($0.id, $0) }) { first, _ in first }
        report.steps = plan.steps.map { planned in
            if let proven = proven[planned.id] { return proven.report }
            guard let result = byID[planned.id] else { return StepReport(planned) }
            return step(planned, result)
        }
        report.resumed = resumed.isEmpty ? nil : resumed
        report.humanWaiting = humanWaiting(report.steps)
        report.services = plan.services.map { service($0, report.steps) }
        report.paths = paths.isEmpty ? nil : paths
        report.milestones = milestones(
            report.steps, firstByte: firstReads.values.min(), whole: true)
        // What did not come back is down for ever and lost whole: then there is no such figure.
        if !report.services.isEmpty, report.services.allSatisfy(\.isHealthy) {
            report.recoveryTime = report.services.compactMap(\.recoveryTime).max()
            report.recoveryPoint = report.services.compactMap(\.recoveryPoint).max()
        }
        report.criticalPath = criticalPath(report.steps)
        report.result = result(report, results)
        return report
    }

    private func step(_ planned: PlannedStep, _ result: Result) -> StepReport {
        var step = StepReport(planned)
        step.isRepeated = repeated.contains(planned.id) ? true : nil
        step.attempts = result.attempts
        step.ready = result.ready.map(clock.offset(of:))
        step.started = result.started.map(clock.offset(of:))
        step.ended = result.ended.map(clock.offset(of:))
        switch result.outcome {
        case .done(let output):
            step.state = .done
            step.bytes = output.bytes
            step.notes = output.notes
            step.problems = output.problems
            step.attempts = max(result.attempts, output.attempts)
        case .failed(let error):
            let failure = Failure(wrapping: error)
            step.state = .failed
            step.message = failure.description
            step.hint = failure.hint
            step.notes = failedAttempts.notes(of: planned.id).dropLast()
                .filter { !$0.hasSuffix(failure.description) }
        case .notExecuted(let cause):
            step.state = .notExecuted
            step.message = cause.map { "\($0) failed" } ?? "the run was ended before"
        }
        return step
    }

    private func service(_ planned: PlannedService, _ steps: [StepReport]) -> ServiceReport {
        let own = steps.filter { $0.services.contains(planned.name) }
        let missing = plan.uncovered.filter { $0.service == planned.name && $0.isWanted }
        let healthy = own.first { $0.phase == .healthy }
        var service = ServiceReport(
            name: planned.name, wave: planned.wave, state: .notCovered,
            objectives: planned.objectives)
        service.snapshots = planned.snapshots
        service.bytes = own.reduce(into: ByteCount(0)) { $0 += $1.bytes }
        service.milestones = milestones(own, firstByte: firstReads[planned.name], whole: false)
        service.causes = missing.map { "\($0.workload?.text ?? "all of it"): \($0.reason)" }
        for step in own {
            if step.state == .failed { service.causes.append("\(step.id): \(step.message ?? "")") }
            service.causes += step.problems.map { "\(step.id): \($0)" }
        }
        if planned.snapshots.isEmpty {
            // Its checks may have passed all the same: then nothing of it had been lost.
            service.state = healthy?.state == .failed ? .failed : .notCovered
            if missing.isEmpty, healthy?.state == .done { service.state = .recovered }
        } else if healthy?.state == .done {
            service.state = service.causes.isEmpty ? .recovered : .partial
        } else if own.contains(where: { $0.state == .failed }) {
            service.state = .failed
        } else {
            service.state = .notExecuted
            service.causes += own.compactMap(\.message).prefix(1)
        }
        // Some of its files are not the service: no time of recovery is proven by them.
        if service.isHealthy, paths.isEmpty {
            service.recoveryTime = healthy?.ended
            service.recoveryPoint = planned.asOf.map { max(.zero, clock.declared - $0) }
        }
        return service
    }

    /// - Parameter whole: All steps are meant: a milestone is only reached by all.
    private func milestones(_ steps: [StepReport], firstByte: TimeSpan?, whole: Bool)
        -> RecoveryMilestones
    {
        func last(_ phases: Set<PlannedStep.Phase>) -> TimeSpan? {
            let concerned = steps.filter { phases.contains($0.phase) }
            guard concerned.allSatisfy({ $0.state == .done }) else { return nil }
            return concerned.compactMap(\.ended).max()
        }
        var milestones = RecoveryMilestones()
        milestones.planned = whole ? planned : nil
        milestones.dataRestored = last([.data])
        milestones.started = last([.start])
        milestones.healthy = last([.healthy])
        milestones.firstByte = firstByte
        return milestones
    }

    /// From the last end back to the beginning: what each step waited for last.
    private func criticalPath(_ steps: [StepReport]) -> [String] {
        let ended = steps.filter { $0.ended != nil }
        let byID = Dictionary(uniqueKeysWithValues: ended.map { ($0.id, $0) })
        func end(_ step: StepReport) -> TimeSpan { step.ended ?? .zero }
        // Between equals the later one of the plan: what takes no time comes after what it needs.
        var current = ended.reduce(nil as StepReport?) { best, step in
            best.map { end($0) > end(step) } ?? false ? best : step
        }
        var path: [String] = []
        while let step = current {
            path.append(step.id)
            var before = step.needs.compactMap { byID[$0] }.max { end($0) < end($1) }
            if let ready = step.ready, let started = step.started, started > ready {
                // It waited for room that another one gave back.
                let giver = ended.filter {
                    $0.id != step.id && end($0) <= started && end($0) > ready
                }.max { end($0) < end($1) }
                before = giver ?? before
            }
            current = before
        }
        return path.reversed()
    }

    /// How long people were waited for while nothing else was done; nil without manual steps.
    private func humanWaiting(_ steps: [StepReport]) -> TimeSpan? {
        let manual = steps.filter { $0.phase == .manual }
        guard !manual.isEmpty else { return nil }
        var edges: [(at: TimeSpan, manual: Int, other: Int)] = []
        for step in steps {
            guard let started = step.started, let ended = step.ended else { continue }
            let change = step.phase == .manual ? (1, 0) : (0, 1)
            edges.append((started, change.0, change.1))
            edges.append((ended, -change.0, -change.1))
        }
        var waiting = TimeSpan.zero
        var (manuals, others, last) = (0, 0, TimeSpan.zero)
        for edge in edges.sorted(by: { $0.at < $1.at }) {
            if manuals > 0, others == 0 { waiting += edge.at - last }
            (manuals, others, last) = (manuals + edge.manual, others + edge.other, edge.at)
        }
        return waiting
    }

    private func result(_ report: RecoveryReport, _ results: [Result]) -> ExitCode {
        var codes: [ExitCode] = []
        var first: ExitCode?
        let phases = Dictionary(uniqueKeysWithValues: plan.steps.map { ($0.id, $0.phase) })
        for result in results {
            guard case .failed(let error) = result.outcome else { continue }
            let failure = Failure(wrapping: error)
            first = first ?? failure.code
            switch (failure.code, phases[result.id] ?? .data) {
            case (.damaged, _): codes.append(.damaged)
            case (_, .check), (_, .healthy): codes.append(.verificationFailed)
            default: codes.append(.partial)
            }
        }
        // Files that the repository has lost, although their step was done.
        for case .done(let output) in results.map(\.outcome) where output.damaged > 0 {
            codes.append(.damaged)
        }
        if proven.values.contains(where: { $0.damaged > 0 }) { codes.append(.damaged) }
        if isCancelled, report.steps.contains(where: { $0.state != .done }) { return .interrupted }
        if report.steps.contains(where: { $0.state == .notExecuted || !$0.problems.isEmpty })
            || report.uncovered.contains(where: \.isWanted)
        {
            codes.append(.partial)
        }
        let missed =
            [report.meetsRecoveryTime, report.meetsRecoveryPoint].contains(false)
            || report.services.contains {
                [$0.meetsRecoveryTime, $0.meetsRecoveryPoint].contains(false)
            }
        if missed { codes.append(.objectiveMissed) }
        let combined = ExitCode.combining(codes)
        // Nothing at all came back: that is not "partly".
        let isNothing = !report.services.contains(where: \.isHealthy)
        return combined == .partial && isNothing ? first ?? .failed : combined
    }

    /// Times for later forecasts: of steps that went well at the first attempt.
    func measurements(_ report: RecoveryReport, at moment: Timestamp) -> [Measurement] {
        let before = preparation.map {
            [Measurement(subject: PlanRequest.planningSubject, duration: $0, at: moment)]
        }
        return (before ?? [])
            + zip(plan.steps, report.steps).compactMap { planned, step in
                if wasReported, proven[planned.id] != nil { return nil }
                guard step.state == .done, step.attempts == 1 || step.phase == .healthy,
                    let duration = step.duration, duration > .zero,
                    step.phase != .healthy || !planned.checks.isEmpty
                else { return nil }
                return Measurement(
                    subject: Forecaster.subject(of: step.phase), workload: planned.replay?.workload,
                    kind: planned.replay?.kind,
                    step: originalName(planned.replay?.step ?? planned.id),
                    bytes: step.bytes, duration: duration, at: moment)
            }
    }

    /// A drill's times count for the originals.
    private func originalName(_ step: String) -> String {
        guard let place = plan.place, let isolation = place.isolation else { return step }
        return isolation.originalName(step)
    }

    /// One line for lists of runs.
    func summary(_ report: RecoveryReport) -> String {
        "\(ReportWords.extent(report)) on \(report.target)"
            + " in \(report.ended), \(report.bytes)"
    }
}
