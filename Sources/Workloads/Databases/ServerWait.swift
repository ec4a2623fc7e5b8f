import Engine
import Model

/// Waits until a database server is ready; asks five times a second.
///
/// - Parameter isReady: May throw while nobody answers; a failure of usage ends the waiting.
/// - Throws: The last of its failures when `patience` is over.
func waitForServer(
    _ patience: Duration, until isReady: () async throws -> Bool
) async throws -> ReplayOutcome {
    let start = ContinuousClock.now
    var lastError = Failure(.failed, "the server did not answer")
    while ContinuousClock.now - start < patience {
        do {
            if try await isReady() { return ReplayOutcome() }
        } catch {
            try Task.checkCancellation()
            lastError = Failure(wrapping: error)
            if lastError.code == .usage { throw lastError }
        }
        try await Task.sleep(for: .milliseconds(200))
    }
    lastError.hint = lastError.hint ?? "is the server running, and is its address right?"
    throw lastError.during("no answer after \(TimeSpan(patience))")
}
