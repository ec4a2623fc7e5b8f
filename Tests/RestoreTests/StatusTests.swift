import Model
import Restore
import Testing

@Suite("What dr status says")
struct StatusTests {
    private func overview(
        _ stack: Stack, accepted: Set<SnapshotID> = [], plan: RecoveryPlan? = nil,
        reports: [RecoveryReport] = []
    ) -> StatusOverview {
        StatusOverview(
            at: FakeWorld.now, repository: FakeWorld.repository, services: stack.services,
            snapshots: stack.snapshots, accepted: accepted, plan: plan, reports: reports)
    }

    private func state(of name: ServiceName, _ overview: StatusOverview) throws
        -> StatusOverview.Service
    { try #require(overview.services.first { $0.name == name }) }

    @Test("The oldest of a service's workloads counts, by its last good snapshot")
    func ages() async throws {
        var stack = Stack()
        stack.services[2].objectives.rpo = TimeSpan(seconds: 4 * 3600)
        #expect(overview(stack).result == .done)
        #expect(try state(of: "umami-db", overview(stack)).age == TimeSpan(seconds: 3 * 3600))

        // A newer one that is suspicious changes nothing about the age, and is told.
        var newer = Stack.snapshot(
            7, "umami-db", .postgres, "umami-db", run: Stack.run(2), hoursOld: 1)
        newer.suspicions = ["no rows"]
        stack.snapshots.append(newer)
        let doubtful = overview(stack)
        #expect(try state(of: "umami-db", doubtful).state == .doubtful)
        #expect(try state(of: "umami-db", doubtful).age == TimeSpan(seconds: 3 * 3600))
        #expect(doubtful.result == .partial)
        let accepted = overview(stack, accepted: [newer.id])
        #expect(accepted.result == .done)

        stack.services[2].objectives.rpo = TimeSpan(seconds: 2 * 3600)
        #expect(try state(of: "umami-db", overview(stack)).state == .overdue)
        #expect(overview(stack).result == .failed)

        stack.snapshots.removeAll { $0.kind == .postgres }
        #expect(try state(of: "umami-db", overview(stack)).state == .missing)
        #expect(try state(of: "umami-db", overview(stack)).age == nil)
    }

    @Test("A snapshot from the future makes nothing recent")
    func future() throws {
        var stack = Stack()
        stack.services[2].objectives.rpo = TimeSpan(seconds: 2 * 3600)
        stack.snapshots.append(
            Stack.snapshot(
                7, "umami-db", .postgres, "umami-db", run: Stack.run(2), hoursOld: -25))
        #expect(try state(of: "umami-db", overview(stack)).state == .overdue)
        #expect(try state(of: "umami-db", overview(stack)).age == TimeSpan(seconds: 3 * 3600))
        // Without any other there is nothing that could be trusted.
        stack.snapshots.removeAll { $0.kind == .postgres && $0.asOf < FakeWorld.now }
        let service = try state(of: "umami-db", overview(stack))
        #expect(service.state == .missing)
        #expect(service.workloads.contains { $0.problem == "dated in the future" })
    }

    @Test("A forecast over the objective is said, one that nothing was measured for is not")
    func forecasts() async throws {
        let stack = Stack()
        let objectives = Objectives(rto: TimeSpan(seconds: 5))
        let assumed = try await stack.plan { $0.objectives = objectives }
        #expect(!overview(stack, plan: assumed).isTooSlow)
        let report = try await stack.execute { $0.objectives = objectives }
        let measured = try await stack.plan {
            $0.objectives = objectives
            $0.measurements = [
                Measurement(
                    subject: "restore.data", kind: .postgres, step: "database:umami",
                    bytes: ByteCount(400 << 20), duration: TimeSpan(seconds: 100),
                    at: FakeWorld.now)
            ]
        }
        let found = overview(stack, plan: measured, reports: [report])
        #expect(found.isTooSlow)
        let proxy = try state(of: "caddy", found)
        #expect(proxy.isTooSlow)
        #expect(try #require(proxy.forecast) >= TimeSpan(seconds: 100))
        #expect(proxy.proof?.run == report.run)
        #expect(proxy.proof?.recoveryTime == report.services.last?.recoveryTime)
        // What does not wait for the database is quick enough: its own objective decides.
        #expect(try !state(of: "site", found).isTooSlow)
    }

    @Test("The latest nights are told with what each held, took and lacked")
    func trend() throws {
        func night(_ number: UInt64, _ kind: WorkloadKind, bytes: UInt64, from: Double, to: Double)
            -> SnapshotRecord
        {
            var snapshot = Stack.snapshot(
                number, "umami", kind, "umami", run: Stack.run(number), hoursOld: 0)
            snapshot.asOf = FakeWorld.now + TimeSpan(seconds: Double(number) * 86400 + from)
            snapshot.finished = FakeWorld.now + TimeSpan(seconds: Double(number) * 86400 + to)
            snapshot.statistics.bytes = ByteCount(bytes)
            return snapshot
        }
        var snapshots: [SnapshotRecord] = []
        for number in (UInt64(0)..<20).reversed() {
            snapshots.append(night(number, .docker, bytes: 1000 + number, from: 2, to: 5))
            // The database of the seventh night is not there.
            if number == 7 { continue }
            snapshots.append(night(number, .postgres, bytes: 5000, from: 0, to: 4))
        }
        let nights = StatusTrend(snapshots, workloads: 2).nights
        #expect(nights.map(\.run) == (6..<20).map { Stack.run(UInt64($0)) })
        #expect(nights.first?.bytes == ByteCount(6006))
        #expect(nights[1].bytes == ByteCount(1007))
        #expect(nights.map(\.missing) == [0, 1] + Array(repeating: 0, count: 12))
        #expect(nights.last?.duration == TimeSpan(seconds: 5))
        #expect(nights[1].duration == TimeSpan(seconds: 3))
    }

    @Test("Bars and gauges are as long as what they show")
    func bars() {
        #expect(sparkline([0, 50, 100]) == "▁▅█")
        #expect(sparkline([]) == "")
        #expect(sparkline([0, 0]) == "▁▁")
        #expect(gauge(0, width: 4) == "░░░░")
        #expect(gauge(0.5, width: 4) == "██░░")
        #expect(gauge(0.28125, width: 4) == "█▏░░")
        #expect(gauge(7, width: 4) == "████")
        #expect(gauge(-1, width: 4) == "░░░░")
    }
}
