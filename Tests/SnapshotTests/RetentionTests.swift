import Model
import Snapshot
import Testing

@Suite struct RetentionTests {
    private let workload = WorkloadID(text: "site/files:files")

    private func candidate(_ time: String, good: Bool = true, pinned: Bool = false)
        -> RetentionCandidate
    {
        RetentionCandidate(
            snapshot: .random(), workload: workload,
            asOf: Timestamp(rfc3339: time) ?? Timestamp(nanoseconds: 0), isGood: good,
            isPinned: pinned)
    }

    private func kept(_ policy: RetentionPolicy, _ candidates: [RetentionCandidate], now: String)
        -> [String]
    {
        policy.decide(candidates, now: Timestamp(rfc3339: now) ?? Timestamp(nanoseconds: 0))
            .filter(\.isKept).map { "\($0.asOf)" }
    }

    @Test func eachPeriodKeepsItsNewest() {
        let candidates = [
            "2026-11-22T03:00:00Z", "2026-11-21T23:59:59Z", "2026-11-21T03:00:00Z",
            "2026-11-16T03:00:00Z", "2026-11-15T03:00:00Z", "2026-10-31T03:00:00Z",
            "2026-10-01T03:00:00Z",
        ].map { candidate($0) }
        // Two days: the 22nd and the newest of the 21st. Two weeks: the 16th is the Monday of the
        // week of the 22nd, so the week before ends with the 15th. Two months: November has its
        // newest, October the 31st.
        let policy = RetentionPolicy(daily: 2, weekly: 2, monthly: 2)
        #expect(
            kept(policy, candidates, now: "2026-11-22T12:00:00Z") == [
                "2026-11-22T03:00:00Z", "2026-11-21T23:59:59Z", "2026-11-15T03:00:00Z",
                "2026-10-31T03:00:00Z",
            ])
    }

    @Test func theLastGoodOneStaysWhateverTheRulesSay() {
        let candidates = [candidate("2020-01-01T00:00:00Z")]
        let policy = RetentionPolicy(within: TimeSpan(seconds: 86400))
        #expect(kept(policy, candidates, now: "2026-11-22T12:00:00Z").count == 1)
    }

    @Test func aBadNewestHoldsTheGoodOnes() {
        let candidates = [
            candidate("2026-11-22T03:00:00Z", good: false),
            candidate("2026-11-21T03:00:00Z", good: false),
            candidate("2026-11-20T03:00:00Z"), candidate("2026-11-19T03:00:00Z"),
        ]
        #expect(
            kept(RetentionPolicy(last: 1), candidates, now: "2026-11-22T12:00:00Z") == [
                "2026-11-22T03:00:00Z", "2026-11-21T03:00:00Z", "2026-11-20T03:00:00Z",
            ])
    }

    @Test func pinnedOnesStayAndSayWhy() {
        let candidates = [
            candidate("2026-11-22T03:00:00Z"), candidate("2026-01-01T03:00:00Z", pinned: true),
            candidate("2025-01-01T03:00:00Z"),
        ]
        let decisions = RetentionPolicy(last: 1).decide(
            candidates, now: Timestamp(rfc3339: "2026-11-22T12:00:00Z") ?? candidates[0].asOf)
        #expect(decisions.map(\.reasons) == [["last good one", "last 1"], ["pinned"], []])
    }

    @Test func withoutRulesEverythingStays() {
        let candidates = [candidate("2026-11-22T03:00:00Z"), candidate("2016-11-22T03:00:00Z")]
        #expect(kept(RetentionPolicy(), candidates, now: "2026-11-22T12:00:00Z").count == 2)
    }

    @Test func manySnapshotsFromTheFutureDoNotPushOutThePresent() {
        // Somebody who can write snapshots dates them as he likes; "within" still holds.
        let future = (1...50).map { candidate("2027-01-01T00:00:\($0 < 10 ? "0" : "")\($0)Z") }
        let candidates = future + [candidate("2026-11-22T03:00:00Z")]
        let policy = RetentionPolicy(daily: 7)
        #expect(
            kept(policy, candidates, now: "2026-11-22T12:00:00Z").contains("2026-11-22T03:00:00Z"))
    }
}
