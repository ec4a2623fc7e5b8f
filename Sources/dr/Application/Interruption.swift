import CLinux
import Engine
import Glibc
import Model
import Synchronization

/// What Ctrl-C, `kill` and a closed terminal do: the first time the work is cancelled and ends in
/// order, the second time the process ends at once.
///
/// The handlers are reset in programs that `dr` starts. A signal that was ignored when `dr` was
/// started (`nohup`) stays ignored.
final class Interruption: Sendable {
    private struct State {
        var received: ExitCode?
        var onSignal: (@Sendable (ExitCode) -> Void)?
    }

    private let state = Mutex(State())

    /// The exit code that the first signal asks for; nil when none came.
    var received: ExitCode? { state.withLock { $0.received } }

    /// Calls `body` once, when the first signal has come or if it already has.
    func onSignal(_ body: @escaping @Sendable (ExitCode) -> Void) {
        let already = state.withLock { state in
            state.onSignal = body
            return state.received
        }
        if let already { body(already) }
    }

    /// Begins to watch; called once, at the start of the process.
    func watch() {
        var ends: [Int32] = [-1, -1]
        guard dr_pipe(&ends) == 0 else { return }
        dr_watch_signals(ends[1])
        let reader = ends[0]
        WorkerThread.detach(name: "dr-signals") { [self] in
            var number: UInt8 = 0
            while true {
                let count = read(reader, &number, 1)
                if count == 1 { break }
                if count == 0 || errno != EINTR { return }
            }
            let code: ExitCode = Int32(number) == SIGINT ? .interrupted : .terminated
            let body = state.withLock { state in
                state.received = code
                return state.onSignal
            }
            body?(code)
        }
    }
}
