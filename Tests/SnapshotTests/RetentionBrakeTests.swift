import Model
import Snapshot
import TestSupport
import Testing

/// Times that retention must not believe.
@Suite struct RetentionBrakeTests {
    private let workload = WorkloadID(text: "site/files:files")
    private let today = Timestamp(rfc3339: "2026-11-22T12:00:00Z") ?? Timestamp(nanoseconds: 0)

    private func days(_ count: Double) -> TimeSpan { TimeSpan(seconds: count * 86400) }
    private func ago(_ count: Double) -> Timestamp { today + days(-count) }

    private func candidate(_ asOf: Timestamp, stored: Timestamp? = nil) -> RetentionCandidate {
        RetentionCandidate(
            snapshot: .random(), workload: workload, asOf: asOf, stored: stored ?? asOf)
    }

    /// A snapshot every night, of the last `count` nights.
    private func nights(_ count: Int) -> [RetentionCandidate] {
        (0..<count).map { candidate(ago(Double($0) + 0.4)) }
    }

    /// What is forgotten by `policy`.
    private func forgotten(
        _ policy: RetentionPolicy, _ candidates: [RetentionCandidate], now: Timestamp,
        confirmed: Timestamp? = nil
    ) -> Set<SnapshotID> {
        let brake = RetentionBrake(now: now, storeNow: now, confirmed: confirmed)
        let verdict = brake.look(at: candidates, within: policy.within)
        let hold = verdict.everything + [verdict.workloads[workload]].compactMap { $0 }
        return Set(
            policy.decide(candidates, now: now, doubtful: verdict.doubtful, hold: hold)
                .filter { !$0.isKept }.map(\.snapshot))
    }

    @Test func ordinaryNightsAreBelieved() {
        let policy = RetentionPolicy(daily: 7)
        #expect(forgotten(policy, nights(30), now: today).count == 23)
        // So are hourly backups, and those to a disk that is plugged in once a month.
        let hourly = (0..<200).map { candidate(ago(Double($0) / 24 + 0.01)) }
        #expect(forgotten(RetentionPolicy(last: 5), hourly, now: today).count == 195)
        let monthly = (0..<12).map { candidate(ago(Double($0) * 33)) }
        #expect(forgotten(RetentionPolicy(last: 5), monthly, now: today).count == 7)
    }

    @Test(arguments: [-400.0, -40, 40, 400])
    func aClockThatJumpsRemovesNothing(by jump: Double) {
        // The nights before the jump, then nights with the wrong clock.
        let policy = RetentionPolicy(last: 2, daily: 2, within: days(10))
        let before = nights(20)
        var all = before
        for night in 0..<10 {
            let now = today + days(jump + Double(night) + 0.5)
            all.append(candidate(now))
            let gone = forgotten(policy, all, now: now)
            #expect(gone.isEmpty, "night \(night) after a jump of \(jump) days: \(gone.count)")
        }
    }

    @Test func aPauseIsOverAfterEnoughNightsOrAWord() {
        let policy = RetentionPolicy(last: 3)
        let old = (0..<20).map { candidate(ago(Double($0) + 100)) }
        let few = old + nights(5)
        #expect(forgotten(policy, few, now: today).isEmpty)
        #expect(forgotten(policy, few, now: today, confirmed: today).count == 22)
        let many = old + nights(15)
        #expect(forgotten(policy, many, now: today).count == 32)
    }

    @Test func aFloodTakesNobodysPlace() {
        // Somebody with a stolen key writes a hundred snapshots, dated as he likes.
        var random = SeededRandom.announced()
        let legitimate = nights(30)
        let rules = [
            RetentionPolicy(last: 7), RetentionPolicy(daily: 7, weekly: 4),
            RetentionPolicy(within: days(8)),
        ]
        for policy in rules {
            let usual = forgotten(policy, legitimate, now: today)
            for kind in 0..<3 {
                let flood = (0..<100).map { _ in
                    switch kind {
                    // At the end of every past day, just now, in the future.
                    case 0:
                        candidate(
                            ago(Double(Int.random(in: 0..<40, using: &random))),
                            stored: ago(0.01))
                    case 1: candidate(ago(Double.random(in: 0..<0.2, using: &random)))
                    default:
                        candidate(
                            today + days(Double.random(in: 2..<900, using: &random)),
                            stored: ago(0.01))
                    }
                }
                let gone = forgotten(policy, legitimate + flood, now: today)
                let lost = gone.intersection(legitimate.map(\.snapshot)).subtracting(usual)
                #expect(lost.isEmpty, "\(lost.count) legitimate ones lost, kind \(kind)")
            }
        }
    }

    @Test func clocksThatDifferHoldEverything() {
        let brake = RetentionBrake(now: today, storeNow: today + days(3))
        #expect(brake.look(at: nights(30), within: nil).everything.count == 1)
    }

    @Test func aRepositoryThatWasCopiedIsNotAFlood() {
        // All records have the time of the copy; nights go on after it.
        let copied = (0..<60).map { candidate(ago(Double($0) + 4), stored: ago(3.5)) }
        var brake = RetentionBrake(now: today, storeNow: today)
        #expect(brake.look(at: copied + nights(3), within: nil).doubtful.count == 60)
        brake.moved = ago(3.6)
        #expect(brake.look(at: copied + nights(3), within: nil) == .init())
    }
}
