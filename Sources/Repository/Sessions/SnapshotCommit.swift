import Engine
public import Model

extension BackupRepository {
    /// Writes a snapshot's record so that prune, wherever it runs, cannot have taken what it needs.
    ///
    /// What was condemned since the session began, and is needed, is stored again before; every pack
    /// that is needed is there after.
    ///
    /// - Parameters:
    ///   - session: Flushed; has everything that the snapshot refers to.
    ///   - known: Packs that were condemned when the session began, which it has not used.
    public func commit(
        _ snapshot: SnapshotRecord, session: WriteSession, lease: SessionLease,
        index: any ChunkIndex, known: Set<PackID>
    ) async throws {
        let condemned = try await condemnedPacks().subtracting(known)
        if !condemned.isEmpty {
            try await rescue(snapshot, from: condemned, session: session, index: index)
        }
        try lease.check()
        try await put(snapshot)
        do {
            try await checkPacks(of: snapshot, index: index)
        } catch {
            // The caller says that the workload was not saved: nothing may look as if it were.
            try? await remove(snapshot.id)
            throw error
        }
    }

    /// Stores again what `snapshot` needs of packs that are about to be deleted.
    private func rescue(
        _ snapshot: SnapshotRecord, from condemned: Set<PackID>, session: WriteSession,
        index: any ChunkIndex
    ) async throws {
        try await BlockingPool.shared.run { [self] in
            let reader = makeReader(index: index)
            let writer = session.makeContentWriter()
            writer.begin()
            try forEachReference(of: snapshot, reader: reader) { references in
                let places = try index.locate(references.map(\.id))
                for (reference, place) in zip(references, places) {
                    guard let place, condemned.contains(place.pack) else { continue }
                    try writer.storeAgain(
                        reference.id, try reader.anyChunk(reference.id, UInt32(reference.length)))
                }
            }
            try writer.drain()
            try session.flush()
        }
    }

    private func checkPacks(of snapshot: SnapshotRecord, index: any ChunkIndex) async throws {
        var missing = Set(try index.packs().keys).subtracting(try await listPacks().keys)
        if missing.isEmpty { return }
        // A listing may lag behind: only what a second one lacks too is missing.
        missing.subtract(try await listPacks().keys)
        let gone = missing
        if gone.isEmpty { return }
        let needed = try await BlockingPool.shared.run { [self] in
            var needed: Set<PackID> = []
            try forEachReference(of: snapshot, reader: makeReader(index: index)) { references in
                for place in try index.locate(references.map(\.id)) {
                    if let place, gone.contains(place.pack) { needed.insert(place.pack) }
                }
            }
            return needed
        }
        try index.remove(gone)
        if let pack = needed.sorted().first {
            throw Failure(
                .failed, "pack \(pack) is missing from \(store.place) after it was written",
                hint: "the store is not to be trusted, or somebody deletes in it; run it again",
                side: .repository, isTransient: true)
        }
    }

    /// Calls `body` with stored references of everything a snapshot is made of, some at a time.
    private func forEachReference(
        of snapshot: SnapshotRecord, reader: ChunkReader,
        _ body: ([ChunkReference]) throws -> Void
    ) throws {
        var batch: [ChunkReference] = []
        func add(_ content: ContentReference) throws {
            try reader.forEachReference(content) { reference in
                if !reference.isZeros { batch.append(reference) }
            }
            if batch.count >= 4096 {
                try body(batch)
                batch.removeAll(keepingCapacity: true)
            }
        }
        for part in snapshot.parts {
            try add(part.content)
            if part.kind == .tree {
                try reader.entries(part.content) { try add($0.content) }
            }
        }
        try body(batch)
    }
}
