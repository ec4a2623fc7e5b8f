import Engine
public import Model

/// What could be saved of damaged packs.
public struct SalvageResult: Sendable, Codable, Hashable {
    /// Chunks that could be read and are in new packs now.
    public var savedChunks = 0
    /// Chunks that were needed or listed and cannot be read.
    public var lostChunks = 0
    /// Packs that were set aside.
    public var packs = 0

    public init() {}
}

extension BackupRepository {
    /// Where damaged objects are moved to, under their own names.
    static let damagedPrefix = "damaged"

    /// Stores again what can still be read of damaged packs, then sets them aside and forgets their
    /// places, so that what is lost is stored again when a backup meets it.
    ///
    /// May be interrupted anywhere: what was not set aside is still there.
    ///
    /// - Parameters:
    ///   - lease: A session of the caller's: new packs are written.
    ///   - progress: Told packs that are done.
    public func salvage(
        _ damaged: [PackID], index: any ChunkIndex, lease: SessionLease,
        options: WriteOptions = WriteOptions(),
        progress: @escaping @Sendable (Int) -> Void = { _ in }
    ) async throws -> SalvageResult {
        var result = SalvageResult()
        guard !damaged.isEmpty else { return result }
        let session = makeWriteSession(
            index: UncondemnedIndex(index, without: Set(damaged)), options: options)
        do {
            let counts = try await saveReadable(Set(damaged), session, index, progress)
            try await BlockingPool.shared.run { try session.flush() }
            (result.savedChunks, result.lostChunks) = counts
        } catch {
            session.cancel(error)
            try? await BlockingPool.shared.run { session.close() }
            throw error
        }
        try await BlockingPool.shared.run { session.close() }
        try lease.check()
        for pack in damaged {
            try await setAside(PackLayout.objectKey(pack).path)
            result.packs += 1
        }
        try await BlockingPool.shared.run { try index.remove(Set(damaged)) }
        return result
    }

    /// Moves an object to `damaged/`; one that is gone is no error.
    public func setAside(_ name: String) async throws {
        guard let key = ObjectKey(validating: name),
            let aside = ObjectKey(validating: "\(Self.damagedPrefix)/\(name)"),
            try await store.size(key) != nil
        else { return }
        do {
            try await store.move(key, to: aside)
        } catch is ObjectMissing {
            return
        }
    }

    private func saveReadable(
        _ damaged: Set<PackID>, _ session: WriteSession, _ index: any ChunkIndex,
        _ progress: @escaping @Sendable (Int) -> Void
    ) async throws -> (saved: Int, lost: Int) {
        var lists: [PackID: PackContents] = [:]
        for (pack, size) in try await listPacks() where damaged.contains(pack) {
            lists[pack] = try await unlessDamaged {
                try await packs.contents(of: pack, size: size)
            }
        }
        // The places of packs whose own lists cannot be read are known from before, if at all; their
        // chunks are found through the snapshots that need them.
        let records =
            lists.count < damaged.count ? try await readableRecords(listSnapshots()) : []
        let known = lists
        return try await BlockingPool.shared.runCancellable { [self] check in
            let writer = session.makeContentWriter()
            writer.begin()
            var saver = ChunkSaver(
                writer: writer, reader: makeReader(index: index, cache: ByteCount(8 << 20)),
                index: index, damaged: damaged)
            for (number, pack) in damaged.sorted().enumerated() {
                try check()
                if let list = known[pack] {
                    try saver.save(
                        list.chunks.map {
                            ChunkReference(id: $0.id, length: UInt64($0.length))
                        })
                }
                progress(number + 1)
            }
            let reader = makeReader(index: index)
            for record in records {
                try check()
                let walk = DamagedWalk(reader: reader)
                try walk.follow(record) { try saver.save($0) }
            }
            try writer.drain()
            return (saver.saved, saver.lost)
        }
    }

    private func readableRecords(_ snapshots: Set<SnapshotID>) async throws -> [SnapshotRecord] {
        var records: [SnapshotRecord] = []
        for id in snapshots.sorted() {
            if let record = try await unlessDamaged({ try await snapshot(id) }) {
                records.append(record)
            }
        }
        return records
    }
}

/// Whether it says nothing of what was read: what cannot be had now is not lost.
private func isPassing(_ error: any Error) -> Bool {
    error is CancellationError || (error as? Failure)?.isTransient ?? false
}

/// What `body` gives; nil for damage.
private func unlessDamaged<Value: Sendable>(
    _ body: () async throws -> Value
) async throws -> Value? {
    do {
        return try await body()
    } catch  where isPassing(error) {
        throw error
    } catch {
        return nil
    }
}

/// Stores chunks anew that can be read although their pack is damaged; owned by one thread.
private struct ChunkSaver {
    let writer: ContentWriter
    let reader: ChunkReader
    let index: any ChunkIndex
    let damaged: Set<PackID>
    private(set) var saved = 0
    private(set) var lost = 0
    private var done: Set<ChunkID> = []

    init(
        writer: ContentWriter, reader: ChunkReader, index: any ChunkIndex, damaged: Set<PackID>
    ) {
        self.writer = writer
        self.reader = reader
        self.index = index
        self.damaged = damaged
    }

    mutating func save(_ references: [ChunkReference]) throws {
        let places = try index.locate(references.map(\.id))
        for (reference, place) in zip(references, places) {
            guard let place, damaged.contains(place.pack), done.insert(reference.id).inserted else {
                continue
            }
            let bytes: [UInt8]
            do {
                bytes = try reader.anyChunk(reference.id, UInt32(clamping: reference.length))
            } catch  where isPassing(error) {
                throw error
            } catch {
                // Damaged, cut off, or on a sector that the disk does not give back.
                lost += 1
                continue
            }
            try writer.store(reference.id, bytes)
            saved += 1
        }
    }
}

/// Follows references as far as they can be followed.
private struct DamagedWalk {
    let reader: ChunkReader

    func follow(_ record: SnapshotRecord, _ body: ([ChunkReference]) throws -> Void) throws {
        for part in record.parts {
            try follow(part.content.references, part.content.depth, body)
            guard part.kind == .tree else { continue }
            var failure: (any Error)?
            do {
                try reader.entries(part.content, reads: true) { entry in
                    do {
                        try follow(entry.content.references, entry.content.depth, body)
                    } catch {
                        // Not damage, which is passed over below, but a reason to stop.
                        failure = error
                        throw error
                    }
                }
            } catch {
                if let failure { throw failure }
                if isPassing(error) { throw error }
            }
        }
    }

    private func follow(
        _ references: [ChunkReference], _ depth: UInt8, _ body: ([ChunkReference]) throws -> Void
    ) throws {
        let stored = references.filter { !$0.isZeros }
        try body(stored)
        guard depth > 0 else { return }
        for (number, reference) in stored.enumerated() {
            reader.fetchAhead(stored, from: number)
            let children: [ChunkReference]
            do {
                children = try reader.children(reference, depth)
            } catch  where isPassing(error) {
                throw error
            } catch {
                continue
            }
            try follow(children, depth - 1, body)
        }
    }
}
