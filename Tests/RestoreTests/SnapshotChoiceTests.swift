import Model
import Restore
import Testing

/// Which snapshot a plan takes, seen from the plan.
@Suite struct SnapshotChoiceTests {
    private let workload = WorkloadID(text: "site/files:files")

    /// Five nights of the files, the newest first; the application's from the middle night too.
    private func nights(_ change: (inout [SnapshotRecord]) -> Void = { _ in }) -> Stack {
        var stack = Stack()
        var nights: [SnapshotRecord] = []
        for night in 0..<5 {
            let number = UInt64(night)
            nights.append(
                Stack.snapshot(
                    100 + number, "site", .files, "files", run: Stack.run(10 + number),
                    hoursOld: Double(24 * night + 3)))
        }
        change(&nights)
        stack.snapshots = nights
        return stack
    }

    private func chosen(_ stack: Stack, _ change: (inout PlanRequest) -> Void = { _ in })
        async throws -> PlannedSnapshot?
    {
        try await stack.plan { request in
            request.names = ["site"]
            change(&request)
        }.services.first?.snapshots.first
    }

    @Test func theLatestGoodOneIsTaken() async throws {
        let stack = nights { nights in
            nights[0].suspicions = ["no files at all"]
            nights[1].omissions = ["/srv/www/log changed while it was read"]
        }
        let found = try #require(try await chosen(stack))
        #expect(found.snapshot == stack.snapshots[2].id)
        #expect(found.age == TimeSpan(seconds: 51 * 3600))
        #expect(found.remarks.count == 2)
        #expect(found.remarks[0].hasSuffix("not used: suspicious: no files at all"))
    }

    @Test func anAcceptedOneIsGood() async throws {
        let stack = nights { $0[0].suspicions = ["no files at all"] }
        let found = try #require(
            try await chosen(stack) { $0.accepted = [stack.snapshots[0].id] })
        #expect(found.snapshot == stack.snapshots[0].id)
        #expect(found.remarks == ["suspicious (accepted): no files at all"])
    }

    @Test func oneFromTheFutureIsOnlyTakenByNameOrForWantOfAnother() async throws {
        let ahead = FakeWorld.now + TimeSpan(seconds: 25 * 3600)
        let stack = nights { $0[0].asOf = ahead }
        let found = try #require(try await chosen(stack))
        #expect(found.snapshot == stack.snapshots[1].id)
        #expect(found.remarks.count == 1)
        #expect(found.remarks.first?.hasSuffix("not used: dated in the future") == true)
        let named = try await chosen(stack) { $0.moment = .snapshot(stack.snapshots[0].id) }
        #expect(named?.snapshot == stack.snapshots[0].id)
        let only = nights { nights in
            nights[0].asOf = ahead
            for index in nights.indices.dropFirst() { nights[index].suspicions = ["empty"] }
        }
        #expect(try await chosen(only)?.snapshot == only.snapshots[0].id)
        // Clocks may differ by a day.
        let near = nights { $0[0].asOf = FakeWorld.now + TimeSpan(seconds: 23 * 3600) }
        #expect(try await chosen(near)?.snapshot == near.snapshots[0].id)
    }

    @Test func aPartialOneIsBetterThanNone() async throws {
        let stack = nights { nights in
            for index in nights.indices { nights[index].omissions = ["one file"] }
        }
        let found = try #require(try await chosen(stack))
        #expect(found.snapshot == stack.snapshots[0].id)
        #expect(found.remarks == ["partial: one file"])
    }

    @Test func suspiciousOnesAreOnlyTakenByName() async throws {
        let stack = nights { nights in
            for index in nights.indices { nights[index].suspicions = ["empty"] }
        }
        let plan = try await stack.plan { $0.names = ["site"] }
        #expect(plan.steps.isEmpty)
        #expect(plan.uncovered.first?.reason.hasPrefix("only suspicious snapshots") == true)
        // Naming its run is not naming it.
        let byRun = try await chosen(stack) { $0.moment = .run(Stack.run(10)) }
        #expect(byRun == nil)
        let named = try await chosen(stack) { $0.moment = .snapshot(stack.snapshots[3].id) }
        #expect(named?.snapshot == stack.snapshots[3].id)
    }

    @Test func momentsAreReadAsPeopleWriteThem() throws {
        let stack = nights()
        func moment(_ text: String) throws -> RecoveryMoment {
            try RecoveryMoment(parsing: text, now: FakeWorld.now, among: stack.snapshots)
        }
        func time(_ text: String) throws -> RecoveryMoment {
            .time(try #require(Timestamp(rfc3339: text)))
        }
        // FakeWorld.now is 2026-11-22T02:00:00Z.
        #expect(try moment("latest") == .latest)
        #expect(try moment("2026-11-20T03:00:00+01:00") == time("2026-11-20T02:00:00Z"))
        #expect(try moment("2026-11-20 03:00") == time("2026-11-20T03:00:00Z"))
        #expect(try moment("2026-11-20") == time("2026-11-20T23:59:59.999999999Z"))
        #expect(try moment("6h ago") == time("2026-11-21T20:00:00Z"))
        #expect(try moment("yesterday 3am") == time("2026-11-21T03:00:00Z"))
        #expect(try moment("yesterday 11:30pm") == time("2026-11-21T23:30:00Z"))
        #expect(try moment("yesterday") == time("2026-11-21T23:59:59.999999999Z"))
        #expect(try moment(stack.snapshots[2].id.short) == .snapshot(stack.snapshots[2].id))
        #expect(try moment(stack.snapshots[2].run.description) == .run(stack.snapshots[2].run))
        for text in ["00000", "ffff", "yesterday 25:00", "soon", "abc"] {
            let failure = #expect(throws: Failure.self) { try moment(text) }
            #expect(failure?.code == .usage, "\(text)")
        }
    }

    @Test func earlierMomentsTakeEarlierSnapshots() async throws {
        let stack = nights()
        let before = FakeWorld.now + TimeSpan(seconds: -30 * 3600)
        #expect(
            try await chosen(stack) { $0.moment = .time(before) }?.snapshot
                == stack.snapshots[2].id)
        #expect(
            try await chosen(stack) { $0.moment = .run(Stack.run(13)) }?.snapshot
                == stack.snapshots[3].id)
        let plan = try await stack.plan { request in
            request.names = ["site"]
            request.moment = .time(FakeWorld.now + TimeSpan(seconds: -900 * 3600))
        }
        #expect(plan.uncovered.first?.reason.hasPrefix("no snapshot at or before") == true)
    }

    @Test func aGroupComesFromOneRecoveryPoint() async throws {
        var stack = Stack()
        for index in stack.services.indices { stack.services[index].group = "all" }
        // Another night, in which the database failed.
        let second = Stack.run(2)
        stack.snapshots += [
            Stack.snapshot(21, "umami", .docker, "umami", run: second, hoursOld: 1),
            Stack.snapshot(22, "site", .files, "files", run: second, hoursOld: 1),
        ]
        let plan = try await stack.plan()
        #expect(plan.services.flatMap(\.snapshots).allSatisfy { $0.run == stack.run })
    }
}
