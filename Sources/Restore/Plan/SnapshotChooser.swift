import Model

/// Chooses the snapshot of each workload: the latest good one at or before the moment.
///
/// A suspicious snapshot is never chosen by itself; only naming it, or accepting it before, does. A
/// partial one is better than none and says what it lacks. For the latest moment one from the
/// future is passed over, unless there is no other that can be used.
struct SnapshotChooser {
    enum Choice {
        case chosen(SnapshotRecord, remarks: [String])
        case none(reason: String)
    }

    private let byWorkload: [WorkloadID: [SnapshotRecord]]
    private let accepted: Set<SnapshotID>
    private let limit: Timestamp?
    private let run: RunID?
    private let exact: SnapshotID?
    /// The present, where the latest is wanted.
    private let present: Timestamp?

    init(
        _ snapshots: [SnapshotRecord], accepted: Set<SnapshotID>, moment: RecoveryMoment,
        now: Timestamp
    ) throws {
        // Newest first; the id decides between equals, so that equal inputs give equal plans.
        byWorkload = Dictionary(grouping: snapshots, by: \.workload).mapValues {
            $0.sorted { ($0.asOf, $0.id) > ($1.asOf, $1.id) }
        }
        self.accepted = accepted
        present = moment == .latest ? now : nil
        func end(of run: RunID) -> Timestamp? {
            snapshots.filter { $0.run == run }.map(\.asOf).max()
        }
        switch moment {
        case .latest: (limit, run, exact) = (nil, nil, nil)
        case .time(let time): (limit, run, exact) = (time, nil, nil)
        case .run(let id): (limit, run, exact) = (end(of: id), id, nil)
        case .snapshot(let id):
            guard let snapshot = snapshots.first(where: { $0.id == id }) else {
                throw Failure(.usage, "no snapshot \(id.short)", hint: "dr snapshots lists them")
            }
            (limit, run, exact) = (end(of: snapshot.run), snapshot.run, id)
        }
    }

    /// The workloads of a service that were ever captured, in a fixed order.
    func workloads(of service: ServiceName) -> [WorkloadID] {
        byWorkload.filter { $0.value.contains { $0.service == service } }.keys.sorted()
    }

    /// The latest run that took a good snapshot of each of `workloads`; nil when there is none.
    ///
    /// Workloads that were never captured do not count.
    func commonRun(of workloads: [WorkloadID]) -> RunID? {
        let captured = workloads.filter { byWorkload[$0] != nil }
        guard run == nil, let first = captured.first else { return run }
        return candidates(first).first { candidate in
            captured.allSatisfy { workload in
                candidates(workload).contains { $0.run == candidate.run && isGood($0) }
            }
        }?.run
    }

    /// - Parameter preferred: The run whose snapshot is taken if it is good enough.
    func choose(_ workload: WorkloadID, preferred: RunID? = nil) -> Choice {
        guard let all = byWorkload[workload] else { return .none(reason: "never captured") }
        if let named = all.first(where: { $0.id == exact }) {
            return .chosen(named, remarks: defects(of: named))
        }
        let candidates = candidates(workload)
        guard let newest = candidates.first else {
            let moment = limit.map { $0.shortDescription } ?? ""
            return .none(reason: "no snapshot at or before \(moment)")
        }
        let chosen =
            candidates.first { $0.run == preferred ?? run && isUsable($0) }
            ?? candidates.first { isGood($0) } ?? candidates.first { isUsable($0) }
        guard let chosen else {
            return .none(
                reason: "only suspicious snapshots, the newest \(newest.id.short)"
                    + " (\(newest.suspicions.first ?? "")): accept it, or name it with --at")
        }
        var remarks = defects(of: chosen)
        if let preferred, chosen.run != preferred {
            remarks.append("not of the same recovery point as the rest of its group")
        }
        for newer in candidates.prefix(while: { $0.id != chosen.id }) where preferred == nil {
            let why = defects(of: newer).first ?? "another recovery point was asked for"
            remarks.append(
                "newer \(newer.id.short) of \(newer.asOf.shortDescription) not used: \(why)")
        }
        for ahead in all where present.map(ahead.isFromFuture) ?? false {
            guard ahead.id != chosen.id, !candidates.contains(where: { $0.id == ahead.id }) else {
                continue
            }
            remarks.append(
                "\(ahead.id.short) of \(ahead.asOf.shortDescription) not used:"
                    + " dated in the future")
        }
        return .chosen(chosen, remarks: remarks)
    }

    private func candidates(_ workload: WorkloadID) -> [SnapshotRecord] {
        let all = (byWorkload[workload] ?? []).filter { $0.asOf <= limit ?? $0.asOf }
        guard let present else { return all }
        let believed = all.filter { !$0.isFromFuture(at: present) }
        return believed.contains(where: isUsable) ? believed : all
    }

    private func isUsable(_ snapshot: SnapshotRecord) -> Bool {
        snapshot.suspicions.isEmpty || accepted.contains(snapshot.id)
    }

    private func isGood(_ snapshot: SnapshotRecord) -> Bool {
        isUsable(snapshot) && snapshot.omissions.isEmpty
    }

    private func defects(of snapshot: SnapshotRecord) -> [String] {
        let accepted = isUsable(snapshot) ? " (accepted)" : ""
        return snapshot.suspicions.map { "suspicious\(accepted): \($0)" }
            + snapshot.omissions.map { "partial: \($0)" }
    }
}
