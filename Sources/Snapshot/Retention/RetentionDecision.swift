public import Model

/// Why a snapshot is kept, or that it is not.
public struct RetentionDecision: Sendable, Hashable, Codable {
    public var snapshot: SnapshotID
    public var workload: WorkloadID
    public var asOf: Timestamp
    /// In words, for example `daily 2026-11-21`; empty when it may go.
    public var reasons: [String]

    public var isKept: Bool { !reasons.isEmpty }
}

/// What retention needs to know of one snapshot.
public struct RetentionCandidate: Sendable, Hashable {
    public var snapshot: SnapshotID
    public var workload: WorkloadID
    public var asOf: Timestamp
    /// Neither suspicious (unless accepted) nor partial.
    public var isGood: Bool
    /// A person said that it stays.
    public var isPinned: Bool

    public init(
        snapshot: SnapshotID, workload: WorkloadID, asOf: Timestamp, isGood: Bool, isPinned: Bool
    ) {
        self.snapshot = snapshot
        self.workload = workload
        self.asOf = asOf
        self.isGood = isGood
        self.isPinned = isPinned
    }
}

extension RetentionPolicy {
    /// Whether any rule is set; without one everything is kept.
    public var isSet: Bool {
        last > 0 || daily > 0 || weekly > 0 || monthly > 0 || yearly > 0 || within != nil
    }

    /// Decides for every snapshot of any number of workloads.
    ///
    /// Rules count good snapshots only, newest first, each period by its newest. Kept whatever the
    /// rules say: pinned ones; the last good one of each workload; and, as long as the newest
    /// snapshot of a workload is suspicious or partial, everything of that workload that is not older
    /// than its last good one. Times are compared with `now` or with the newest snapshot, whichever
    /// is later; a snapshot from the future counts as of `now`.
    ///
    /// - Returns: A decision for each candidate, by workload, newest first.
    public func decide(_ candidates: [RetentionCandidate], now: Timestamp) -> [RetentionDecision] {
        var decisions: [RetentionDecision] = []
        let groups = Dictionary(grouping: candidates, by: \.workload)
        for workload in groups.keys.sorted() {
            let newestFirst = (groups[workload] ?? []).sorted {
                ($0.asOf, $0.snapshot) > ($1.asOf, $1.snapshot)
            }
            decisions += decide(workload, newestFirst, now: now)
        }
        return decisions
    }

    private func decide(
        _ workload: WorkloadID, _ newestFirst: [RetentionCandidate], now: Timestamp
    ) -> [RetentionDecision] {
        var reasons: [SnapshotID: [String]] = [:]
        func keep(_ candidate: RetentionCandidate, _ reason: String) {
            reasons[candidate.snapshot, default: []].append(reason)
        }
        let good = newestFirst.filter(\.isGood)
        for candidate in newestFirst {
            if !isSet { keep(candidate, "no retention is configured") }
            if candidate.isPinned { keep(candidate, "pinned") }
        }
        if let last = good.first { keep(last, "last good one") }
        if let newest = newestFirst.first, !newest.isGood {
            let limit = good.first?.asOf ?? newestFirst[newestFirst.count - 1].asOf
            for candidate in newestFirst where candidate.asOf >= limit {
                keep(candidate, "the newest one is not good")
            }
        }
        for candidate in good.prefix(last) { keep(candidate, "last \(last)") }
        if let within {
            let newest = max(now, newestFirst.first?.asOf ?? now)
            for candidate in good where newest - candidate.asOf <= within {
                keep(candidate, "within \(within)")
            }
        }
        for rule in periods {
            var seen: Set<String> = []
            for candidate in good {
                let period = rule.name(candidate.asOf)
                guard seen.count < rule.count || seen.contains(period) else { break }
                if seen.insert(period).inserted { keep(candidate, "\(rule.label) \(period)") }
            }
        }
        return newestFirst.map {
            RetentionDecision(
                snapshot: $0.snapshot, workload: workload, asOf: $0.asOf,
                reasons: reasons[$0.snapshot] ?? [])
        }
    }

    private struct PeriodRule {
        var label: String
        var count: Int
        var name: (Timestamp) -> String
    }

    private var periods: [PeriodRule] {
        [
            PeriodRule(label: "daily", count: daily) { String("\($0)".prefix(10)) },
            PeriodRule(label: "weekly", count: weekly) { Self.week($0) },
            PeriodRule(label: "monthly", count: monthly) { String("\($0)".prefix(7)) },
            PeriodRule(label: "yearly", count: yearly) { String("\($0)".prefix(4)) },
        ].filter { $0.count > 0 }
    }

    /// ISO 8601 week: belongs to the year of its Thursday.
    private static func week(_ time: Timestamp) -> String {
        let date = time.date
        let day = Timestamp.days(year: date.year, month: date.month, day: date.day)
        // 1970-01-01 was a Thursday: days since a Monday, 0 to 6.
        let weekday = ((day + 3) % 7 + 7) % 7
        let thursday = day - weekday + 3
        let year = Timestamp(seconds: thursday * 86400, nanoseconds: 0).date.year
        let first = Timestamp.days(year: year, month: 1, day: 1)
        let number = (thursday - first) / 7 + 1
        return "\(year)-W\(number < 10 ? "0" : "")\(number)"
    }
}
