import Engine
import FoundationEssentials
import Model
import Repository
import Synchronization

/// A rule of the protocol that a process of the simulation breaks, to show that the simulation
/// notices. Each is a lie that the store tells that one process, as if the process had not looked.
enum BrokenRule: String, CaseIterable, Sendable {
    case none
    /// A writer does not say that it is there.
    case writerWithoutSession
    /// A writer never looks at the condemned lists.
    case writerIgnoresCondemned
    /// A writer looks at them when it begins, and not again before it commits.
    case commitSkipsCondemned
    /// A writer does not check that the packs it refers to are there.
    case commitSkipsPacks
    /// A writer does not notice that it slept.
    case writerIgnoresLapse
    /// Prune deletes whoever writes.
    case pruneIgnoresSessions
    /// Prune does not say that it is there.
    case pruneWithoutSession
    /// Prune does not look at the snapshots again before it deletes.
    case pruneSkipsSecondMark
    /// Prune deletes without condemning first.
    case pruneWithoutCondemning
    /// Prune does not notice that it slept.
    case pruneIgnoresLapse
    /// Snapshots are removed without a tombstone.
    case forgetWithoutTombstone
    /// A reader does not list packs again when one is gone.
    case readerKeepsPlaces

    /// What other rules make good, unless several things go wrong at once: few seeds show it.
    /// (What becomes of a reader with old places is a test of its own, in `PruneTests`: here two prunes
    /// have to end within one restore.)
    static let rare: Set<Self> = [
        .commitSkipsCondemned, .writerIgnoresLapse, .pruneIgnoresLapse, .readerKeepsPlaces,
    ]
}

/// What a process of the simulation is doing.
enum Purpose: String, Sendable {
    case backup, forget, prune, check, restore
}

/// The simulated world's store as one process sees it.
final class SimulatedStore: ObjectStore {
    let world: SimulatedWorld
    let process: Int
    private let purpose: Purpose
    private let brokenRule: BrokenRule

    private struct State {
        var isCommitting = false
        /// What a broken rule says was stored.
        var pretended: [ObjectKey: Data] = [:]
        /// First answers to listings, given again and again.
        var firstLists: [String: [StoredObject]] = [:]
        var allPacks: [ObjectKey: StoredObject] = [:]
    }
    private let state = Mutex(State())

    init(_ world: SimulatedWorld, process: Int, _ purpose: Purpose, _ brokenRule: BrokenRule) {
        self.world = world
        self.process = process
        self.purpose = purpose
        self.brokenRule = brokenRule
    }

    var place: String { "the simulation" }

    func setCommitting(_ value: Bool) { state.withLock { $0.isCommitting = value } }

    /// The process's clock.
    var timepiece: any Timepiece {
        let isFrozen =
            (brokenRule == .writerIgnoresLapse && purpose == .backup)
            || (brokenRule == .pruneIgnoresLapse && purpose == .prune)
        return SimulatedTimepiece(world: world, process: process, isFrozen: isFrozen)
    }

    private func pretends(_ key: ObjectKey) -> Bool {
        switch brokenRule {
        case .writerWithoutSession: purpose == .backup && key.path.hasPrefix("sessions/")
        case .pruneWithoutSession: purpose == .prune && key.path.hasPrefix("sessions/")
        case .pruneWithoutCondemning: purpose == .prune && key.path.hasPrefix("condemned/")
        case .forgetWithoutTombstone: purpose == .forget && key.path.hasPrefix("writers/")
        default: false
        }
    }

    func put(_ key: ObjectKey, _ parts: [Data]) async throws {
        let whole = parts.reduce(into: Data()) { $0.append($1) }
        if pretends(key) {
            state.withLock { $0.pretended[key] = whole }
        } else {
            _ = try await world.call(.put(key, whole), by: process)
        }
        if brokenRule == .commitSkipsPacks, purpose == .backup, key.path.hasPrefix("packs/") {
            let stored = StoredObject(
                key: key, size: UInt64(whole.count), stored: Timestamp(nanoseconds: 0))
            state.withLock { $0.allPacks[key] = stored }
        }
    }

    func get(_ key: ObjectKey, _ range: ObjectRange) async throws -> Data {
        if let data = state.withLock({ $0.pretended[key] }) { return data }
        guard case .data(let data) = try await world.call(.get(key, range), by: process) else {
            throw ObjectMissing(key)
        }
        return data
    }

    func size(_ key: ObjectKey) async throws -> UInt64? {
        if let stored = state.withLock({ $0.allPacks[key] }) { return stored.size }
        guard case .size(let size) = try await world.call(.size(key), by: process) else {
            return nil
        }
        return size
    }

    func list(_ prefix: String) async throws -> [StoredObject] {
        if hides(prefix) { return [] }
        let repeats = repeatsFirstList(of: prefix)
        if repeats, let first = state.withLock({ $0.firstLists[prefix] }) { return first }
        guard case .objects(var objects) = try await world.call(.list(prefix), by: process) else {
            return []
        }
        if repeats { state.withLock { $0.firstLists[prefix] = objects } }
        if brokenRule == .commitSkipsPacks, purpose == .backup, prefix == "packs" {
            objects = state.withLock { state in
                for object in objects { state.allPacks[object.key] = object }
                return Array(state.allPacks.values)
            }
        }
        return objects
    }

    private func hides(_ prefix: String) -> Bool {
        switch (brokenRule, prefix) {
        case (.writerIgnoresCondemned, "condemned"): purpose == .backup
        case (.commitSkipsCondemned, "condemned"):
            purpose == .backup && state.withLock { $0.isCommitting }
        case (.pruneIgnoresSessions, "sessions"): purpose == .prune
        default: false
        }
    }

    private func repeatsFirstList(of prefix: String) -> Bool {
        switch (brokenRule, prefix) {
        case (.pruneSkipsSecondMark, "snapshots"), (.pruneSkipsSecondMark, "writers"):
            purpose == .prune
        case (.readerKeepsPlaces, "packs"): purpose == .restore
        default: false
        }
    }

    func delete(_ key: ObjectKey) async throws {
        if state.withLock({ $0.pretended.removeValue(forKey: key) }) != nil { return }
        _ = try await world.call(.delete(key), by: process)
    }

    func now() async throws -> Timestamp { world.clock }
}

/// The world's clock as a process sees it.
struct SimulatedTimepiece: Timepiece {
    let world: SimulatedWorld
    let process: Int
    var isFrozen = false

    var monotonic: TimeSpan {
        isFrozen ? .zero : TimeSpan(nanoseconds: world.clock.nanoseconds)
    }
    var wall: Timestamp { world.clock }
    func sleep(for span: TimeSpan) async throws { try await world.sleep(span, process) }
}
