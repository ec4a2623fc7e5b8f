public import Model

/// Looks for times that retention must not believe: clocks that jumped, long pauses, floods of
/// snapshots, and dates that the store's own clock contradicts.
///
/// Whoever can write snapshots, and a machine whose clock is wrong, could otherwise make retention
/// remove what it should keep. Nothing here looks at a clock: all times are given.
public struct RetentionBrake: Sendable {
    /// Clocks may differ by so much.
    public static let tolerance = SnapshotRecord.clockTolerance
    /// A capture may take so long: its snapshot is stored at its end and dated from its beginning.
    public static let longestCapture = TimeSpan(seconds: 3 * 86400)
    /// After a long pause snapshots of so many days must have come before retention goes on.
    public static let daysAfterPause = 14
    /// So many snapshots of one workload in one day are no flood, whatever was usual.
    public static let dailyLimit = 24
    private static let month = TimeSpan(seconds: 30 * 86400)
    private static let week = TimeSpan(seconds: 7 * 86400)

    /// This machine's clock.
    public var now: Timestamp
    /// The store's clock.
    public var storeNow: Timestamp
    /// When the store as a whole was copied from elsewhere, after which its times say nothing of
    /// what was in it before; nil when it was not.
    public var moved: Timestamp?
    /// What was there at this moment was found to be right by a person.
    public var confirmed: Timestamp?

    public init(
        now: Timestamp, storeNow: Timestamp, moved: Timestamp? = nil, confirmed: Timestamp? = nil
    ) {
        self.now = now
        self.storeNow = storeNow
        self.moved = moved
        self.confirmed = confirmed
    }

    /// What is not to be believed.
    public struct Verdict: Sendable, Hashable {
        /// Why nothing at all may go.
        public var everything: [String] = []
        /// Why nothing of a workload may go.
        public var workloads: [WorkloadID: String] = [:]
        /// Snapshots that are kept and take no other's place, and why.
        public var doubtful: [SnapshotID: String] = [:]

        public init() {}

        /// Everything that a person should look at, in words; empty when all is well.
        public var warnings: [String] {
            var lines = everything
            lines += workloads.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
            if !doubtful.isEmpty {
                let count = doubtful.count
                let reasons = Set(doubtful.values).sorted().joined(separator: "; ")
                lines.append(
                    "\(count) \(count == 1 ? "snapshot is" : "snapshots are") kept and not"
                        + " counted: \(reasons)")
            }
            return lines
        }
    }

    /// Looks at all snapshots of a repository.
    ///
    /// - Parameter within: The shortest time span among the rules that are to be applied.
    public func look(at candidates: [RetentionCandidate], within: TimeSpan?) -> Verdict {
        var verdict = Verdict()
        let apart = now - storeNow
        if apart > Self.tolerance || storeNow - now > Self.tolerance {
            verdict.everything.append(
                "the clocks of this machine and of the repository's store differ by"
                    + " \(TimeSpan(nanoseconds: Int64(apart.nanoseconds.magnitude)))")
        }
        for candidate in candidates where candidate.asOf - max(now, storeNow) > Self.tolerance {
            let known = verdict.workloads[candidate.workload]
            verdict.workloads[candidate.workload] =
                known ?? "snapshot \(candidate.snapshot.short) is from the future, of"
                + " \(candidate.asOf.shortDescription)"
        }
        for (_, group) in Dictionary(grouping: candidates, by: \.workload) {
            doubt(group, &verdict)
        }
        let believed = candidates.filter {
            verdict.doubtful[$0.snapshot] == nil && verdict.workloads[$0.workload] == nil
        }
        if let pause = pause(in: believed.map(\.asOf), within: within) {
            verdict.everything.append(pause)
        }
        return verdict
    }

    // MARK: Single snapshots

    private func doubt(_ group: [RetentionCandidate], _ verdict: inout Verdict) {
        var days: [Int64: [RetentionCandidate]] = [:]
        for candidate in group {
            guard let stored = candidate.stored, !isConfirmed(stored), !isMoved(stored) else {
                continue
            }
            if stored - candidate.asOf > Self.longestCapture
                || candidate.asOf - stored > Self.tolerance
            {
                verdict.doubtful[candidate.snapshot] =
                    "dated otherwise than when the store took it"
            }
            days[day(stored), default: []].append(candidate)
        }
        for (day, some) in days {
            let others = days.filter { $0.key != day }.map(\.value.count).sorted()
            let usual = others.isEmpty ? 0 : others[others.count / 2]
            guard some.count > max(Self.dailyLimit, 4 * usual) else { continue }
            for candidate in some where verdict.doubtful[candidate.snapshot] == nil {
                verdict.doubtful[candidate.snapshot] = "one of \(some.count) that came in one day"
            }
        }
    }

    private func isConfirmed(_ time: Timestamp) -> Bool { confirmed.map { time <= $0 } ?? false }

    /// Stored while the repository was being copied here, which may have taken days.
    private func isMoved(_ stored: Timestamp) -> Bool {
        guard let moved else { return false }
        return stored - moved < Self.week && moved - stored < Self.week
    }

    // MARK: Pauses

    private func pause(in times: [Timestamp], within: TimeSpan?) -> String? {
        // Snapshots of one run are one moment.
        var moments: [Timestamp] = []
        for time in times.sorted() + [now] {
            if let last = moments.last, time - last < TimeSpan(seconds: 3600) { continue }
            moments.append(time)
        }
        let least = min(Self.month, max(Self.week, within ?? Self.month))
        let gaps = zip(moments, moments.dropFirst()).map { $1 - $0 }.sorted()
        // What is usual here; somebody may plug a disk in once a month.
        let usual = gaps.count > 3 ? gaps[(gaps.count - 1) / 2] : .zero
        let limit = max(least, TimeSpan(seconds: usual.seconds * 3))
        var found: String?
        for (before, after) in zip(moments, moments.dropFirst()) where after - before > limit {
            if isConfirmed(after) || daysSince(after, moments) >= Self.daysAfterPause { continue }
            found =
                "there is no snapshot between \(before.shortDescription) and"
                + " \(after.shortDescription): a long pause, or a clock that jumped"
        }
        return found
    }

    private func daysSince(_ time: Timestamp, _ moments: [Timestamp]) -> Int {
        Set(moments.filter { $0 >= time }.map(day)).count
    }

    private func day(_ time: Timestamp) -> Int64 {
        let seconds = time.wholeSeconds
        return (seconds >= 0 ? seconds : seconds - 86399) / 86400
    }
}
