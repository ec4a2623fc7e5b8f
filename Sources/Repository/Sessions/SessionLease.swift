public import Engine
import FoundationEssentials
public import Model
import Synchronization

/// Says that somebody is writing: `sessions/<id>`, renewed as long as the writer lives.
///
/// Not a lock: nobody waits for it to write. Prune looks at it before it deletes. A session that was
/// not renewed for ``lapse`` of the store's time has ended, whatever became of its writer; a writer
/// that notices that much of its own time has passed stops.
public final class SessionLease: Sendable {
    /// How long a session counts after its last renewal.
    public static let lapse = TimeSpan(seconds: 3600)
    /// How often it is renewed.
    package static let interval = TimeSpan(seconds: 600)
    static let prefix = "sessions"

    /// What the object holds.
    struct Content: Codable {
        var id: Identifier<SessionLease>
        var host: String
        var processID: Int32
        var renewals: Int
        /// Whom it belongs to, when that one never has two at a time; nil when nobody knows.
        var owner: String?
    }

    private struct State {
        var content: Content
        var renewed: TimeSpan
        /// The longest time without a renewal, of those that were followed by one.
        var longestGap = TimeSpan(seconds: 0)
        var task: Task<Void, Never>?
    }

    private let repository: BackupRepository
    private let timepiece: any Timepiece
    private let state: Mutex<State>
    private let usesReserve: Bool
    let key: ObjectKey

    init(
        repository: BackupRepository, host: String, processID: Int32, timepiece: any Timepiece,
        owner: String?, usesReserve: Bool
    ) {
        self.usesReserve = usesReserve
        self.repository = repository
        self.timepiece = timepiece
        let id = Identifier<SessionLease>.random()
        key = ObjectKey("\(Self.prefix)/\(id)")
        state = Mutex(
            State(
                content: Content(
                    id: id, host: host, processID: processID, renewals: 0, owner: owner),
                renewed: timepiece.monotonic, task: nil))
    }

    deinit { state.withLock { $0.task }?.cancel() }

    /// Writes the object; until this returns nobody counts on the session.
    func renew() async throws {
        let began = timepiece.monotonic
        let content = state.withLock { state in
            state.content.renewals += 1
            return state.content
        }
        try await repository.putRecord(
            try StableJSON.encode(content), as: key, usingReserve: usesReserve)
        let ended = timepiece.monotonic
        state.withLock { state in
            // A renewal that came too late brings the session back, but not what went in between.
            state.longestGap = max(state.longestGap, ended - state.renewed)
            state.renewed = began
        }
    }

    /// Renews from time to time until the session ends.
    func keepRenewing() {
        let task = Task { [weak self, timepiece] in
            while !Task.isCancelled {
                do { try await timepiece.sleep(for: Self.interval) } catch { return }
                // A renewal that fails is tried again; ``check()`` tells when it is too late.
                try? await self?.renew()
            }
        }
        state.withLock { $0.task = task }
    }

    /// Throws when the session may have lapsed, now or ever: what prune deleted then is not known.
    public func check() throws {
        let now = timepiece.monotonic
        let age = state.withLock { max($0.longestGap, now - $0.renewed) }
        guard age < TimeSpan(seconds: Self.lapse.seconds * 0.75) else {
            throw Failure(
                .failed,
                "this run's session in \(repository.store.place) was not renewed for \(age)",
                hint: "the machine slept or the repository could not be reached: run it again",
                side: .repository, isTransient: true)
        }
    }

    /// Ends the session; one that cannot be removed lapses by itself.
    public func end() async {
        let task = state.withLock { $0.task }
        task?.cancel()
        // A renewal that is under way would bring the session back after its end.
        await task?.value
        try? await repository.store.delete(key)
    }
}

extension BackupRepository {
    /// Begins a session: from now on nothing is deleted that this writer may count on.
    ///
    /// Files that crashed writers left half written are removed along the way.
    ///
    /// - Parameters:
    ///   - owner: Names something that has one session at a time, as whoever holds a run lock during
    ///     one boot of a machine does. Another session of the same owner is a dead one.
    ///   - usesReserve: The caller makes room: on a full disk the reserve is given up for it.
    public func beginSession(
        host: String, processID: Int32, timepiece: any Timepiece, owner: String? = nil,
        usesReserve: Bool = false
    ) async throws -> SessionLease {
        let lease = SessionLease(
            repository: self, host: host, processID: processID, timepiece: timepiece, owner: owner,
            usesReserve: usesReserve)
        do {
            try await lease.renew()
        } catch {
            // It may be there all the same, and would hold deletion back until it lapses.
            await lease.end()
            throw error
        }
        lease.keepRenewing()
        _ = try? await store.sweep(olderThan: SessionLease.lapse)
        return lease
    }

    /// How many sessions count now; those that lapsed more than a day ago are removed.
    ///
    /// - Parameters:
    ///   - own: Is not counted.
    ///   - owner: Sessions of this owner other than `own` are left over, and removed.
    public func liveSessions(besides own: SessionLease? = nil, owner: String? = nil) async throws
        -> Int
    {
        // A listing may lag behind: a session that either of two shows counts.
        var newest: [ObjectKey: Timestamp] = [:]
        for _ in 0..<2 {
            for object in try await store.list(SessionLease.prefix) {
                newest[object.key] = max(newest[object.key] ?? object.stored, object.stored)
            }
        }
        let now = try await store.now()
        var live = 0
        for (key, stored) in newest.sorted(by: { $0.value < $1.value }) where key != own?.key {
            let age = now - stored
            let isDead: Bool
            if age < SessionLease.lapse {
                isDead = await isLeftOver(key, of: owner)
                if !isDead { live += 1 }
            } else {
                isDead = age > TimeSpan(seconds: 86400)
            }
            // A store whose credentials may not delete keeps them; they do no harm.
            if isDead { try? await store.delete(key) }
        }
        return live
    }

    /// Whether a session belonged to `owner`, who has another one now. What cannot be read is live.
    private func isLeftOver(_ key: ObjectKey, of owner: String?) async -> Bool {
        guard let owner else { return false }
        do {
            let plain = try SealedRecord.open(
                try await store.get(key, .whole), as: key, with: secrets)
            return try StableJSON.decode(SessionLease.Content.self, from: plain).owner == owner
        } catch {
            return false
        }
    }
}
