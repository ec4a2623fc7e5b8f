import Engine
import Model

/// Writes the needed chunks of packs into new ones.
///
/// First what the newest snapshots need, snapshot by snapshot in the order in which a restore reads
/// it, so that it stands together; then the rest in the order in which it was.
struct PackMoving: Sendable {
    let repository: BackupRepository
    let index: any ChunkIndex
    let plan: PrunePlan
    let options: WriteOptions
    let progress: @Sendable (PruneProgress) -> Void

    /// Moves as much as there is space for.
    ///
    /// - Returns: The packs whose needed chunks all have another place now, and the bytes of the
    ///   packs that were written.
    func move() async throws -> (packs: [PackID], written: ByteCount) {
        let old = Set(plan.rewritten)
        let records = try await repository.records(plan.snapshots)
        let survey: NeedsSurvey
        if let known = plan.survey.value {
            survey = known
        } else {
            survey = try await repository.survey(records, index, PruneOptions())
        }
        let session = repository.makeWriteSession(
            index: UncondemnedIndex(index, without: old), options: options)
        do {
            try await fill(session, from: old, records, survey)
            try await BlockingPool.shared.run { try session.flush() }
            try await verify(session.storedPacks)
        } catch let failure as Failure where failure.code == .noSpace {
            // What is durable by now counts; the rest stays where it is.
            session.cancel(failure)
            try await verify(session.storedPacks)
        } catch {
            session.cancel(error)
            try? await BlockingPool.shared.run { session.close() }
            throw error
        }
        let written = session.totals.stored
        try await BlockingPool.shared.run { session.close() }
        return (try await moved(old, survey), written)
    }

    /// A store that only says that it has a pack is found out before the old one goes: its list
    /// opens, so it is there, to its end.
    private func verify(_ packs: [PackID: UInt64]) async throws {
        for (pack, size) in packs.sorted(by: { $0.key < $1.key }) {
            do {
                _ = try await repository.packs.contents(of: pack, size: size)
            } catch is ObjectMissing {
                try index.remove([pack])
                throw Failure(
                    .failed,
                    "pack \(pack.short) is missing from \(repository.store.place) after it was"
                        + " written", hint: "the store is not to be trusted: check its disk",
                    side: .repository, isTransient: true)
            }
        }
    }

    private func fill(
        _ session: WriteSession, from old: Set<PackID>, _ records: [SnapshotRecord],
        _ survey: NeedsSurvey
    ) async throws {
        try await BlockingPool.shared.runCancellable { check in
            let writer = session.makeContentWriter()
            writer.begin()
            let reader = repository.makeReader(index: index)
            var mover = ChunkMover(
                writer: writer, reader: reader, index: index, old: old, total: plan.movedBytes,
                progress: progress)
            var newest: [WorkloadID: SnapshotRecord] = [:]
            for record in records {
                if let known = newest[record.workload], known.asOf >= record.asOf { continue }
                newest[record.workload] = record
            }
            for (_, record) in newest.sorted(by: { $0.key < $1.key }) {
                var walked = LiveChunks()
                // Nodes and entry lists are read from where they are while they move.
                let walker = repository.makeReader(index: index)
                try walked.add(record, reader: walker, check: check) { try mover.move($0) }
            }
            try writer.drain()
            for pack in plan.rewritten {
                try check()
                let wanted = try contents(pack).chunks.filter {
                    survey.live.contains($0.id.words.0)
                }
                try mover.move(
                    wanted.map { ChunkReference(id: $0.id, length: UInt64($0.length)) })
            }
            try writer.drain()
        }
    }

    private func contents(_ pack: PackID) throws -> PackContents {
        try waitBlocking { [repository] in
            guard let size = try await repository.store.size(PackLayout.objectKey(pack)) else {
                throw Failure(
                    .busy, "pack \(pack.short) has disappeared while it was being rewritten",
                    hint: "run dr prune again", side: .repository, isTransient: true)
            }
            return try await repository.packs.contents(of: pack, size: size)
        }
    }

    /// Those of `old` that hold nothing any more that is needed and has no other place.
    private func moved(_ old: Set<PackID>, _ survey: NeedsSurvey) async throws -> [PackID] {
        try await BlockingPool.shared.run {
            let usage = try index.usage { survey.live.contains($0) }
            return old.filter { (usage[$0]?.live ?? 0) == 0 }.sorted()
        }
    }
}

/// Stores chunks anew that are in certain packs; owned by one thread.
private struct ChunkMover {
    let writer: ContentWriter
    let reader: ChunkReader
    let index: any ChunkIndex
    let old: Set<PackID>
    let total: ByteCount
    let progress: @Sendable (PruneProgress) -> Void
    /// Handed over already; a name too many only means that one chunk stays, and its pack with it.
    private var handed = NameSet()
    private var bytes = ByteCount(0)

    init(
        writer: ContentWriter, reader: ChunkReader, index: any ChunkIndex, old: Set<PackID>,
        total: ByteCount, progress: @escaping @Sendable (PruneProgress) -> Void
    ) {
        self.writer = writer
        self.reader = reader
        self.index = index
        self.old = old
        self.total = total
        self.progress = progress
    }

    /// Those of `references` whose place is in an old pack.
    mutating func move(_ references: [ChunkReference]) throws {
        let places = try index.locate(references.map(\.id))
        for (reference, place) in zip(references, places) {
            guard let place, old.contains(place.pack) else { continue }
            guard handed.insert(reference.id.words.0) else { continue }
            try writer.store(
                reference.id, try reader.anyChunk(reference.id, UInt32(reference.length)))
            let share =
                Double(place.frame.storedLength) * Double(reference.length)
                / Double(max(1, place.frame.plainLength))
            bytes += ByteCount(UInt64(share))
            progress(.moving(bytes, of: max(bytes, total)))
        }
    }
}

extension ChunkReader {
    /// The bytes of a chunk of either role, verified.
    func anyChunk(_ id: ChunkID, _ length: UInt32) throws -> [UInt8] {
        let reference = ChunkReference(id: id, length: UInt64(length))
        var result: [UInt8] = []
        do {
            try read([reference], role: .data) { bytes, _ in result = Array(bytes) }
        } catch is FormatError {
            try read([reference], role: .node) { bytes, _ in result = Array(bytes) }
        }
        return result
    }
}
