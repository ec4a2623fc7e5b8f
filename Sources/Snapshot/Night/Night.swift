import CLinux
import Engine
import Glibc
import Model
import Repository
import Synchronization
import Workloads

/// One run while it goes on: carries out the nodes of its plan.
final class Night: Sendable {
    struct State {
        var begun = 0
        var starts: [WorkloadID: TimeSpan] = [:]
        var attempts: [WorkloadID: Int] = [:]
        var saved: Set<WorkloadID> = []
        /// When everything of a group was at rest.
        var moments: [String: Timestamp] = [:]
        var quiesced: [String: [any Quiesced]] = [:]
        var hookFailures: [BackupSummary.HookFailure] = []
        /// What concerns the whole run; nothing more is begun then.
        var fatal: Failure?
        var stop: (@Sendable () -> Void)?
    }

    let parts: BackupRun.Parts
    let plan: NightPlan
    let writing: WritingRun
    let run: RunID
    let tags: [String]
    let history: NightHistory
    let began: TimeSpan
    let report: @Sendable (BackupEvent) -> Void
    let releases = NightReleases()
    let stored = StoredBytes()
    let state = Mutex(State())
    let journal: CatalogRestJournal

    init(
        parts: BackupRun.Parts, plan: NightPlan, writing: WritingRun, run: RunID, tags: [String],
        history: NightHistory, began: TimeSpan, report: @escaping @Sendable (BackupEvent) -> Void
    ) {
        self.parts = parts
        self.plan = plan
        self.writing = writing
        self.run = run
        self.tags = tags
        self.history = history
        self.began = began
        self.report = report
        journal = CatalogRestJournal(
            catalog: parts.catalog, run: run, timepiece: parts.timepiece)
    }

    var fatal: Failure? { state.withLock { $0.fatal } }
    var hookFailures: [BackupSummary.HookFailure] { state.withLock { $0.hookFailures } }

    /// Carries the plan out. When this returns nothing runs any more, and nothing is at rest.
    ///
    /// - Returns: What became of each node, by id.
    func carryOut() async throws -> [String: GraphExecutor.NodeResult<BackupSummary.Item?>] {
        let executor = GraphExecutor(
            plan.graph, limits: plan.limits, preference: plan.preference,
            timepiece: parts.timepiece, deadline: parts.rules.deadline)
        let work = Task {
            try await executor.run(observe: observe) { id, attempt in
                try await self.perform(id, attempt)
            }
        }
        state.withLock { $0.stop = { work.cancel() } }
        let results = try await withTaskCancellationHandler {
            try await work.value
        } onCancel: {
            work.cancel()
        }
        for failure in await releases.releaseAll() { note(failure, of: nil) }
        return Dictionary(results.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    private func perform(_ id: String, _ attempt: Int) async throws -> BackupSummary.Item? {
        switch plan.works[id] {
        case .capture(let workload, let id, let service):
            return try await capture(workload, id, of: service, attempt: attempt)
        case .before(let service): try await before(service)
        case .quiesce(let group): try await quiesce(group)
        case .release(let group):
            for failure in await releases.release("group \(group.name)") { note(failure, of: nil) }
        case .after(let service):
            for failure in await releases.release("service \(service.name)") {
                note(failure, of: service.name)
            }
        case nil: break
        }
        return nil
    }

    private func observe(_ moment: GraphExecutor.Moment) {
        for progress in moment.progress {
            guard case .failed(let id, let error, let pause) = progress,
                case .capture(_, let workload, _) = plan.works[id]
            else { continue }
            if error is CancellationError { continue }
            let failure = Failure(wrapping: error)
            if let pause {
                report(.retrying(workload, failure, after: pause))
            } else {
                report(.failed(workload, failure, took: took(workload)))
            }
        }
    }

    /// Since the first attempt began.
    func took(_ workload: WorkloadID) -> TimeSpan {
        let now = parts.timepiece.monotonic
        return state.withLock { state in state.starts[workload].map { now - $0 } ?? .zero }
    }

    /// Ends the run: what it would write is not taken any more.
    func end(_ failure: Failure) {
        let stop = state.withLock { state in
            if state.fatal == nil { state.fatal = failure }
            return state.stop
        }
        stop?()
    }

    func note(_ failure: Failure, of service: ServiceName?) {
        state.withLock {
            $0.hookFailures.append(BackupSummary.HookFailure(service: service, failure: failure))
        }
        report(.hookFailed(service, failure))
    }

    // MARK: Hooks

    private func before(_ service: Service) async throws {
        let hooks = service.hooks
        let variables = ["DR_SERVICE": service.name.text]
        await releases.add("service \(service.name)") { [self] in
            await after(service, variables)
        }
        try await hookRunner.run(
            "before", hooks.before, timeout: hooks.timeout, variables: variables)
    }

    private var hookRunner: HookRunner {
        HookRunner(programs: parts.programs, environment: ["DR_RUN": "\(run)"])
    }

    /// The hooks after the captures, with what these came to.
    private func after(_ service: Service, _ variables: [String: String]) async -> [Failure] {
        let captures = plan.captures.filter { $0.service.name == service.name }.map(\.id)
        let isSaved = state.withLock { state in captures.allSatisfy(state.saved.contains) }
        var variables = variables
        variables["DR_RESULT"] = isSaved ? "saved" : "failed"
        var failures: [Failure] = []
        var todo = [("after", service.hooks.after)]
        if !isSaved { todo.append(("failed", service.hooks.failed)) }
        for (name, words) in todo {
            do {
                try await hookRunner.run(
                    name, words, timeout: service.hooks.timeout, variables: variables)
            } catch {
                failures.append(Failure(wrapping: error).during("\(service.name)"))
            }
        }
        return failures
    }

    // MARK: Groups

    private func quiesce(_ group: NightPlan.Group) async throws {
        let key = "group \(group.name)"
        for service in group.services {
            for workload in service.workloads {
                let id = WorkloadID(
                    service: service.name, kind: workload.kind, name: workload.name)
                let workload = try await withoutDumped(workload, context(for: id))
                let quiesced = try await parts.driverFor(workload.kind)
                    .quiesce(workload, of: service, context: context(for: id))
                guard let quiesced else { continue }
                await releases.add(key) { await quiesced.release().map { [$0] } ?? [] }
                state.withLock { $0.quiesced[group.name, default: []].append(quiesced) }
            }
        }
        let moment = parts.timepiece.wall
        state.withLock { $0.moments[group.name] = moment }
    }

    /// What drivers get to know and may use.
    func context(for workload: WorkloadID, of service: Service? = nil) -> WorkloadContext {
        var context = parts.context
        context.report = { [report] in report(.said(workload, $0)) }
        context.rests = journal
        if let group = service?.group {
            context.quiesced = state.withLock { $0.quiesced[group] ?? [] }
        }
        return context
    }

    /// Leaves out what a dump of another workload holds.
    func withoutDumped(
        _ workload: WorkloadSpecification, _ context: WorkloadContext
    ) async throws -> WorkloadSpecification {
        guard case .docker(var docker) = workload else { return workload }
        docker.dumpedMounts = try await parts.dumpedMounts(docker, context)
        docker.excludedMounts += docker.dumpedMounts
        return .docker(docker)
    }
}
