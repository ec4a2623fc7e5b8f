public import Engine
public import Model
import Synchronization

/// A clock that stands still until everything that is under way waits for it, and then jumps to the
/// moment at which the first of the sleepers wakes.
///
/// Whoever runs the work says with ``setActive(_:)`` how many activities are under way. Time passes
/// exactly when all of them sleep, so that measured times are the same in every run.
public final class ManualTimepiece: Timepiece {
    private struct Sleeper {
        var wakes: TimeSpan
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now: TimeSpan
        var wallOffset: Timestamp
        var active = 0
        var next = 0
        var sleepers: [Int: Sleeper] = [:]
        var cancelled: Set<Int> = []
    }

    private let state: Mutex<State>

    /// - Parameter wall: The time of day when the monotonic clock says 0.
    public init(wall: Timestamp = Timestamp(nanoseconds: 1_795_312_800_000_000_000)) {
        state = Mutex(State(now: .zero, wallOffset: wall))
    }

    public var monotonic: TimeSpan { state.withLock { $0.now } }
    public var wall: Timestamp { state.withLock { $0.wallOffset + $0.now } }

    /// Lets time pass without anybody asleep.
    public func advance(by span: TimeSpan) { state.withLock { $0.now += span } }

    /// Sets the time of day, as an administrator or NTP would.
    public func jumpWall(by span: TimeSpan) {
        state.withLock { $0.wallOffset = $0.wallOffset + span }
    }

    /// Says how many activities are under way, sleeping or not.
    public func setActive(_ count: Int) {
        state.withLock { $0.active = count }
        wakeIfAllSleep()
    }

    public func sleep(for span: TimeSpan) async throws {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isCancelled = state.withLock { state in
                    if state.cancelled.remove(id) != nil { return true }
                    state.sleepers[id] = Sleeper(
                        wakes: state.now + max(.zero, span), continuation: continuation)
                    return false
                }
                if isCancelled {
                    continuation.resume(throwing: CancellationError())
                } else {
                    wakeIfAllSleep()
                }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                let sleeper = state.sleepers.removeValue(forKey: id)
                if sleeper == nil { state.cancelled.insert(id) }
                return sleeper
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    private func wakeIfAllSleep() {
        let woken = state.withLock { state -> [CheckedContinuation<Void, any Error>] in
            guard state.active > 0, state.sleepers.count >= state.active,
                let next = state.sleepers.values.map(\.wakes).min()
            else { return [] }
            state.now = max(state.now, next)
            // One at a time, in the order of their falling asleep: equal runs stay equal.
            guard
                let first = state.sleepers.filter({ $0.value.wakes <= state.now }).keys.min(),
                let sleeper = state.sleepers.removeValue(forKey: first)
            else { return [] }
            return [sleeper.continuation]
        }
        for continuation in woken { continuation.resume() }
    }
}
