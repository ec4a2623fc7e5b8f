import Engine
public import Model

extension BackupRepository {
    /// Checks that every snapshot is there and can be restored.
    ///
    /// Looks at keys, chains, records, lists of packs and every reference; with `readData` also at
    /// the bytes. Changes nothing but `index`, which afterwards knows the packs that the store has.
    ///
    /// - Parameters:
    ///   - known: Chain heads that this machine has seen before.
    ///   - progress: Told packs read and packs to read.
    public func check(
        index: any ChunkIndex, options: CheckOptions = CheckOptions(), known: [ChainHead] = [],
        progress: @escaping @Sendable (Int, Int) -> Void = { _, _ in }
    ) async throws -> CheckReport {
        var report = CheckReport()
        var damage = DamagedFrames()
        try await checkKeys(&report)
        // Snapshots before packs: what a snapshot refers to is there when its record is.
        let records = try await readRecords(&report)
        let chains = try await readChainsForCertain(known)
        checkChains(chains, options, &report)
        try await checkSnapshots(chains, listed: records.listed, &report)
        try await checkSmallRecords(&report)
        if options.readData { try await checkReserve(&report) }
        try await checkPacks(index, &report, &damage)
        if options.readData {
            report.group = options.group
            try await readPacks(index, options, &report, &damage, progress)
        }
        report.repair.packs = Set(damage.packs.keys).union(damage.frames.keys).sorted()
        let found = damage
        var outcome = try await checkReferences(records.opened, index, found)
        if !outcome.affected.isEmpty {
            // Somebody may have pruned meanwhile: only what is still so counts.
            _ = try await refresh(index)
            let still = try await listSnapshots()
            outcome = try await checkReferences(
                records.opened.filter { still.contains($0.id) }, index, found)
        }
        report.findings += outcome.findings
        // Mostly what is damaged has been named by now.
        if report.findings.isEmpty { report.findings = outcome.unfollowed }
        report.affected = outcome.affected
        report.affectedCount = outcome.count
        return report
    }

    private func checkReferences(
        _ records: [SnapshotRecord], _ index: any ChunkIndex, _ damage: DamagedFrames
    ) async throws -> ReferenceCheck.Outcome {
        try await BlockingPool.shared.run { [self] in
            try ReferenceCheck(reader: makeReader(index: index), index: index, damage: damage)
                .check(records)
        }
    }

    /// The chains, without what only the middle of somebody's writing, or a listing that lags behind,
    /// made look wrong.
    private func readChainsForCertain(_ known: [ChainHead]) async throws -> ChainState {
        let first = try await readChains(known: known)
        if first.findings.isEmpty && first.lost.isEmpty { return first }
        var chains = try await readChains(known: known)
        chains.findings = chains.findings.filter { first.findings.contains($0) }
        chains.lost.formIntersection(first.lost)
        chains.unreadable = chains.unreadable.filter { first.unreadable.contains($0) }
        return chains
    }

    /// Objects below `keys/` that are not as they were written.
    private func checkKeys(_ report: inout CheckReport) async throws {
        for (key, reason) in try await KeyRing.read(store).damaged.sorted(by: { $0.key < $1.key }) {
            report.findings.append(
                CheckFinding(kind: .key, object: key.path, reason: reason))
        }
    }

    private func checkChains(
        _ chains: ChainState, _ options: CheckOptions, _ report: inout CheckReport
    ) {
        report.heads = chains.heads.values.sorted { $0.writer < $1.writer }
        report.receipts = chains.receipts
        func found(_ reason: String) {
            report.findings.append(
                CheckFinding(kind: .chain, object: ChainRecord.prefix, reason: reason))
        }
        for reason in chains.findings { found(reason) }
        for receipt in options.receipts
        where !chains.hashes.contains(where: { "\($0)".hasPrefix(receipt.lowercased()) }) {
            found("no record has the hash \(receipt): records were hidden or rolled back")
        }
        if chains.epoch > secrets.currentEpoch {
            found("a newer data key, \(chains.epoch), was made, and is not there")
        }
        report.repair.records = chains.lost.sorted()
        report.repair.objects += chains.unreadable.map(\.path)
    }

    /// Condemned lists and sessions. No snapshot needs them; a store that changes these changes other
    /// things too.
    private func checkSmallRecords(_ report: inout CheckReport) async throws {
        let kinds: [(prefix: String, kind: CheckFinding.Kind)] = [
            (CondemnedList.prefix, .condemned), (SessionLease.prefix, .session),
        ]
        for (prefix, kind) in kinds {
            for object in try await store.list(prefix).sorted(by: { $0.stored < $1.stored }) {
                do {
                    _ = try SealedRecord.open(
                        try await store.get(object.key, .whole), as: object.key, with: secrets)
                } catch let error as FormatError {
                    report.findings.append(
                        CheckFinding(kind: kind, object: object.key.path, reason: error.reason))
                    report.repair.objects.append(object.key.path)
                } catch is ObjectMissing {
                    continue
                }
            }
        }
    }

