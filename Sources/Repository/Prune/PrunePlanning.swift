import Engine
import Model

/// What snapshots need, and what restores of the newest ones read.
struct NeedsSurvey: Sendable {
    var live = LiveChunks()
    var restores: [RestoreCost] = []
    /// Packs of which a restore that reads too much as a whole reads too much, and how much of what
    /// it reads of them is for nothing.
    var scattered: [PackID: Double] = [:]

    /// Follows `records`; blocks.
    ///
    /// - Parameter excess: From how many times the needed bytes a restore reads too much.
    mutating func follow(
        _ records: [SnapshotRecord], reader: ChunkReader, index: any ChunkIndex, excess: Double,
        check: () throws -> Void, progress: (Int, Int) -> Void
    ) throws {
        var newest: [WorkloadID: SnapshotRecord] = [:]
        for record in records {
            if let known = newest[record.workload], known.asOf >= record.asOf { continue }
            newest[record.workload] = record
        }
        var done = 0
        for (workload, record) in newest.sorted(by: { $0.key < $1.key }) {
            var meter = RestoreMeter()
            try live.add(record, reader: reader, check: check) { references in
                meter.add(references, at: try index.locate(references.map(\.id)))
            }
            let cost = meter.cost(of: workload)
            restores.append(cost)
            if cost.excess > excess {
                for (pack, share) in meter.shares where Double(share.read) > excess * share.needed {
                    scattered[pack, default: 0] += share.wasted
                }
            }
            done += 1
            progress(done, records.count)
        }
        for record in records where newest[record.workload]?.id != record.id {
            try live.add(record, reader: reader, check: check)
            done += 1
            progress(done, records.count)
        }
    }
}

extension BackupRepository {
    /// Decides what could be deleted or rewritten; changes nothing but `index`.
    public func prunePlan(
        index: any ChunkIndex, options: PruneOptions = PruneOptions(),
        progress: @escaping @Sendable (PruneProgress) -> Void = { _ in }
    ) async throws -> PrunePlan {
        var plan = PrunePlan()
        plan.snapshots = try await snapshotsForCertain().subtracting(options.forgotten)
        // Packs are listed after the snapshots: what a snapshot refers to is listed.
        let change = try await refresh(index)
        guard change.unreadable.isEmpty else {
            let count = change.unreadable.count
            throw Failure(
                .damaged,
                "\(count) \(count == 1 ? "pack" : "packs") cannot be read, so nothing is pruned",
                hint: "run 'dr check' and then 'dr check --repair'", side: .repository)
        }
        let old = options.rewriteOldKeys ? try await packsOfOlderKeys(index) : []
        let records = try await records(plan.snapshots)
        let survey = try await survey(records, index, options, progress)
        let usage = try await BlockingPool.shared.run {
            try index.usage { survey.live.contains($0) }
        }
        plan.restores = survey.restores
        plan.packs = Set(usage.keys)
        plan.survey.value = survey
        plan.sort(usage, survey: survey, oldKeys: old, options: options)
        return plan
    }

    /// Snapshots that are there: nothing is deleted on the strength of one listing.
    ///
    /// - Throws: `Failure` with code `damaged` when one is missing that nobody removed: what it needs
    ///   is not to be deleted after it.
    func snapshotsForCertain() async throws -> Set<SnapshotID> {
        var listed = try await listSnapshots()
        listed.formUnion(try await listSnapshots())
        let missing = try await missingSnapshots(of: readChains(), listed: listed)
        if let first = missing.min() {
            throw Failure(
                .damaged,
                "\(missing.count == 1 ? "a snapshot is" : "\(missing.count) snapshots are") missing"
                    + " that no run removed, so nothing is pruned: \(first.short)",
                hint: "see 'dr check'; 'dr check --repair' accepts what is lost",
                side: .repository)
        }
        return listed
    }

