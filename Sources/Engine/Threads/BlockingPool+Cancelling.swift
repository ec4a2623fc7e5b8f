import Synchronization

extension BlockingPool {
    private final class Flag: Sendable {
        let isRaised = Atomic<Bool>(false)
    }

    /// Runs `body` on a thread of the pool; when the task is cancelled, the check it is given throws
    /// `CancellationError` from then on.
    public func runCancellable<Value: Sendable>(
        _ body: @escaping @Sendable (_ check: @escaping @Sendable () throws -> Void) throws -> Value
    ) async throws -> Value {
        let flag = Flag()
        return try await withTaskCancellationHandler {
            try Task.checkCancellation()
            return try await run {
                try body {
                    if flag.isRaised.load(ordering: .relaxed) { throw CancellationError() }
                }
            }
        } onCancel: {
            flag.isRaised.store(true, ordering: .relaxed)
        }
    }
}
