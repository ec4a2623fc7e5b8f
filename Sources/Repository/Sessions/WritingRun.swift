public import Engine
public import Model
import Synchronization

/// One run that writes snapshots: its session, and what it may count on.
///
/// The order in which it begins is what makes deleting safe. First the session, which prune looks for
/// before it deletes; then the condemned lists, which prune writes before it looks for sessions; then
/// the packs, so that what went before the session began is not known any more.
public final class WritingRun: Sendable {
    public let session: WriteSession
    /// What the run may refer to: all that is known but what is about to be deleted.
    public let index: UncondemnedIndex
    /// Packs whose list cannot be read, with the reason.
    public let unreadable: [PackID: String]
    private let repository: BackupRepository
    private let base: any ChunkIndex
    private let lease: SessionLease
    /// The index's when the run began: another one means that something was forgotten since.
    private let generation: UInt64
    private let verified = Mutex<Set<PackID>>([])

    init(
        repository: BackupRepository, base: any ChunkIndex, lease: SessionLease,
        condemned: Set<PackID>, unreadable: [PackID: String], options: WriteOptions
    ) throws {
        self.repository = repository
        self.base = base
        self.lease = lease
        self.unreadable = unreadable
        index = UncondemnedIndex(base, without: condemned)
        generation = try base.generation()
        session = repository.makeWriteSession(index: index, options: options)
    }

    /// Whether the run may refer to everything that `snapshot` refers to, so that what has not changed
    /// since need not be looked at chunk by chunk.
    ///
    /// - Parameter known: The index's generation in which that was so; nil when nobody knows.
    public func holds(_ snapshot: SnapshotRecord, known: UInt64?) async throws -> Bool {
        if index.excludesNothing, try known == base.generation() { return true }
        return try await repository.isWhole(snapshot, index: index)
    }

    /// Writes a snapshot's record so that prune, wherever it runs, cannot have taken what it needs.
    ///
    /// What is condemned and needed is stored again before. Every pack that is needed is there, and
    /// the session has not lapsed, after: until this returns nobody may call the snapshot saved.
    ///
    /// - Parameter snapshot: Refers to what ``session`` has flushed, or what ``index`` has.
    public func commit(_ snapshot: SnapshotRecord) async throws {
        try await verifyOwnPacks()
        let condemned = try await repository.condemnedPacks(besides: lease)
        if !condemned.isEmpty { try await rescue(snapshot, from: condemned) }
        try lease.check()
        do {
            try await repository.put(snapshot)
            try await checkPacks(of: snapshot, outside: condemned)
            // Whoever deletes has seen this session, and looks at the snapshots once it has ended.
            try lease.check()
        } catch {
            // The caller says that the workload was not saved: nothing may look as if it were.
            try? await repository.remove(snapshot.id)
            throw error
        }
    }

    /// Ends the threads and the session.
    ///
    /// - Parameter error: Why it ends early; what was not committed is given up.
    public func end(_ error: (any Error)? = nil) async {
        if let error { session.cancel(error) }
        try? await BlockingPool.shared.run { [session] in session.close() }
        await lease.end()
    }

    /// A store that only says that it has a pack is found out before anything refers to it.
    private func verifyOwnPacks() async throws {
        let packs = session.storedPacks.filter { pack in
            !verified.withLock { $0.contains(pack.key) }
        }.sorted { $0.key < $1.key }
        _ = try await sideBySide(packs, atOnce: repository.store.callsAtOnce) {
            [self] pack, size in
            guard try await repository.store.size(PackLayout.objectKey(pack)) == size else {
                try base.remove([pack])
                throw missing(pack)
            }
            verified.withLock { _ = $0.insert(pack) }
        }
    }

    private func missing(_ pack: PackID) -> Failure {
        Failure(
            .failed, "pack \(pack) is missing from \(repository.store.place) after it was written",
            hint: "the store is not to be trusted, or somebody deletes in it; run it again",
            side: .repository, isTransient: true)
    }

    /// Stores again what `snapshot` needs of packs that are about to be deleted.
    private func rescue(_ snapshot: SnapshotRecord, from condemned: Set<PackID>) async throws {
        try await BlockingPool.shared.run { [self] in
            let reader = repository.makeReader(index: base)
            let writer = session.makeContentWriter()
            writer.begin()
            try repository.forEachReference(of: snapshot, reader: reader) { references in
                let places = try base.locate(references.map(\.id))
                for (reference, place) in zip(references, places) {
                    if let place, !condemned.contains(place.pack) { continue }
                    try writer.storeAgain(
                        reference.id, try reader.anyChunk(reference.id, UInt32(reference.length)))
                }
            }
            try writer.drain()
            try session.flush()
        }
        try await verifyOwnPacks()
    }

    /// Looks whether everything that `snapshot` needs is in packs that stay.
    private func checkPacks(of snapshot: SnapshotRecord, outside condemned: Set<PackID>)
        async throws
    {
        var missing = Set(try base.packs().keys).subtracting(try await repository.listPacks().keys)
        if !missing.isEmpty {
            // A listing may lag behind: only what a second one lacks too is missing.
            missing.subtract(try await repository.listPacks().keys)
            try base.remove(missing)
        }
        // Nothing that was known when the run began has been forgotten: then all of it is there.
        if condemned.isEmpty, try base.generation() == generation { return }
        let lost = try await BlockingPool.shared.run { [self] in
            var lost: ChunkID?
            let reader = repository.makeReader(index: base)
            try repository.forEachReference(of: snapshot, reader: reader) { references in
                let places = try base.locate(references.map(\.id))
                for (reference, place) in zip(references, places) {
                    if let place, !condemned.contains(place.pack) { continue }
                    lost = reference.id
                }
            }
            return lost
        }
        if let lost {
            throw Failure(
                .failed,
                "chunk \(lost.short) is missing from \(repository.store.place) after it was written",
                hint: "the store is not to be trusted, or somebody deletes in it; run it again",
                side: .repository, isTransient: true)
        }
    }
}

extension BackupRepository {
    /// Begins a run that writes; brings `index` up to date. End it.
    ///
    /// - Parameter owner: As in ``beginSession(host:processID:timepiece:owner:usesReserve:)``.
    public func beginWriting(
        index: any ChunkIndex, options: WriteOptions = WriteOptions(), host: String,
        processID: Int32, timepiece: any Timepiece, owner: String? = nil
    ) async throws -> WritingRun {
        let lease = try await beginSession(
            host: host, processID: processID, timepiece: timepiece, owner: owner)
        do {
            let condemned = try await condemnedPacks(besides: lease)
            let change = try await refresh(index)
            return try await BlockingPool.shared.run {
                try WritingRun(
                    repository: self, base: index, lease: lease, condemned: condemned,
                    unreadable: change.unreadable, options: options)
            }
        } catch {
            await lease.end()
            throw error
        }
    }
}
