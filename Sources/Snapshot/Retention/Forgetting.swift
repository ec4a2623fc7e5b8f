import CLinux
public import Catalog
import Glibc
public import Model
public import Repository

/// Decides which snapshots go, and removes their records, with a tombstone in this machine's chain
/// first.
public struct Forgetting: Sendable {
    private let repository: BackupRepository
    private let catalog: Catalog
    private let host: String
    private let version: String

    public init(repository: BackupRepository, catalog: Catalog, host: String, version: String) {
        self.repository = repository
        self.catalog = catalog
        self.host = host
        self.version = version
    }

    /// What retention comes to.
    public struct Outcome: Sendable {
        /// By workload and host, newest first.
        public var decisions: [RetentionDecision] = []
        /// Why less goes than the rules would let go; a person should look at it.
        public var warnings: [String] = []

        /// What may go.
        public var forgotten: [SnapshotID] { decisions.filter { !$0.isKept }.map(\.snapshot) }
    }

    /// Decides for the snapshots that the catalog knows; removes nothing.
    ///
    /// - Parameters:
    ///   - services: Only these; nil for all, also those that are no longer configured.
    ///   - trustsTimes: A person has looked: times that look wrong hold nothing back, this time and
    ///     for everything that is there now.
    ///   - policy: The rules of each service.
    public func decide(
        services: Set<ServiceName>? = nil, now: Timestamp, trustsTimes: Bool = false,
        policy: (ServiceName) -> RetentionPolicy
    ) async throws -> Outcome {
        let snapshots = try await catalog.snapshots()
        let times = try await repository.storeTimes()
        let candidates = try await candidates(snapshots, times)
        let names = Set(snapshots.map(\.service)).filter { services?.contains($0) ?? true }
        var brake = RetentionBrake(now: now, storeNow: times.now, moved: times.moved)
        brake.confirmed = try await catalog.confirmedTimes()
        let spans = names.compactMap { policy($0).within }
        let verdict =
            trustsTimes
            ? RetentionBrake.Verdict() : brake.look(at: candidates, within: spans.min())
        let serviceOf = Dictionary(snapshots.map { ($0.workload, $0.service) }) { first, _ in first
        }
        var outcome = Outcome()
        var isHeldBack = false
        for (workload, host, group) in groups(candidates) {
            guard let service = serviceOf[workload], names.contains(service) else { continue }
            let rules = policy(service)
            let hold = verdict.everything + [verdict.workloads[workload]].compactMap { $0 }
            outcome.decisions += rules.decide(
                group, now: now, doubtful: verdict.doubtful, hold: hold.map { "held: \($0)" },
                host: host)
            isHeldBack = isHeldBack || rules.isSet
        }
        // Where no rule is set nothing would go anyway.
        if isHeldBack { outcome.warnings = verdict.warnings }
        return outcome
    }

    /// What rules are applied to by itself: the snapshots of a workload that one machine took. Two
    /// machines that save different things under one name do not push each other's out.
    ///
    /// - Returns: In a fixed order; the host only where a workload has more than one.
    private func groups(
        _ candidates: [RetentionCandidate]
    ) -> [(workload: WorkloadID, host: String?, group: [RetentionCandidate])] {
        Dictionary(grouping: candidates, by: \.workload).sorted { $0.key < $1.key }
            .flatMap { workload, all in
                let hosts = Dictionary(grouping: all, by: \.host).sorted { $0.key < $1.key }
                return hosts.map { (workload, hosts.count > 1 ? $0.key : nil, $0.value) }
            }
    }

    private func candidates(_ snapshots: [SnapshotRecord], _ times: StoreTimes) async throws
        -> [RetentionCandidate]
    {
        let pinned = try await catalog.snapshots(marked: .pinned)
        let drilled = try await catalog.snapshots(marked: .drilled)
        let accepted = try await catalog.snapshots(marked: .accepted)
        return snapshots.map { snapshot in
            var quality = RetentionCandidate.Quality.good
            if !snapshot.omissions.isEmpty { quality = .partial }
            if !snapshot.suspicions.isEmpty, !accepted.contains(snapshot.id) {
                quality = .suspicious
            }
            return RetentionCandidate(
                snapshot: snapshot.id, workload: snapshot.workload, host: snapshot.host,
                asOf: snapshot.asOf, quality: quality, isPinned: pinned.contains(snapshot.id),
                isDrilled: drilled.contains(snapshot.id),
                stored: times.stored[snapshot.id])
        }
    }

    /// Why `snapshots`, named by a person, may not go; empty when they may.
    ///
    /// - Parameter force: The last good snapshot of a workload may go too.
    public func objections(to snapshots: [SnapshotID], force: Bool) async throws -> [String] {
        let all = try await catalog.snapshots()
        let candidates = try await candidates(all, StoreTimes())
        let named = Set(snapshots)
        var objections: [String] = []
        for candidate in candidates where named.contains(candidate.snapshot) {
            if candidate.isPinned {
                objections.append("snapshot \(candidate.snapshot.short) is pinned")
            }
        }
        guard !force else { return objections }
        for (workload, host, group) in groups(candidates) {
            let lastGood = group.filter { $0.quality == .good }.max {
                ($0.asOf, $0.snapshot) < ($1.asOf, $1.snapshot)
            }
            if let lastGood, named.contains(lastGood.snapshot) {
                let whose = host.map { " on \(printable($0.utf8))" } ?? ""
                objections.append(
                    "\(lastGood.snapshot.short) is the last good snapshot of \(workload)\(whose)")
            }
        }
        return objections
    }

    /// Remembers that a person found all times that are there now to be right.
    public func confirmTimes(at now: Timestamp) async throws {
        let times = try await repository.storeTimes()
        try await catalog.confirmTimes(upTo: max(now, times.now))
    }

    /// Removes `snapshots`. Their bytes stay until they are pruned.
    ///
    /// The tombstone comes first: a removal that is cut off leaves snapshots that are removed again,
    /// never one that is missed.
    public func forget(_ snapshots: [SnapshotID], at time: Timestamp) async throws {
        guard !snapshots.isEmpty else { return }
        let run = RunRecord(
            purpose: .prune, host: host, processID: getpid(), version: version, started: time)
        try await ChainKeeping(repository: repository, catalog: catalog)
            .append(run: run, at: time, added: [], removed: snapshots)
        for snapshot in snapshots {
            try await repository.remove(snapshot)
            try await catalog.remove(snapshot: snapshot)
        }
    }
}
