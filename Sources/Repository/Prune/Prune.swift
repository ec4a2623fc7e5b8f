import Engine
import Model

extension BackupRepository {
    /// Decides what could be deleted or rewritten; changes nothing but `index`.
    public func prunePlan(index: any ChunkIndex, options: PruneOptions = PruneOptions())
        async throws -> PrunePlan
    {
        var plan = PrunePlan()
        plan.snapshots = try await listSnapshots()
        // Packs are listed after the snapshots: what a snapshot refers to is listed.
        let change = try await refresh(index)
        guard change.unreadable.isEmpty else {
            throw Failure(
                .damaged, "\(change.unreadable.count) packs cannot be read, so nothing is pruned",
                hint: "run 'dr check' and then 'dr check --repair'", side: .repository)
        }
        let live = try await liveChunks(of: plan.snapshots, index: index)
        let usage = try await BlockingPool.shared.run { try index.usage { live.contains($0) } }
        for (pack, used) in usage.sorted(by: { $0.key < $1.key }) {
            let size = ByteCount(used.size)
            if used.live == 0 {
                plan.deleted.append(pack)
                plan.deletedBytes += size
            } else if !options.deleteOnly,
                Double(used.liveBytes) < options.rewriteBelow * Double(used.size)
            {
                plan.rewritten.append(pack)
                plan.rewrittenBytes += size
                plan.movedBytes += ByteCount(used.liveBytes)
            } else {
                plan.kept += 1
                plan.keptBytes += size
            }
        }
        // One small pack alone gains nothing by being written again.
        if plan.rewritten.count == 1, plan.movedBytes.bytes * 4 > plan.rewrittenBytes.bytes * 3 {
            plan.kept += 1
            plan.keptBytes += plan.rewrittenBytes
            plan.rewritten = []
            plan.rewrittenBytes = ByteCount(0)
            plan.movedBytes = ByteCount(0)
        }
        return plan
    }

    private func liveChunks(of snapshots: Set<SnapshotID>, index: any ChunkIndex) async throws
        -> LiveChunks
    {
        var records: [SnapshotRecord] = []
        for id in snapshots.sorted() {
            do {
                records.append(try await snapshot(id))
            } catch is ObjectMissing {
                continue
            } catch let error as FormatError {
                throw error.failure
            }
        }
        let all = records
        return try await BlockingPool.shared.run { [self] in
            var live = LiveChunks()
            let reader = makeReader(index: index)
            do {
                for record in all { try live.add(record, reader: reader) }
            } catch let error as FormatError {
                throw error.failure
            }
            return live
        }
    }

    /// Carries out a plan; can be interrupted anywhere, and does no harm to whoever writes meanwhile.
    ///
    /// Needed chunks are in new packs before the old ones are condemned; packs are condemned before
    /// anybody looks whether they may go; they go only when no session is live that began before,
    /// and no snapshot that has come since needs them. What must wait is deleted by a later call.
    public func prune(
        _ plan: PrunePlan, index: any ChunkIndex, options: WriteOptions = WriteOptions()
    ) async throws -> PruneResult {
        var result = PruneResult()
        if !plan.rewritten.isEmpty {
            try await move(plan.rewritten, snapshots: plan.snapshots, index, options)
            result.rewrittenPacks = plan.rewritten.count
        }
        let earlier = try await condemnedLists()
        let listed = Set(earlier.flatMap(\.packs))
        let new = (plan.deleted + plan.rewritten).filter { !listed.contains($0) }
        var lists = earlier
        if !new.isEmpty {
            let list = CondemnedList(id: .random(), packs: new.sorted())
            try await putWithReserve(list)
            lists.append(list)
        }
        guard !lists.isEmpty else { return result }
        result.liveSessions = try await liveSessions()
        guard result.liveSessions == 0 else {
            result.waitingPacks = Set(lists.flatMap(\.packs)).count
            return result
        }
        let needed = try await packsNeeded(
            ofThese: Set(lists.flatMap(\.packs)), bySnapshotsNotIn: plan.snapshots,
            checkingAll: !earlier.isEmpty, index)
        for list in lists {
            for pack in list.packs where !needed.contains(pack) {
                let size = try await store.size(PackLayout.objectKey(pack))
                try await store.delete(PackLayout.objectKey(pack))
                if let size {
                    result.deletedPacks += 1
                    result.freedBytes += ByteCount(size)
                }
            }
        }
        let gone = Set(lists.flatMap(\.packs)).subtracting(needed)
        try await BlockingPool.shared.run { try index.remove(gone) }
        for list in lists { try await store.delete(list.key) }
        try? await restoreReserve()
        return result
    }

    /// Packs of `condemned` that some snapshot needs after all.
    private func packsNeeded(
        ofThese condemned: Set<PackID>, bySnapshotsNotIn known: Set<SnapshotID>,
        checkingAll: Bool, _ index: any ChunkIndex
    ) async throws -> Set<PackID> {
        let now = try await listSnapshots()
        let live = try await liveChunks(
            of: checkingAll ? now : now.subtracting(known), index: index)
        return try await BlockingPool.shared.run {
            let usage = try index.usage { live.contains($0) }
            return Set(condemned.filter { (usage[$0]?.live ?? 0) > 0 })
        }
    }

    /// Stores the needed chunks of `packs` in new ones.
    private func move(
        _ packs: [PackID], snapshots: Set<SnapshotID>, _ index: any ChunkIndex,
        _ options: WriteOptions
    ) async throws {
        let live = try await liveChunks(of: snapshots, index: index)
        let unknown = UncondemnedIndex(index, without: Set(packs))
        let session = makeWriteSession(index: unknown, options: options)
        let sizes = try index.packs()
        do {
            for pack in packs {
                guard let size = sizes[pack] else { continue }
                let contents = try await self.packs.contents(of: pack, size: size)
                let wanted = contents.chunks.filter { live.contains($0.id.words.0) }
                try await BlockingPool.shared.run { [self] in
                    let reader = makeReader(index: index, cache: ByteCount(8 << 20))
                    let writer = session.makeContentWriter()
                    writer.begin()
                    for chunk in wanted {
                        try writer.store(chunk.id, try reader.anyChunk(chunk.id, chunk.length))
                    }
                    try writer.drain()
                }
            }
            try await BlockingPool.shared.run { try session.flush() }
        } catch {
            session.cancel(error)
            try? await BlockingPool.shared.run { session.close() }
            throw error
        }
        try await BlockingPool.shared.run { session.close() }
    }

    // MARK: The reserve

    private static let reserve = ObjectKey("reserve")
    private static let reserveLength = 1 << 20

    /// Keeps a little space, so that prune can say what it will delete on a disk that is full.
    func restoreReserve() async throws {
        guard store.keepsReserve, try await store.size(Self.reserve) == nil else { return }
        try await store.put(
            Self.reserve, [.init(repeating: 0, count: Self.reserveLength)])
    }

    private func putWithReserve(_ list: CondemnedList) async throws {
        do {
            try await put(list)
        } catch let failure as Failure where failure.code == .noSpace {
            try await store.delete(Self.reserve)
            try await put(list)
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
