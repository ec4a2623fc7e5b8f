import Engine
public import Model

/// What ``BackupRepository/keepLocked(_:index:)`` came to.
public struct LockKeeping: Sendable, Hashable {
    /// Of each group of snapshots: until when nobody can delete anything that it needs.
    public var until: [Timestamp]
    /// Objects that were locked for longer.
    public var renewed: Int
}

extension BackupRepository {
    /// Locks everything of some snapshots anew whose lock has less than half of its time left: what
    /// new snapshots share with old ones is then as safe as what is new in them.
    ///
    /// Asks the store for the lock of each pack and record, and of what opens the repository.
    ///
    /// - Parameter groups: Snapshots whose locks are told together.
    /// - Returns: nil where the store locks nothing.
    public func keepLocked(
        _ groups: [[SnapshotRecord]], index: any ChunkIndex
    ) async throws -> LockKeeping? {
        guard let span = store.lockSpan else { return nil }
        var needed: [Set<ObjectKey>] = []
        for group in groups { needed.append(try await objects(of: group, index: index)) }
        let opening =
            [RepositoryConfiguration.key] + (try await store.list(KeySlot.prefix)).map(\.key)
        let keys = needed.reduce(into: Set(opening)) { $0.formUnion($1) }.sorted()
        let now = try await store.now()
        let least = now + TimeSpan(nanoseconds: span.nanoseconds / 2)
        let locks = try await sideBySide(keys, atOnce: store.callsAtOnce) { [store] key in
            if let until = try await store.lockedUntil(key), until >= least {
                return (key: key, until: until, isNew: false)
            }
            try await store.lock(key, until: now + span)
            return (key: key, until: now + span, isNew: true)
        }
        let until = Dictionary(uniqueKeysWithValues: locks.map { ($0.key, $0.until) })
        return LockKeeping(
            until: needed.map { $0.union(opening).compactMap { until[$0] }.min() ?? now },
            renewed: locks.count(where: \.isNew))
    }

    /// The records and packs that snapshots need.
    private func objects(
        of snapshots: [SnapshotRecord], index: any ChunkIndex
    ) async throws -> Set<ObjectKey> {
        let packs = try await BlockingPool.shared.runCancellable { [self] check in
            var packs: Set<PackID> = []
            let reader = makeReader(index: index)
            for snapshot in snapshots {
                try forEachReference(of: snapshot, reader: reader) { references in
                    try check()
                    for place in try index.locate(references.map(\.id)) {
                        if let place { packs.insert(place.pack) }
                    }
                }
            }
            return packs
        }
        return Set(packs.map { PackLayout.objectKey($0) })
            .union(snapshots.map { Self.objectKey($0.id) })
    }
}
