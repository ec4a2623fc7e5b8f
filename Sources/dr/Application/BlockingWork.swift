import Engine
import Model
import Repository
import Synchronization

/// Runs `body` on a thread that may block for long.
///
/// - Parameter body: Is given a function that throws when the task was cancelled, to be called often.
/// - Throws: What `body` throws; damage of the repository as a `Failure`.
func blockingWork<Value: Sendable>(
    _ body: @escaping @Sendable (_ check: @escaping @Sendable () throws -> Void) throws -> Value
) async throws -> Value {
    let flag = CancellationFlag()
    return try await withTaskCancellationHandler {
        try Task.checkCancellation()
        return try await BlockingPool.shared.run {
            do {
                return try body {
                    if flag.isSet.load(ordering: .relaxed) { throw CancellationError() }
                }
            } catch let error as FormatError {
                throw error.failure
            } catch is ObjectMissing {
                throw Failure(
                    .damaged, "a pack is missing from the repository",
                    hint: "run 'dr check' to see what is affected", side: .repository)
            }
        }
    } onCancel: {
        flag.isSet.store(true, ordering: .relaxed)
    }
}

/// Whether somebody has lost interest.
private final class CancellationFlag: Sendable {
    let isSet = Atomic<Bool>(false)
}
