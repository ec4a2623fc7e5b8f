import Catalog
import Engine
import Model
import Repository
import Snapshot
import Synchronization
import TestSupport
import Testing
import Workloads

@Suite("Jobs of a night")
struct NightRunTests {
    /// A clock on which chosen pauses pass at once, and nothing else ever does.
    private final class PassingTimepiece: Timepiece {
        private let passing: Set<TimeSpan>
        private let state = Mutex((now: TimeSpan.zero, passed: [TimeSpan]()))
        private let start = Timestamp(nanoseconds: 1_795_312_800_000_000_000)

        init(_ passing: [Double]) { self.passing = Set(passing.map { TimeSpan(seconds: $0) }) }

        var monotonic: TimeSpan { state.withLock { $0.now } }
        var wall: Timestamp { start + monotonic }
        var passed: [Double] { state.withLock { $0.passed.map(\.seconds) } }

        func sleep(for span: TimeSpan) async throws {
            guard passing.contains(span) else { return try await Task.sleep(for: .seconds(3600)) }
            state.withLock {
                $0.now += span
                $0.passed.append(span)
            }
        }
    }

    /// Captures as it is told, by service.
    private struct ToldDriver: WorkloadDriver {
        let kind = WorkloadKind.postgres
        let read: @Sendable (ServiceName) async throws -> Void

        func capture(
            _ workload: WorkloadSpecification, of service: Service, into sink: any CaptureSink,
            context: WorkloadContext
        ) async throws -> CaptureOutcome {
            try await read(service.name)
            try await sink.document("a", [1, 2, 3], attributes: [:])
            return CaptureOutcome(consistency: .application)
        }

        func replaySteps(
            for source: any ReplaySource, service: Service, target: ReplayTarget
        ) async throws -> [ReplayStep] { [] }

        func preflight(
            _ steps: [ReplayStep], from source: any ReplaySource, service: Service,
            target: ReplayTarget, context: WorkloadContext
        ) async throws -> [PreflightFinding] { [] }

        func perform(
            _ step: ReplayStep, from source: any ReplaySource, service: Service,
            target: ReplayTarget, context: WorkloadContext
        ) async throws -> ReplayOutcome { ReplayOutcome() }
    }

    private func night(
        _ services: [Service], rules: NightRules, clock: PassingTimepiece,
        _ capture: @escaping @Sendable (ServiceName) async throws -> Void
    ) async throws -> BackupSummary {
        try await TemporaryDirectory.with("night") { scratch in
            let repository = try await BackupRepository.create(
                in: MemoryStore(), credential: .key([UInt8](repeating: 1, count: 32)),
                label: "test")
            let catalog = try await Catalog.open(
                at: scratch.path("catalog"), repository: repository.id)
            let parts = BackupRun.Parts(
                repository: repository, index: MemoryChunkIndex(), catalog: catalog,
                driverFor: { _ in ToldDriver(read: capture) }, rules: rules,
                context: WorkloadContext(secrets: MemorySecrets()), timepiece: clock,
                host: "test", version: "test")
            return try await BackupRun(parts).run(services)
        }
    }

    private func service(_ name: String, on host: String = "db.example.org") -> Service {
        Service(
            name: ServiceName(name),
            workloads: [
                .postgres(PostgresSpecification(server: .url("postgresql://\(host)/postgres")))
            ])
    }

    @Test("What may pass is tried again after 10 s and 40 s, by the run's own clock")
    func backoff() async throws {
        let clock = PassingTimepiece([10, 40, 160])
        let attempts = Mutex<[String: Int]>([:])
        let summary = try await night(
            ["passing", "lasting", "lost"].map { service($0) }, rules: NightRules(), clock: clock
        ) { name in
            let attempt = attempts.withLock { attempts in
                attempts[name.text, default: 0] += 1
                return attempts[name.text] ?? 0
            }
            switch name.text {
            case "passing" where attempt < 3, "lost":
                throw Failure(.failed, "away", side: .source, isTransient: true)
            case "lasting": throw Failure(.failed, "no such table", side: .source)
            default: return
            }
        }
        #expect(attempts.withLock { $0 } == ["passing": 3, "lasting": 1, "lost": 3])
        #expect(clock.passed.sorted() == [10, 10, 40, 40])
        let items = Dictionary(
            uniqueKeysWithValues: summary.items.map { ($0.service.text, $0) })
        #expect(items["passing"]?.failure == nil && items["passing"]?.attempts == 3)
        #expect(items["lasting"]?.failure?.message == "no such table")
        #expect(items["lost"]?.failure != nil && items["lost"]?.attempts == 3)
        #expect(summary.exitCode == .partial)
    }

    @Test("No machine does more at once than it may, and another does not wait for it")
    func perHost() async throws {
        struct State {
            var running: [String: Int] = [:]
            var most: [String: Int] = [:]
            var together = 0
        }
        let state = Mutex(State())
        var rules = NightRules()
        rules.jobs = 8
        rules.jobsPerHost = 2
        let services =
            (1...6).map { service("a\($0)", on: "a.example.org") }
            + (1...3).map { service("b\($0)", on: "b.example.org:5433") }
        let summary = try await night(services, rules: rules, clock: PassingTimepiece([])) { name in
            let host = String(name.text.prefix(1))
            state.withLock { state in
                state.running[host, default: 0] += 1
                state.most[host] = max(state.most[host] ?? 0, state.running[host] ?? 0)
                state.together = max(state.together, state.running.values.reduce(0, +))
            }
            // Two of each machine meet, or it takes too long.
            let limit = ContinuousClock.now + .seconds(10)
            while state.withLock({ $0.together }) < 4, ContinuousClock.now < limit {
                try await Task.sleep(for: .milliseconds(1))
            }
            state.withLock { $0.running[host, default: 0] -= 1 }
        }
        #expect(summary.exitCode == .done)
        #expect(summary.items.count == 9)
        #expect(state.withLock { $0.most } == ["a": 2, "b": 2])
        #expect(state.withLock { $0.together } == 4)
    }
}
