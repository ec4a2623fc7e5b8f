import Engine
public import Model

/// What the store's own clock says of snapshots: unlike the times in them, nobody who merely writes
/// can choose it.
public struct StoreTimes: Sendable, Hashable {
    /// When the store took each snapshot's record.
    public var stored: [SnapshotID: Timestamp] = [:]
    /// The store's clock now.
    public var now = Timestamp(nanoseconds: 0)
    /// When the repository as a whole was copied to where it is; nil when it was made there. What
    /// was copied along has the time of the copy.
    public var moved: Timestamp?

    public init() {}
}

extension BackupRepository {
    /// When the store took every snapshot that it lists.
    public func storeTimes() async throws -> StoreTimes {
        var times = StoreTimes()
        times.now = try await store.now()
        for object in try await store.list("snapshots") {
            if let id = SnapshotID(object.key.name) { times.stored[id] = object.stored }
        }
        times.moved = try await whenMoved()
        return times
    }

    /// A key slot says when it was made. Where the store took every one of them long after, all that
    /// is in it was copied there.
    private func whenMoved() async throws -> Timestamp? {
        let made = Dictionary(
            try await KeyRing.read(store).slots.map { ($0.objectKey, $0.created) }
        ) { first, _ in first }
        var moved: Timestamp?
        for object in try await store.list(KeySlot.prefix) {
            guard let made = made[object.key] else { continue }
            guard object.stored - made > TimeSpan(seconds: 86400) else { return nil }
            moved = min(moved ?? object.stored, object.stored)
        }
        return moved
    }
}
