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
    static let interval = TimeSpan(seconds: 600)
    static let prefix = "sessions"

    /// What the object holds.
    struct Content: Codable {
        var id: Identifier<SessionLease>
        var host: String
        var processID: Int32
        var renewals: Int
    }

    private struct State {
        var content: Content
        var renewed: TimeSpan
        var task: Task<Void, Never>?
    }

    private let repository: BackupRepository
    private let timepiece: any Timepiece
    private let state: Mutex<State>
    private let key: ObjectKey

    init(repository: BackupRepository, host: String, processID: Int32, timepiece: any Timepiece) {
        self.repository = repository
        self.timepiece = timepiece
        let id = Identifier<SessionLease>.random()
        key = ObjectKey("\(Self.prefix)/\(id)")
        state = Mutex(
            State(
                content: Content(id: id, host: host, processID: processID, renewals: 0),
                renewed: timepiece.monotonic, task: nil))
    }

    /// Writes the object; until this returns nobody counts on the session.
    func renew() async throws {
        let began = timepiece.monotonic
        let content = state.withLock { state in
            state.content.renewals += 1
            return state.content
        }
        let sealed = try SealedRecord.seal(
            try StableJSON.encode(content), as: key, with: repository.secrets)
        try await repository.store.put(key, [sealed])
        state.withLock { $0.renewed = began }
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

    /// Throws when the session may have lapsed: what prune deleted since is not known.
    public func check() throws {
        let age = timepiece.monotonic - state.withLock { $0.renewed }
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
        state.withLock { $0.task }?.cancel()
        try? await repository.store.delete(key)
    }
}

extension BackupRepository {
    /// Begins a session: from now on nothing is deleted that this writer may count on.
    ///
    /// Sessions that lapsed long ago are removed along the way.
    public func beginSession(host: String, processID: Int32, timepiece: any Timepiece) async throws
        -> SessionLease
    {
        let lease = SessionLease(
            repository: self, host: host, processID: processID, timepiece: timepiece)
        try await lease.renew()
        lease.keepRenewing()
        return lease
    }

    /// How many sessions count now; those that lapsed more than a day ago are removed.
    public func liveSessions() async throws -> Int {
        let now = try await store.now()
        var live = 0
        for object in try await store.list(SessionLease.prefix) {
            let age = now - object.stored
            if age < SessionLease.lapse {
                live += 1
            } else if age > TimeSpan(seconds: 86400) {
                // A store whose credentials may not delete keeps them; they do no harm.
                try? await store.delete(object.key)
            }
        }
        return live
    }
}
