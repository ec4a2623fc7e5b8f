import Model
import Snapshot
import Testing

@Suite struct RetentionTests {
    private let workload = WorkloadID(text: "site/files:files")

    private func candidate(
        _ time: String, _ quality: RetentionCandidate.Quality = .good, pinned: Bool = false
    ) -> RetentionCandidate {
        RetentionCandidate(
            snapshot: .random(), workload: workload,
            asOf: Timestamp(rfc3339: time) ?? Timestamp(nanoseconds: 0), quality: quality,
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

    @Test func aSuspiciousNewestHoldsEverything() {
        let candidates = [
            candidate("2026-11-22T03:00:00Z", .suspicious),
            candidate("2026-11-21T03:00:00Z", .suspicious),
            candidate("2026-11-20T03:00:00Z"), candidate("2026-09-19T03:00:00Z"),
        ]
        let policy = RetentionPolicy(last: 1, within: TimeSpan(seconds: 86400))
        #expect(kept(policy, candidates, now: "2026-11-22T12:00:00Z").count == 4)
        // A good one after them: what was suspicious has had its time.
        let better = [candidate("2026-11-23T03:00:00Z")] + candidates
        #expect(
            kept(RetentionPolicy(last: 1), better, now: "2026-11-23T12:00:00Z")
                == ["2026-11-23T03:00:00Z"])
    }

    @Test func partialOnesStandInAndPushNothingOut() {
        let candidates = [
            candidate("2026-11-22T03:00:00Z", .partial),
            candidate("2026-11-21T03:00:00Z", .partial), candidate("2026-11-20T04:00:00Z"),
            candidate("2026-11-20T03:00:00Z", .partial), candidate("2026-11-19T03:00:00Z"),
            candidate("2026-11-18T03:00:00Z"),
        ]
        #expect(
            kept(RetentionPolicy(daily: 2), candidates, now: "2026-11-22T12:00:00Z") == [
                "2026-11-22T03:00:00Z", "2026-11-21T03:00:00Z", "2026-11-20T04:00:00Z",
                "2026-11-19T03:00:00Z",
            ])
        // Where nothing is ever whole, retention still works.
        let partial = (10...19).map { candidate("2026-11-\($0)T03:00:00Z", .partial) }
        #expect(kept(RetentionPolicy(daily: 3), partial, now: "2026-11-22T12:00:00Z").count == 3)
    }

    @Test func aClockThatStandsStillLosesNothing() {
        let candidates = (0..<5).map { _ in candidate("2026-11-22T03:00:00Z") }
        #expect(
            kept(RetentionPolicy(last: 1), candidates, now: "2026-11-22T03:00:00Z").count == 5)
    }

    @Test func pinnedOnesStayAndSayWhy() {
        let candidates = [
            candidate("2026-11-22T03:00:00Z"), candidate("2026-01-01T03:00:00Z", pinned: true),
            candidate("2025-01-01T03:00:00Z"),
        ]
        let decisions = RetentionPolicy(last: 1).decide(
            candidates, now: Timestamp(rfc3339: "2026-11-22T12:00:00Z") ?? candidates[0].asOf)
        #expect(
            decisions.map(\.reasons) == [
                ["last good snapshot of site/files:files", "last 1"], ["pinned"], [],
            ])
        #expect(decisions[2].explanation == "no rule keeps it")
    }

    @Test func theMachineIsNamedWhereThereAreSeveral() {
        let decisions = RetentionPolicy(last: 1).decide(
            [candidate("2026-11-22T03:00:00Z")],
            now: Timestamp(rfc3339: "2026-11-22T12:00:00Z") ?? Timestamp(nanoseconds: 0),
            host: "a")
        #expect(
            decisions.map(\.reasons) == [["last good snapshot of site/files:files on a", "last 1"]])
    }

    @Test func withoutRulesEverythingStays() {
        let candidates = [candidate("2026-11-22T03:00:00Z"), candidate("2016-11-22T03:00:00Z")]
        #expect(kept(RetentionPolicy(), candidates, now: "2026-11-22T12:00:00Z").count == 2)
    }
}