    /// Follows every snapshot of `records`.
    func survey(
        _ records: [SnapshotRecord], _ index: any ChunkIndex, _ options: PruneOptions,
        _ progress: @escaping @Sendable (PruneProgress) -> Void = { _ in }
    ) async throws -> NeedsSurvey {
        try await BlockingPool.shared.runCancellable { [self] check in
            var survey = NeedsSurvey()
            try survey.follow(
                records, reader: makeReader(index: index), index: index,
                excess: options.readExcess, check: check
            ) { progress(.following($0, of: $1)) }
            return survey
        }
    }

    /// The records of those of `snapshots` that are still there.
    ///
    /// - Throws: For a damaged one: what it needs is not known, so nothing may be deleted.
    func records(_ snapshots: Set<SnapshotID>) async throws -> [SnapshotRecord] {
        var records: [SnapshotRecord] = []
        var gone: [SnapshotID] = []
        for id in snapshots.sorted() {
            do {
                records.append(try await snapshot(id))
            } catch is ObjectMissing {
                gone.append(id)
            } catch let error as FormatError {
                throw error.failure
            }
        }
        // Who removes one writes that down before.
        guard !gone.isEmpty else { return records }
        let removed = try await readChains().removed
        if let lost = gone.first(where: { !removed.contains($0) }) {
            throw Failure(
                .busy, "snapshot \(lost.short) was listed, and then was not found",
                hint: "what it needs is not known: run dr prune again, and dr check if this stays",
                side: .repository, isTransient: true)
        }
        return records
    }

    /// Packs that another data key than the newest sealed; one small read each.
    private func packsOfOlderKeys(_ index: any ChunkIndex) async throws -> Set<PackID> {
        var old: Set<PackID> = []
        for pack in try index.packs().keys.sorted() {
            try Task.checkCancellation()
            if try await packs.epoch(of: pack) != secrets.currentEpoch { old.insert(pack) }
        }
        return old
    }
}

extension PrunePlan {
    /// Puts every pack where it belongs.
    fileprivate mutating func sort(
        _ usage: [PackID: PackUsage], survey: NeedsSurvey, oldKeys: Set<PackID>,
        options: PruneOptions
    ) {
        var small: [Rewrite] = []
        for (pack, used) in usage.sorted(by: { $0.key < $1.key }) {
            let size = ByteCount(used.size)
            let needed = used.liveBytes
            if used.live == 0 {
                deleted.append(pack)
                deletedBytes += size
                continue
            }
            func rewrite(_ reason: Reason) -> Rewrite {
                Rewrite(pack: pack, size: size, needed: ByteCount(needed), reason: reason)
            }
            if options.deleteOnly {
                keep(size)
            } else if oldKeys.contains(pack) {
                rewrites.append(rewrite(.oldKey))
            } else if Double(needed) < options.rewriteBelow * Double(used.frameBytes) {
                rewrites.append(rewrite(.garbage))
            } else if let wasted = survey.scattered[pack], wasted * 4 >= Double(needed) {
                // Moving more than four times what a restore saves is not worth it.
                rewrites.append(rewrite(.scattered))
            } else if size < options.smallPack {
                small.append(rewrite(.small))
            } else {
                keep(size)
            }
        }
        let smallBytes = small.reduce(0) { $0 + $1.needed.bytes }
        if small.count >= options.manySmallPacks
            || small.count >= 8 && smallBytes >= PackLayout.targetLength
        {
            rewrites += small
        } else {
            for pack in small { keep(pack.size) }
        }
        limit(options.moveLimit)
        rewrites.sort { $0.pack < $1.pack }
    }

    private mutating func keep(_ size: ByteCount) {
        kept += 1
        keptBytes += size
    }

    /// The most useful first, which is what frees most for the bytes that are moved.
    private mutating func limit(_ limit: ByteCount?) {
        guard let limit else { return }
        rewrites.sort {
            Double($0.needed.bytes) / Double(max(1, $0.size.bytes))
                < Double($1.needed.bytes) / Double(max(1, $1.size.bytes))
        }
        var moved = ByteCount(0)
        var chosen: [Rewrite] = []
        for rewrite in rewrites {
            if moved + rewrite.needed <= limit {
                moved += rewrite.needed
                chosen.append(rewrite)
            } else {
                keep(rewrite.size)
            }
        }
        rewrites = chosen
    }
}
