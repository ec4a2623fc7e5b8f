public import FoundationEssentials
public import Model

/// Another store, of which what is small and wanted again and again is kept on this machine.
///
/// Only who asks for ``Nearness/kept`` gets anything from there: whoever wants to know what the store
/// has is told by the store. Listings, sizes and times are always its own.
public final class CachingStore: ObjectStore {
    private let base: any ObjectStore
    private let cache: ObjectCache

    public init(_ base: any ObjectStore, cache: ObjectCache) {
        self.base = base
        self.cache = cache
    }

    public var place: String { base.place }
    public var keepsReserve: Bool { base.keepsReserve }
    public var isRemote: Bool { base.isRemote }
    public var lockSpan: TimeSpan? { base.lockSpan }

    public func get(_ key: ObjectKey, _ range: ObjectRange) async throws -> Data {
        try await base.get(key, range)
    }

    public func get(
        _ key: ObjectKey, _ range: ObjectRange, _ nearness: Nearness
    ) async throws -> Data {
        switch nearness {
        case .store: return try await base.get(key, range)
        case .kept:
            if let kept = await cache.read(key, range) { return kept }
        case .renewed: await cache.drop(key)
        }
        let bytes = try await base.get(key, range)
        await cache.keep(key, range, bytes)
        return bytes
    }

    // What this process replaces or removes is kept no longer.

    public func put(_ key: ObjectKey, _ parts: [Data]) async throws {
        await cache.drop(key)
        try await base.put(key, parts)
    }

    public func delete(_ key: ObjectKey) async throws {
        await cache.drop(key)
        try await base.delete(key)
    }

    public func move(_ key: ObjectKey, to other: ObjectKey) async throws {
        await cache.drop(key)
        try await base.move(key, to: other)
    }

    public func size(_ key: ObjectKey) async throws -> UInt64? { try await base.size(key) }
    public func list(_ prefix: String) async throws -> [StoredObject] {
        try await base.list(prefix)
    }
    public func now() async throws -> Timestamp { try await base.now() }
    public func prepare() async throws { try await base.prepare() }
    public func sweep(olderThan age: TimeSpan) async throws -> Int {
        try await base.sweep(olderThan: age)
    }
    public func lockedUntil(_ key: ObjectKey) async throws -> Timestamp? {
        try await base.lockedUntil(key)
    }
    public func lock(_ key: ObjectKey, until moment: Timestamp) async throws {
        try await base.lock(key, until: moment)
    }
    public func foreignNames() async throws -> [String] { try await base.foreignNames() }
}
