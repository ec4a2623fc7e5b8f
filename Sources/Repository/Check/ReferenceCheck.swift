import Model

/// Follows every reference of every snapshot to a place that is whole; owned by one thread, blocks.
struct ReferenceCheck {
    let reader: ChunkReader
    let index: any ChunkIndex
    let damage: DamagedFrames
    static let affectedLimit = 10_000

    struct Outcome: Sendable {
        var findings: [CheckFinding] = []
        var affected: [CheckFinding.Affected] = []
        var count = 0
        /// Why parts cannot be followed to their chunks.
        var unfollowed: [CheckFinding] = []
    }

    func check(_ records: [SnapshotRecord]) throws -> Outcome {
        var outcome = Outcome()
        var lost: Set<ChunkID> = []
        // Contents that were whole in one snapshot are whole in the next one that has them.
        var whole: Set<ContentReference> = []
        for record in records {
            for part in record.parts where !whole.contains(part.content) {
                let before = outcome.count
                try check(part, of: record, &lost, &outcome)
                if outcome.count == before { whole.insert(part.content) }
            }
        }
        for id in lost.sorted() {
            outcome.findings.append(
                CheckFinding(
                    kind: .chunk, object: "chunk \(id)", reason: "it is needed and in no pack"))
        }
        return outcome
    }

    private func check(
        _ part: SnapshotPart, of record: SnapshotRecord, _ lost: inout Set<ChunkID>,
        _ outcome: inout Outcome
    ) throws {
        func affected(_ path: [UInt8]?) {
            outcome.count += 1
            guard outcome.affected.count < Self.affectedLimit else { return }
            outcome.affected.append(
                CheckFinding.Affected(
                    service: record.service, snapshot: record.id, part: part.name,
                    path: path.map { printable($0) }))
        }
        func unfollowed(_ reason: String) {
            affected(nil)
            outcome.unfollowed.append(
                CheckFinding(
                    kind: .snapshot, object: "snapshots/\(record.id)",
                    reason: "\(part.name) cannot be followed: \(reason)"))
        }
        do {
            var isWhole = true
            try reader.forEachLeaf(part.content) { references in
                isWhole = try areWhole(references, &lost) && isWhole
            }
            if !isWhole { affected(nil) }
            guard part.kind == .tree, isWhole else { return }
            var batch: [(path: [UInt8], references: [ChunkReference])] = []
            var count = 0
            func flush() throws {
                let whole = try areWhole(batch.flatMap { $0.references }, &lost)
                if !whole {
                    for (path, references) in batch where try !areWhole(references, &lost) {
                        affected(path)
                    }
                }
                batch.removeAll(keepingCapacity: true)
                count = 0
            }
            try reader.entries(part.content, reads: true) { entry in
                guard entry.type == .file else { return }
                do {
                    try reader.forEachLeaf(entry.content) { references in
                        batch.append((entry.path, references))
                        count += references.count
                    }
                } catch is FormatError {
                    affected(entry.path)
                } catch let failure as Failure where failure.code == .damaged {
                    affected(entry.path)
                }
                if count > 4096 { try flush() }
            }
            try flush()
        } catch let error as FormatError {
            unfollowed("\(error)")
        } catch let error as ObjectMissing {
            unfollowed("\(error.key) is missing")
        } catch let failure as Failure where failure.code == .damaged {
            unfollowed(failure.message)
        }
    }

    /// Whether every chunk has a place that is not damaged.
    private func areWhole(_ references: [ChunkReference], _ lost: inout Set<ChunkID>) throws -> Bool
    {
        let stored = references.filter { !$0.isZeros }
        var isWhole = true
        for (reference, place) in zip(stored, try index.locate(stored.map { $0.id })) {
            if let place {
                if damage.holds(place) { isWhole = false }
            } else {
                lost.insert(reference.id)
                isWhole = false
            }
        }
        return isWhole
    }
}
