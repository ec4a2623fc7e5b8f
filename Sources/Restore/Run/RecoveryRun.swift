import Catalog
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
        /// How many of the problems are damage of the repository.
        var damaged = 0
    }

    let plan: RecoveryPlan
    let services: [ServiceName: Service]
    let sources: RecoverySources
    let environment: RecoveryEnvironment

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

    /// Looks at the target, then brings everything back that can be.
    ///
    /// Cancelling the task ends the steps that run, starts no more, and still gives the report.
    ///
    /// - Parameters:
    ///   - run: The run's name.
    ///   - declared: When the outage began for the people concerned; nil for now.
    ///   - preparation: How long it took until the plan stood, without people; nil when unknown.
    ///   - findings: What ``preflight()`` found just before; nil to look now.
    ///   - replace: What exists already may be replaced.
    ///   - unattended: Nobody is there for manual steps.
    ///   - paths: What is kept for ``resume(_:findings:observe:)``: the only things wanted.
    ///   - observe: Called between events; must be quick.
    /// - Throws: ``RecoveryRefused`` when something stands in the way, `Failure` when there is
    ///   nothing to do: in both cases nothing was changed. Steps that fail are told by the report.
    public func execute(
        run: RunID = .random(), declared: Timestamp? = nil, preparation: TimeSpan? = nil,
        findings: [PlanFinding]? = nil,
        replace: Bool = false, unattended: Bool = false, paths: [String] = [],
        observe: @escaping @Sendable (RecoveryProgress) -> Void = { _ in }
    ) async throws -> RecoveryReport {
        let clock = RunClock(environment.timepiece, declared: declared)
        guard !plan.steps.isEmpty else {
            throw Failure(
                .failed, "nothing to bring back: no snapshot of any service was found",
                hint: "look at what the plan does not cover: dr plan", side: .repository)
        }
        let found: [PlanFinding]
        if let findings { found = findings } else { found = await preflight() }
        try refuse(found, replace: replace)
        let record = RunRecord(
            id: run, purpose: environment.purpose, host: environment.host,
            processID: environment.processID, version: environment.program,
            started: clock.wallStart)
        var orders = RecoveryOrders(declared: clock.declared)
        orders.replace = replace
        orders.unattended = unattended
        orders.privilegedMetadata = environment.context.privilegedMetadata
        orders.paths = paths
        orders.planned = clock.offset
        orders.sessions = [clock.session(environment.processID, boot: BootIdentity.current)]
        let locks = try hold(run)
        defer { for lock in locks { lock.release() } }
        let ledger = RecoveryLedger(
            environment.catalog, run: record, timepiece: environment.timepiece)
        await ledger.begin(
            plan, orders, existing: found.compactMap(\.name).filter { plan.names.contains($0) },
            documents: environment.documents)
        return try await carryOut(
            orders, record: record, clock: clock, ledger: ledger, findings: found, earlier: nil,
            preparation: preparation, observe: observe)
    }

    /// Goes on with a run that ended before all was done.
    ///
    /// What was proven done is not done again; what was half done is done again from its beginning.
    /// The clock goes on from the moment the outage was declared.
    ///
    /// - Parameters:
    ///   - earlier: The run, whose plan this one was made with.
    ///   - findings: What ``preflight(_:)`` found just before; nil to look now.
    /// - Throws: As ``execute(run:declared:preparation:findings:replace:unattended:paths:observe:)``; `Failure`
    ///   with code `busy` when a process still works on the run.
    public func resume(
        _ earlier: InterruptedRun, findings: [PlanFinding]? = nil, replace: Bool = false,
        observe: @escaping @Sendable (RecoveryProgress) -> Void = { _ in }
    ) async throws -> RecoveryReport {
        let boot = BootIdentity.current
        let clock = RunClock(
            resuming: earlier.orders, boot: boot, latest: earlier.latest, environment.timepiece)
        var orders = earlier.orders
        orders.replace = orders.replace || replace
        let found: [PlanFinding]
        if let findings { found = findings } else { found = await preflight(earlier) }
        try refuse(found, replace: orders.replace)
        let locks = try hold(earlier.record.id)
        defer { for lock in locks { lock.release() } }
        var record = earlier.record
        record.processID = environment.processID
        record.version = environment.program
        record.finished = nil
        record.result = nil
        orders.resumed.append(clock.offset)
        orders.sessions.append(clock.session(environment.processID, boot: boot))
        let ledger = RecoveryLedger(
            environment.catalog, run: record, timepiece: environment.timepiece,
            journal: earlier.journal)
        await ledger.resume(orders)
        return try await carryOut(
            orders, record: record, clock: clock, ledger: ledger, findings: found,
            earlier: earlier, observe: observe)
    }

    private func refuse(_ findings: [PlanFinding], replace: Bool) throws {
        let stops: Set<PlanFinding.Severity> = replace ? [.blocker] : [.blocker, .conflict]
        if findings.contains(where: { stops.contains($0.severity) }) {
            throw RecoveryRefused(findings, replace: replace)
        }
    }

    /// Keeps other processes from working on the same run, and from restoring to the same directory.
    private func hold(_ run: RunID) throws -> [RestoreLock] {
        guard let catalog = environment.catalog, !catalog.isInMemory else { return [] }
        let lock = try RestoreLock.acquire(run, in: catalog.directory)
        guard case .directory(let path) = plan.target else { return [lock] }
        do {
            return [lock, try RestoreLock.acquire(target: path, in: catalog.directory)]
        } catch {
            lock.release()
            throw error
        }
    }

    private func carryOut(
        _ orders: RecoveryOrders, record: RunRecord, clock: RunClock, ledger: RecoveryLedger,
        findings: [PlanFinding], earlier: InterruptedRun?, preparation: TimeSpan? = nil,
        observe: @escaping @Sendable (RecoveryProgress) -> Void
    ) async throws -> RecoveryReport {
        let proven = earlier?.proven ?? [:]
        let moved =
            orders.replace ? try await makeRoom(ledger, without: Set(proven.keys)) : []
        let disks = await disks(without: Set(proven.keys))
        let limits = environment.limits.graphLimits(for: disks.values)
        let graph = try plan.graph(without: Set(proven.keys), disks: disks)
        let firstReads = FirstReads()
        let failedAttempts = FailedAttempts()
        let steps = Dictionary(uniqueKeysWithValues: plan.steps.map { ($0.id, $0) })
        let executor = GraphExecutor(
            graph, limits: limits,
            preference: try plan.schedule(graph, limits: limits).preference,
            timepiece: environment.timepiece)
        let readyTimes = ReadyTimes(graph, at: clock.offset)
        let results = try await executor.run(
            observe: { observe(RecoveryProgress(elapsed: clock.offset, event: .moved($0))) }
        ) { id, attempt -> StepOutput in
            guard let step = steps[id] else { throw CancellationError() }
            let start = clock.offset
            let ready = readyTimes.begin(id, at: start)
            let attempts = (earlier?.attempts[id] ?? 0) + attempt
            await ledger.began(step, at: start, attempt: attempts)
            var output: StepOutput
            do {
                output = try await perform(
                    step, replace: orders.replace, ledger: ledger.names(of: step),
                    onWords: {
                        observe(
                            RecoveryProgress(
                                elapsed: clock.offset, event: .said(step: step.id, words: $0)))
                    },
                    onRead: { firstReads.note(step.services, at: clock.offset) })
            } catch {
                failedAttempts.note(error, attempt: attempts, of: id)
                throw error
            }
            output.notes += failedAttempts.notes(of: id)
            output.attempts = max(output.attempts, attempts)
            var report = StepReport(step)
            report.state = .done
            report.isRepeated = earlier?.repeated.contains(id) == true ? true : nil
            (report.ready, report.started, report.ended) = (ready.ready, ready.first, clock.offset)
            (report.bytes, report.attempts) = (output.bytes, output.attempts)
            (report.notes, report.problems) = (output.notes, output.problems)
            await ledger.proven(
                ProvenStep(
                    report: report,
                    firstRead: step.services.compactMap { firstReads.all[$0] }.min(),
                    damaged: output.damaged))
            readyTimes.end(id, at: clock.offset)
            return output
        }
        var builder = ReportBuilder(
            plan: plan, record: record, clock: clock, findings: findings,
            isCancelled: Task.isCancelled)
        builder.planned = orders.planned
        builder.preparation = earlier == nil ? preparation : nil
        builder.proven = proven
        builder.wasReported = earlier?.record.finished != nil
        builder.paths = orders.paths
        builder.resumed = orders.resumed
        builder.repeated = earlier?.repeated ?? []
        builder.firstReads = firstReads.all
        builder.failedAttempts = failedAttempts
        for step in proven.values {
            guard let read = step.firstRead else { continue }
            for service in step.report.services {
                builder.firstReads[service] = min(builder.firstReads[service] ?? read, read)
            }
        }
        var report = builder.report(results)
        report.notes += moved
        if let trouble = ledger.trouble {
            report.notes.append("this run is not in the catalog: \(trouble)")
        }
        try report.validate()
        await ledger.finish(
            report, measurements: builder.measurements(report, at: clock.wallStart),
            summary: builder.summary(report))
        return report
    }

    /// Lets what will be replaced make room, one workload after the other.
    private func makeRoom(_ ledger: RecoveryLedger, without done: Set<String>) async throws
        -> [String]
    {
        var notes: [String] = []
        for group in groups(without: done) {
            var context = context
            context.replace = true
            context.ledger = ledger.names(of: nil)
            notes += try await environment.driverFor(group.replay.kind).makeRoom(
                for: group.steps, from: try await sources.source(group.replay.snapshot),
                service: service(group.replay.service), target: try ReplayTarget(of: plan),
                context: context)
        }
        return notes
    }

    private func perform(
        _ step: PlannedStep, replace: Bool, ledger: any NameLedger,
        onWords: @escaping @Sendable (String) -> Void, onRead: @escaping @Sendable () -> Void
    ) async throws -> StepOutput {
        if environment.failing.contains(step.id) {
            throw Failure(
                .failed, "failed on purpose, to see what becomes of the rest", side: .local)
        }
        if let message = step.message { return try await ask(message) }
        guard let replay = step.replay, let made = ReplayStep(step) else {
            return try await check(step)
        }
        let source = try await sources.source(replay.snapshot)
        var context = environment.context
        context.replace = replace
        context.ledger = ledger
        context.planned = plan.names
        context.report = onWords
        let isData = step.phase == .data
        let damage = DamageCount()
        let metered = MeteredSource(base: source, damage: damage) { if isData { onRead() } }
        let outcome = try await environment.driverFor(replay.kind).perform(
            made, from: metered,
            service: service(replay.service), target: try ReplayTarget(of: plan),
            context: context)
        if isData, let sample = environment.sample {
            let places = try await environment.driverFor(replay.kind).restoredPlaces(
                of: made, from: source, service: service(replay.service),
                target: try ReplayTarget(of: plan), context: context)
            do {
                try await sample.compare(places, with: source, step: step.id)
            } catch var failure as Failure {
                // What the repository could not give is why something differs.
                failure.cause = failure.cause ?? outcome.problems.first
                throw failure
            }
        }
        // What the repository has lost stays lost; what there was no room for can still come back.
        if damage.isFull {
            throw Failure(
                .noSpace, "a disk is full: \(outcome.problems.first ?? "no space left on device")",
                hint: "make room there, then go on with dr restore --resume", side: .target)
        }
        return StepOutput(
            bytes: outcome.bytes, notes: outcome.notes, problems: outcome.problems,
            damaged: damage.total)
    }

    /// Waits for a person.
    private func ask(_ message: String) async throws -> StepOutput {
        guard let person = environment.person else {
            throw Failure(
                .failed, "nobody is there to do it: \(printable(message.utf8))",
                hint: "run dr restore --resume on a terminal", side: .target)
        }
        try await person(message)
        return StepOutput()
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

    func service(_ name: ServiceName) -> Service {
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
