public import Model

/// Why a snapshot is kept, or that it is not.
public struct RetentionDecision: Sendable, Hashable, Codable {
    public var snapshot: SnapshotID
    public var workload: WorkloadID
    public var asOf: Timestamp
    /// In words, for example `daily 2026-11-21`; empty when it may go.
    public var reasons: [String]
    /// How good it is, for the words of ``explanation``.
    public var quality: RetentionCandidate.Quality

    public var isKept: Bool { !reasons.isEmpty }

    /// Why it is kept or goes, in one line.
    public var explanation: String {
        if isKept { return reasons.joined(separator: ", ") }
        switch quality {
        case .good: return "no rule keeps it"
        case .partial: return "partial, and no rule keeps it"
        case .suspicious: return "suspicious, followed by better ones, and no rule keeps it"
        }
    }
}

/// What retention needs to know of one snapshot.
public struct RetentionCandidate: Sendable, Hashable {
    /// How far a snapshot is to be trusted.
    public enum Quality: String, Sendable, Codable, CaseIterable {
        /// Neither suspicious (unless accepted) nor partial.
        case good
        /// Something was left out or torn.
        case partial
        /// Not plausible, and nobody has accepted it.
        case suspicious
    }

    public var snapshot: SnapshotID
    public var workload: WorkloadID
    /// The machine that took it.
    public var host: String
    public var asOf: Timestamp
    public var quality: Quality
    /// A person said that it stays.
    public var isPinned: Bool
    /// The last drill that passed brought it back.
    public var isDrilled: Bool
    /// When the store took its record, by the store's clock; nil when that is not known.
    public var stored: Timestamp?

    public init(
        snapshot: SnapshotID, workload: WorkloadID, host: String = "", asOf: Timestamp,
        quality: Quality = .good, isPinned: Bool = false, isDrilled: Bool = false,
        stored: Timestamp? = nil
    ) {
        self.snapshot = snapshot
        self.workload = workload
        self.host = host
        self.asOf = asOf
        self.quality = quality
        self.isPinned = isPinned
        self.isDrilled = isDrilled
        self.stored = stored
    }
}

extension RetentionPolicy {
    /// Whether any rule is set; without one everything is kept.
    public var isSet: Bool {
        last > 0 || daily > 0 || weekly > 0 || monthly > 0 || yearly > 0 || within != nil
    }

    /// Decides for every snapshot of one workload that one machine took.
    ///
    /// Rules count good snapshots, newest first, each period by its newest. A partial one stands in
    /// where one of the newest periods has no good one; it never takes the place of a good one.
    /// Kept whatever the rules say: pinned ones; the last good one; everything, while `hold` says
    /// why, or while the newest snapshot is suspicious and nobody has accepted it. Two snapshots
    /// with one and the same time stand or fall together.
    ///
    /// - Parameters:
    ///   - doubtful: Snapshots whose times are not to be believed, and why: they are kept and take
    ///     no other's place.
    ///   - hold: Why nothing of this workload may go now.
    ///   - host: The machine, to be named because others save the same workload.
    /// - Returns: A decision for each candidate, newest first.
    public func decide(
        _ candidates: [RetentionCandidate], now: Timestamp,
        doubtful: [SnapshotID: String] = [:], hold: [String] = [], host: String? = nil
    ) -> [RetentionDecision] {
        let newestFirst = candidates.sorted { ($0.asOf, $0.snapshot) > ($1.asOf, $1.snapshot) }
        var reasons: [SnapshotID: [String]] = [:]
        func keep(_ candidate: RetentionCandidate, _ reason: String) {
            let isPartial = candidate.quality == .partial
            reasons[candidate.snapshot, default: []].append(
                reason + (isPartial ? " (partial)" : ""))
        }
        let believed = newestFirst.filter { doubtful[$0.snapshot] == nil }
        let usable = believed.filter { $0.quality != .suspicious }
        let good = usable.filter { $0.quality == .good }
        if let lastGood = good.first ?? newestFirst.first(where: { $0.quality == .good }) {
            let whose = host.map { " on \(printable($0.utf8))" } ?? ""
            reasons[lastGood.snapshot] = ["last good snapshot of \(lastGood.workload)\(whose)"]
        }
        for candidate in good.prefix(last) { keep(candidate, "last \(last)") }
        for candidate in usable.prefix(last) where candidate.quality == .partial {
            keep(candidate, "last \(last)")
        }
        if let within {
            let newest = max(now, believed.first?.asOf ?? now)
            for candidate in believed where newest - candidate.asOf <= within {
                keep(candidate, "within \(within)")
            }
        }
        for rule in periods { rule.apply(to: usable) { keep($0, $1) } }
        keepTies(newestFirst, &reasons)
        let newest = believed.first
        for candidate in newestFirst {
            if !isSet { keep(candidate, "no retention is configured") }
            if candidate.isPinned { keep(candidate, "pinned") }
            if candidate.isDrilled { keep(candidate, "the last that passed a drill") }
            if let doubt = doubtful[candidate.snapshot] { keep(candidate, doubt) }
            for reason in hold { reasons[candidate.snapshot, default: []].append(reason) }
            if let newest, newest.quality == .suspicious {
                reasons[candidate.snapshot, default: []].append(
                    "held: the newest one, \(newest.snapshot.short), is suspicious")
            }
        }
        return newestFirst.map {
            RetentionDecision(
                snapshot: $0.snapshot, workload: $0.workload, asOf: $0.asOf,
                reasons: reasons[$0.snapshot] ?? [], quality: $0.quality)
        }
    }

    /// A clock that stands still gives many snapshots one time: nothing tells which is the newest.
    private func keepTies(
        _ newestFirst: [RetentionCandidate], _ reasons: inout [SnapshotID: [String]]
    ) {
        var kept: [Timestamp: SnapshotID] = [:]
        for candidate in newestFirst where reasons[candidate.snapshot] != nil {
            kept[candidate.asOf] = candidate.snapshot
        }
        for candidate in newestFirst where reasons[candidate.snapshot] == nil {
            if let twin = kept[candidate.asOf] {
                reasons[candidate.snapshot] = ["the same time as \(twin.short)"]
            }
        }
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

/// Keeps one snapshot a day, week, month or year, for so many of them.
private struct PeriodRule {
    var label: String
    var count: Int
    var name: (Timestamp) -> String

    /// - Parameter newestFirst: Good and partial snapshots.
    func apply(
        to newestFirst: [RetentionCandidate], keep: (RetentionCandidate, String) -> Void
    ) {
        var order: [String] = []
        var best: [String: RetentionCandidate] = [:]
        for candidate in newestFirst {
            let period = name(candidate.asOf)
            if let known = best[period] {
                if known.quality == .partial, candidate.quality == .good {
                    best[period] = candidate
                }
            } else {
                order.append(period)
                best[period] = candidate
            }
        }
        let withGood = order.filter { best[$0]?.quality == .good }.prefix(count)
        let withPartial = order.prefix(count).filter { best[$0]?.quality == .partial }
        for period in withGood + withPartial {
            if let candidate = best[period] { keep(candidate, "\(label) \(period)") }
        }
    }
}
