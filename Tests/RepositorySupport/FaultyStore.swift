public import FoundationEssentials
public import Model
public import Repository
import Synchronization

/// Makes calls of another store go wrong, as a script says.
///
/// Without a script it is the other store. Rules are looked at in their order; the first that fits a
/// call decides what becomes of it. Safe to use from anywhere.
public final class FaultyStore: ObjectStore {
    private struct State {
        var rules: [StoreRule]
        var hasCrashed = false
        /// Names in the order in which they were stored, the newest last.
        var order: [ObjectKey] = []
        var calls: [String] = []
        var faults = 0
    }

    private let base: any ObjectStore
    private let state: Mutex<State>

    public init(_ base: any ObjectStore, _ rules: [StoreRule] = []) {
        self.base = base
        state = Mutex(State(rules: rules))
    }

    /// Adds a rule behind the others.
    public func add(_ rule: StoreRule) { state.withLock { $0.rules.append(rule) } }
    /// Nothing goes wrong any more; a crashed process stays crashed.
    public func clear() { state.withLock { $0.rules = [] } }
    /// How many calls went wrong so far.
    public var faults: Int { state.withLock { $0.faults } }
    /// Every call so far: `put packs/3f/3f…`.
    public var calls: [String] { state.withLock { $0.calls } }
    /// How many calls of one kind so far.
    public func count(_ method: StoreMethod, _ prefix: String = "") -> Int {
        calls.count { $0.hasPrefix("\(method) \(prefix)") }
    }

    public var place: String { base.place }
    public var keepsReserve: Bool { base.keepsReserve }
    public var isRemote: Bool { base.isRemote }

    /// Takes the fault for a call, if there is one.
    private func next(_ method: StoreMethod, _ path: String) throws -> StoreFault? {
        let fault: StoreFault? = try state.withLock { state in
            if state.hasCrashed { throw StoreCrash() }
            state.calls.append("\(method) \(path)")
            for number in state.rules.indices where state.rules[number].fits(method, path) {
                if state.rules[number].skip > 0 {
                    state.rules[number].skip -= 1
                    continue
                }
                guard state.rules[number].times > 0 else { continue }
                state.rules[number].times -= 1
                state.faults += 1
                return state.rules[number].fault
            }
            return nil
        }
        switch fault {
        case .failBefore(let failure): throw failure
        case .crashBefore:
            state.withLock { $0.hasCrashed = true }
            throw StoreCrash()
        case .noSpace:
            throw Failure(.noSpace, "\(base.place) is full", side: .repository)
        case .forbidden:
            throw Failure(.failed, "\(method) \(path): not allowed", side: .repository)
        default: return fault
        }
    }

    /// Does the work of a call between what comes before and after.
    private func call<Value: Sendable>(
        _ method: StoreMethod, _ path: String, lied: Value? = nil,
        _ work: () async throws -> Value, changed: (StoreFault, Value) -> Value = { $1 }
    ) async throws -> Value {
        let fault = try next(method, path)
        if case .hold(let gate) = fault { try await gate.pass() }
        if case .lie = fault, let lied { return lied }
        let value = try await work()
        switch fault {
        case .failAfter(let failure): throw failure
        case .crashAfter:
            state.withLock { $0.hasCrashed = true }
            throw StoreCrash()
        case let other?: return changed(other, value)
        case nil: return value
        }
    }

    public func put(_ key: ObjectKey, _ parts: [Data]) async throws {
        try await call(.put, key.path, lied: ()) {
            try await base.put(key, parts)
            state.withLock { state in
                state.order.removeAll { $0 == key }
                state.order.append(key)
            }
        }
    }

    public func get(_ key: ObjectKey, _ range: ObjectRange) async throws -> Data {
        try await call(.get, key.path) {
            try await base.get(key, range)
        } changed: { fault, data in
            switch fault {
            case .truncate(let count): return Data(data.prefix(count))
            case .flip(let position) where !data.isEmpty:
                var wrong = data
                wrong[wrong.startIndex + position % wrong.count] ^= 1 << UInt8(position & 7)
                return wrong
            default: return data
            }
        }
    }

    public func size(_ key: ObjectKey) async throws -> UInt64? {
        try await call(.size, key.path) { try await base.size(key) }
    }

    public func list(_ prefix: String) async throws -> [StoredObject] {
        try await call(.list, prefix) {
            try await base.list(prefix)
        } changed: { fault, objects in
            guard case .stale(let count) = fault else { return objects }
            let newest = Set(state.withLock { $0.order.suffix(count) })
            return objects.filter { !newest.contains($0.key) }
        }
    }

    public func delete(_ key: ObjectKey) async throws {
        try await call(.delete, key.path, lied: ()) { try await base.delete(key) }
    }

    public func now() async throws -> Timestamp {
        try await call(.now, "") { try await base.now() }
    }

    public func move(_ key: ObjectKey, to other: ObjectKey) async throws {
        try await call(.move, key.path, lied: ()) { try await base.move(key, to: other) }
    }

    public func sweep(olderThan age: TimeSpan) async throws -> Int {
        try await call(.sweep, "") { try await base.sweep(olderThan: age) }
    }

    public func foreignNames() async throws -> [String] {
        try await call(.list, "") { try await base.foreignNames() }
    }
}
