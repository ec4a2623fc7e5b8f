public import FoundationEssentials
public import Model
import Synchronization

/// Objects in memory, for tests and for the simulator.
public final class MemoryStore: ObjectStore {
    private struct State {
        var objects: [String: (bytes: Data, stored: Timestamp)] = [:]
        var clock: Timestamp
    }
    private let state: Mutex<State>

    public let keepsReserve: Bool

    /// - Parameter clock: What `now` says; moves on by a microsecond with each `put`.
    public init(
        clock: Timestamp = Timestamp(nanoseconds: 1_700_000_000_000_000_000),
        keepsReserve: Bool = false
    ) {
        state = Mutex(State(clock: clock))
        self.keepsReserve = keepsReserve
    }

    public var place: String { "memory" }

    public func put(_ key: ObjectKey, _ parts: [Data]) async throws {
        let whole = parts.reduce(into: Data()) { $0.append($1) }
        state.withLock {
            $0.clock = $0.clock + TimeSpan(nanoseconds: 1000)
            $0.objects[key.path] = (whole, $0.clock)
        }
    }

    public func get(_ key: ObjectKey, _ range: ObjectRange) async throws -> Data {
        guard let bytes = state.withLock({ $0.objects[key.path]?.bytes }) else {
            throw ObjectMissing(key)
        }
        switch range {
        case .whole: return bytes
        case .bytes(let offset, let length):
            return Data(bytes.dropFirst(Int(clamping: offset)).prefix(length))
        case .suffix(let length): return Data(bytes.suffix(length))
        }
    }

    public func size(_ key: ObjectKey) async throws -> UInt64? {
        state.withLock { $0.objects[key.path].map { UInt64($0.bytes.count) } }
    }

    public func list(_ prefix: String) async throws -> [StoredObject] {
        let start = prefix.isEmpty ? "" : prefix + "/"
        return state.withLock { state in
            state.objects.filter { $0.key.hasPrefix(start) }.map {
                StoredObject(
                    key: ObjectKey($0.key), size: UInt64($0.value.bytes.count),
                    stored: $0.value.stored)
            }
        }
    }

    public func delete(_ key: ObjectKey) async throws {
        state.withLock { _ = $0.objects.removeValue(forKey: key.path) }
    }

    public func now() async throws -> Timestamp { state.withLock { $0.clock } }

    /// Moves the clock of the store.
    public func advance(by span: TimeSpan) {
        state.withLock { $0.clock = $0.clock + span }
    }
}
