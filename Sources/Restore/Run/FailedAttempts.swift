import Model
import Synchronization

/// What the attempts of steps failed with: the last error alone often hides the first cause.
final class FailedAttempts: Sendable {
    private let messages = Mutex<[String: [String]]>([:])

    func note(_ error: any Error, attempt: Int, of step: String) {
        guard !(error is CancellationError) else { return }
        messages.withLock {
            $0[step, default: []].append(
                "attempt \(attempt) failed: \(Failure(wrapping: error).description)")
        }
    }

    /// In their order; empty for a step that never failed.
    func notes(of step: String) -> [String] { messages.withLock { $0[step] ?? [] } }
}
