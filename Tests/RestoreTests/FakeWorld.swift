import Engine
import Model
import Restore
import Synchronization
import TestSupport
import Workloads

/// Systems that exist only in a test: what they do takes a stated time.
final class FakeWorld: Sendable {
    struct State {
        var steps: [WorkloadID: [ReplayStep]] = [:]
        var seconds: [String: Double] = [:]
        /// By step: how often it fails, and with what.
        var failures: [String: (times: Int, failure: Failure)] = [:]
        /// By step: what it fails with behind those.
        var laterFailures: [String: Failure] = [:]
        var problems: [String: [String]] = [:]
        var findings: [WorkloadID: [PreflightFinding]] = [:]
        /// Where steps write, by their ids within the workload.
        var places: [WorkloadID: [String: String]] = [:]
        /// By check: how often it says no.
        var unhealthy: [String: Int] = [:]
        /// Every step that was begun, in order.
        var performed: [String] = []
        var replaced: Set<Bool> = []
        /// Names that were the run's own when their step began.
        var redone: Set<String> = []
        /// What people were asked to do.
        var asked: [String] = []
    }

    let clock = ManualTimepiece(wall: FakeWorld.now)
    private let state = Mutex(State())

    static let now = Timestamp(nanoseconds: 1_795_312_800_000_000_000)
    static let repository = RepositoryID(words: (1, 2, 3, 4))

    func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }
    var performed: [String] { state.withLock { $0.performed } }
    var replaced: Set<Bool> { state.withLock { $0.replaced } }
    var redone: Set<String> { state.withLock { $0.redone } }
    var asked: [String] { state.withLock { $0.asked } }

    var sourceFor: SourceProvider { { FakeSource(snapshot: $0) } }
    var driverFor: DriverProvider { { FakeDriver(kind: $0, world: self) } }

    var planner: Planner {
        Planner(repository: Self.repository, sourceFor: sourceFor, driverFor: driverFor)
    }

    func steps(of workload: WorkloadID) -> [ReplayStep] {
        state.withLock { $0.steps[workload] ?? [] }
    }

    func findings(of workload: WorkloadID) -> [PreflightFinding] {
        state.withLock { $0.findings[workload] ?? [] }
    }

    func places(of workload: WorkloadID) -> [String: String] {
        state.withLock { $0.places[workload] ?? [:] }
    }

    func perform(_ id: String, bytes: ByteCount, replace: Bool) async throws -> ReplayOutcome {
        let (seconds, failure, problems) = state.withLock { state in
            state.performed.append(id)
            state.replaced.insert(replace)
            var failure: Failure?
            if let (times, known) = state.failures[id], times > 0 {
                state.failures[id] = (times - 1, known)
                failure = known
            } else {
                failure = state.laterFailures[id]
            }
            return (state.seconds[id] ?? 1, failure, state.problems[id] ?? [])
        }
        try await clock.sleep(for: TimeSpan(seconds: seconds))
        if let failure { throw failure }
        return ReplayOutcome(bytes: bytes, problems: problems)
    }

    func verdict(_ check: CheckSpecification) -> HealthVerdict {
        state.withLock { state in
            guard let times = state.unhealthy[check.summary], times > 0 else { return .healthy }
            state.unhealthy[check.summary] = times - 1
            return .unhealthy("answered 502")
        }
    }
}

struct FakeSource: ReplaySource {
    let snapshot: SnapshotRecord

    func document(_ part: String) async throws -> [UInt8] { [] }
    func stream(_ part: String, to descriptor: Int32) async throws -> UInt64 { 0 }
    func tree(_ part: String, to path: String, options: TreeReplayOptions) async throws
        -> TreeReplaySummary
    { TreeReplaySummary() }
    func archive(_ part: String, called name: String, to descriptor: Int32) async throws
        -> TreeReplaySummary
    { TreeReplaySummary() }
}

struct FakeDriver: WorkloadDriver {
    let kind: WorkloadKind
    let world: FakeWorld

    func capture(
        _ workload: WorkloadSpecification, of service: Service, into sink: any CaptureSink,
        context: WorkloadContext
    ) async throws -> CaptureOutcome { CaptureOutcome(consistency: .application) }

    func replaySteps(
        for source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [ReplayStep] { world.steps(of: source.snapshot.workload) }

    func preflight(
        _ steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [PreflightFinding] { world.findings(of: source.snapshot.workload) }

    func places(
        of steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [String: String] { world.places(of: source.snapshot.workload) }

    func perform(
        _ step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> ReplayOutcome {
        if step.phase == .data { _ = try await source.document("x") }
        for name in step.makes {
            world.change { if context.ledger.isOwn(name) { $0.redone.insert(name) } }
            await context.ledger.claim(name)
        }
        return try await world.perform(
            "\(source.snapshot.workload)/\(step.id)", bytes: step.bytes, replace: context.replace)
    }
}

struct FakeProbe: HealthProbe {
    let world: FakeWorld
    func probe(_ check: CheckSpecification) async throws -> HealthVerdict { world.verdict(check) }
}

struct NoSecrets: SecretReader {
    func read(_ source: SecretSource) async throws -> String { "" }
}
