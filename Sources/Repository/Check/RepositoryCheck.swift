import Engine
public import Model

extension BackupRepository {
    /// Checks that every snapshot is there and can be restored.
    ///
    /// Looks at chains, records, lists of packs and every reference; with `readData` also at every
    /// byte. Changes nothing but `index`, which afterwards knows the packs that the store has.
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
        let chains = try await readChains(known: known)
        report.heads = chains.heads.values.sorted { $0.writer < $1.writer }
        report.findings += chains.findings.map {
            CheckFinding(kind: .chain, object: ChainRecord.prefix, reason: $0)
        }
        try await checkPacks(index, &report, &damage)
        if options.readData {
            try await readPacks(options, &report, &damage, progress)
        }
        let records = try await checkRecords(chains, &report)
        let found = damage
        let affected = try await BlockingPool.shared.run { [self] in
            try ReferenceCheck(reader: makeReader(index: index), index: index, damage: found)
                .check(records)
        }
        report.findings += affected.findings
        report.affected = affected.affected
        report.affectedCount = affected.count
        return report
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
            report.findings.append(
                CheckFinding(
                    kind: .pack, object: PackLayout.objectKey(pack).path, reason: reason))
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
        _ options: CheckOptions, _ report: inout CheckReport, _ damage: inout DamagedFrames,
        _ progress: @Sendable (Int, Int) -> Void
    ) async throws {
        let chosen = try await listPacks().keys.sorted().filter { pack in
            options.subset >= 1
                || Double((pack.words.3 &+ options.turn &* 0x9E37_79B9_7F4A_7C15) >> 32)
                    / 4_294_967_296 < options.subset
        }
        let check = PackCheck(repository: self)
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
            for _ in 0..<processorCount() { add() }
            while let (pack, outcome) = try await group.next() {
                let object = PackLayout.objectKey(pack).path
                switch outcome {
                case .success(let (damaged, bytes)):
                    report.packsRead += 1
                    report.bytesRead += ByteCount(bytes)
                    if !damaged.isEmpty { damage.frames[pack] = Set(damaged.keys) }
                    for (frame, reason) in damaged.sorted(by: { $0.key < $1.key }) {
                        report.findings.append(
                            CheckFinding(
                                kind: .pack, object: object, reason: "frame \(frame): \(reason)"))
                    }
                case .failure(let error as FormatError):
                    if damage.packs.updateValue(error.reason, forKey: pack) == nil {
                        report.findings.append(
                            CheckFinding(kind: .pack, object: object, reason: error.reason))
                    }
                case .failure(is ObjectMissing):
                    damage.packs[pack] = "it is not there any more"
                case .failure(let error): throw error
                }
                progress(report.packsRead, chosen.count)
                add()
            }
        }
    }

    /// Opens every record, and misses those that chains expect.
    private func checkRecords(_ chains: ChainState, _ report: inout CheckReport) async throws
        -> [SnapshotRecord]
    {
        var records: [SnapshotRecord] = []
        let listed = try await listSnapshots()
        for id in listed.sorted() {
            do {
                records.append(try await snapshot(id))
            } catch let error as FormatError {
                report.findings.append(
                    CheckFinding(kind: .snapshot, object: "snapshots/\(id)", reason: error.reason))
            } catch is ObjectMissing {
                continue
            }
        }
        report.snapshots = listed.count
        for id in chains.expected.subtracting(listed).sorted() {
            report.findings.append(
                CheckFinding(
                    kind: .snapshot, object: "snapshots/\(id)",
                    reason: "a writer's chain says it was written, and it is not there"))
        }
        return records
    }
}
