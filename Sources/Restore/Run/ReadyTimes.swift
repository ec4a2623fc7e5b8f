import Engine
import Model
import Synchronization

/// When each step could have begun, and did: what the proof of a step tells of its times before the
/// run is over.
final class ReadyTimes: Sendable {
    private struct State {
        var ended: [String: TimeSpan] = [:]
        var first: [String: TimeSpan] = [:]
    }

    private let needs: [String: [String]]
    private let began: TimeSpan
    private let state = Mutex(State())

    /// - Parameter began: When what needs nothing could begin.
    init(_ graph: Graph, at began: TimeSpan) {
        needs = Dictionary(uniqueKeysWithValues: graph.nodes.map { ($0.id, $0.needs) })
        self.began = began
    }

    /// Notes an attempt.
    ///
    /// - Returns: When all it needs was done, and when its first attempt began.
    func begin(_ id: String, at time: TimeSpan) -> (ready: TimeSpan, first: TimeSpan) {
        state.withLock { state in
            let first = state.first[id] ?? time
            state.first[id] = first
            let ready = (needs[id] ?? []).compactMap { state.ended[$0] }.max() ?? began
            return (min(ready, first), first)
        }
    }

    /// Notes that it was done.
    func end(_ id: String, at time: TimeSpan) { state.withLock { $0.ended[id] = time } }
}