    /// The reserve is zeros, or was given up on a full disk.
    private func checkReserve(_ report: inout CheckReport) async throws {
        guard store.keepsReserve else { return }
        do {
            let reserve = try await store.get(Self.reserve, .whole)
            guard reserve.contains(where: { $0 != 0 }) || reserve.count != Self.reserveLength else {
                return
            }
        } catch is ObjectMissing {
            return
        }
        report.findings.append(
            CheckFinding(
                kind: .reserve, object: Self.reserve.path, reason: "it is not as it was written"))
        report.repair.objects.append(Self.reserve.path)
    }

    /// Compares what the store lists with what is known of it, and reads the lists of new packs.
    private func checkPacks(
        _ index: any ChunkIndex, _ report: inout CheckReport, _ damage: inout DamagedFrames
    ) async throws {
        let known = try index.packs()
        let listed = try await listPacks()
        report.packs = listed.count
        func found(_ pack: PackID, _ reason: String) {
            damage.packs[pack] = reason
            report.findings.append(CheckFinding(pack, reason))
        }
        for (pack, size) in listed.sorted(by: { $0.key < $1.key }) {
            if let before = known[pack], before != size {
                found(pack, "it has \(size) bytes, and had \(before) when it was written")
            }
        }
        let change = try await refresh(index)
        for (pack, reason) in change.unreadable.sorted(by: { $0.key < $1.key }) {
            found(pack, reason)
        }
    }

    private func readPacks(
        _ index: any ChunkIndex, _ options: CheckOptions, _ report: inout CheckReport,
        _ damage: inout DamagedFrames, _ progress: @Sendable (Int, Int) -> Void
    ) async throws {
        let chosen = try await listPacks().keys.sorted().filter {
            options.group?.contains($0) ?? true
        }
        let check = PackCheck(repository: self)
        var haveGone = false
        typealias Outcome = Result<(damaged: [UInt32: String], bytes: UInt64), any Error>
        try await withThrowingTaskGroup(of: (PackID, Outcome).self) { group in
            var next = 0
            func add() {
                guard next < chosen.count else { return }
                let pack = chosen[next]
                next += 1
                group.addTask {
                    do {
                        return (
                            pack,
                            .success(try await BlockingPool.shared.run { try check.check(pack) })
                        )
                    } catch {
                        return (pack, .failure(error))
                    }
                }
            }
            // Each holds a pack, and a thread of a pool that its own reading may need one more of.
            for _ in 0..<min(processorCount(), 16) { add() }
            while let (pack, outcome) = try await group.next() {
                try Task.checkCancellation()
                switch outcome {
                case .success(let (damaged, bytes)):
                    report.packsRead += 1
                    report.bytesRead += ByteCount(bytes)
                    if !damaged.isEmpty { damage.frames[pack] = Set(damaged.keys) }
                    report.findings += CheckFinding.frames(damaged, of: pack)
                case .failure(let error as FormatError):
                    if damage.packs.updateValue(error.reason, forKey: pack) == nil {
                        report.findings.append(CheckFinding(pack, error.reason))
                    }
                case .failure(is ObjectMissing): haveGone = true
                case .failure(let error): throw error
                }
                progress(report.packsRead, chosen.count)
                add()
            }
        }
        // A prune may have taken them: then their chunks are elsewhere, or the references tell.
        if haveGone { _ = try await refresh(index) }
    }

    /// Opens every snapshot's record.
    private func readRecords(_ report: inout CheckReport) async throws
        -> (listed: Set<SnapshotID>, opened: [SnapshotRecord])
    {
        var records: [SnapshotRecord] = []
        let listed = try await listSnapshots()
        for id in listed.sorted() {
            do {
                records.append(try await snapshot(id))
            } catch let error as FormatError {
                report.findings.append(
                    CheckFinding(kind: .snapshot, object: "snapshots/\(id)", reason: error.reason))
                report.repair.objects.append("snapshots/\(id)")
                report.repair.snapshots.append(id)
            } catch is ObjectMissing {
                continue
            }
        }
        report.snapshots = listed.count
        return (listed, records)
    }

    /// Misses snapshots that chains expect.
    private func checkSnapshots(
        _ chains: ChainState, listed: Set<SnapshotID>, _ report: inout CheckReport
    ) async throws {
        for id in try await missingSnapshots(of: chains, listed: listed).sorted() {
            report.findings.append(
                CheckFinding(
                    kind: .snapshot, object: "snapshots/\(id)",
                    reason: "a writer's chain says it was written, and it is not there"))
            report.repair.snapshots.append(id)
        }
    }
}
