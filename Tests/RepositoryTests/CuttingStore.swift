import FoundationEssentials
import Model
import Repository
import Synchronization

/// A store that is cut off after so many changes, as by a power cut: the last one happened or did
/// not, and nothing works any more.
final class CuttingStore: ObjectStore {
    struct Cut: Error {}

    private let base: any ObjectStore
    private let left: Mutex<Int>
    private let appliesLast: Bool

    /// - Parameters:
    ///   - changes: How many changes succeed.
    ///   - appliesLast: The change that fails has happened all the same.
    init(_ base: any ObjectStore, after changes: Int, appliesLast: Bool = false) {
        self.base = base
        left = Mutex(changes)
        self.appliesLast = appliesLast
    }

    /// Whether it has been cut off.
    var isCut: Bool { left.withLock { $0 < 0 } }

    private func change(_ body: () async throws -> Void) async throws {
        let place = left.withLock { left in
            left -= 1
            return left
        }
        if place >= 0 { return try await body() }
        if place == -1, appliesLast { try await body() }
        throw Cut()
    }

    private func check() throws { if isCut { throw Cut() } }

    var place: String { base.place }
    var keepsReserve: Bool { base.keepsReserve }

    func put(_ key: ObjectKey, _ parts: [Data]) async throws {
        try await change { try await base.put(key, parts) }
    }
    func delete(_ key: ObjectKey) async throws { try await change { try await base.delete(key) } }
    func move(_ key: ObjectKey, to other: ObjectKey) async throws {
        try await change { try await base.move(key, to: other) }
    }
    func get(_ key: ObjectKey, _ range: ObjectRange) async throws -> Data {
        try check()
        return try await base.get(key, range)
    }
    func size(_ key: ObjectKey) async throws -> UInt64? {
        try check()
        return try await base.size(key)
    }
    func list(_ prefix: String) async throws -> [StoredObject] {
        try check()
        return try await base.list(prefix)
    }
    func now() async throws -> Timestamp { try await base.now() }
}

/// A store with room for so many bytes.
final class FullStore: ObjectStore {
    private let base: any ObjectStore
    private let capacity = Mutex(UInt64.max)

    init(_ base: any ObjectStore) { self.base = base }

    /// Leaves room for no more than `bytes` on top of what is there.
    func leave(_ bytes: UInt64) async throws {
        let used = try await used()
        capacity.withLock { $0 = used + bytes }
    }

    func used() async throws -> UInt64 { try await base.list("").reduce(0) { $0 + $1.size } }

    var place: String { "a full disk" }
    var keepsReserve: Bool { true }

    func put(_ key: ObjectKey, _ parts: [Data]) async throws {
        let size = parts.reduce(0) { $0 + UInt64($1.count) }
        let used = try await used()
        guard capacity.withLock({ used + size <= $0 }) else {
            throw Failure(.noSpace, "no space for \(key)", side: .repository)
        }
        try await base.put(key, parts)
    }
    func delete(_ key: ObjectKey) async throws { try await base.delete(key) }
    func get(_ key: ObjectKey, _ range: ObjectRange) async throws -> Data {
        try await base.get(key, range)
    }
    func size(_ key: ObjectKey) async throws -> UInt64? { try await base.size(key) }
    func list(_ prefix: String) async throws -> [StoredObject] { try await base.list(prefix) }
    func now() async throws -> Timestamp { try await base.now() }
}

extension MemoryStore {
    /// Another store with the same objects.
    func copy() async throws -> MemoryStore {
        let copy = MemoryStore(clock: try await now())
        for object in try await list("") {
            try await copy.put(object.key, [try await get(object.key, .whole)])
        }
        return copy
    }
}
