import Engine
import Repository

/// Runs `body` on a thread that may block for long.
///
/// - Parameter body: Is given a function that throws when the task was cancelled, to be called often.
/// - Throws: What `body` throws; damage of the repository as a `Failure`.
func blockingWork<Value: Sendable>(
    _ body: @escaping @Sendable (_ check: @escaping @Sendable () throws -> Void) throws -> Value
) async throws -> Value {
    try await BlockingPool.shared.runCancellable { check in
        try damageAsFailure { try body(check) }
    }
}
