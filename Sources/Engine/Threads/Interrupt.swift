import CLinux
import Glibc
import Synchronization

/// Ends a blocking wait from another thread: a flag that `poll` can see.
///
/// Once raised it stays raised. Threads that wait for a descriptor wait for this one too.
public final class Interrupt: Sendable {
    /// Readable after ``raise()``; owned by this object.
    public let descriptor: Int32
    private let raised = Atomic<Bool>(false)

    public init() throws(SystemError) {
        descriptor = dr_eventfd()
        if descriptor < 0 { throw .last("eventfd", "interrupt") }
    }

    deinit { close(descriptor) }

    public var isRaised: Bool { raised.load(ordering: .acquiring) }

    /// Lets every waiter go on; may be called from any thread, any number of times.
    public func raise() {
        raised.store(true, ordering: .releasing)
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// Waits until `descriptor` has one of `events` (or an error), this is raised, or time is up.
    ///
    /// - Parameter milliseconds: Longest wait; negative for no limit.
    /// - Returns: What `poll` said of `descriptor`; 0 when raised or out of time.
    public func wait(for descriptor: Int32, events: Int32, milliseconds: Int32 = -1) -> Int32 {
        var watched = [
            pollfd(fd: descriptor, events: Int16(events), revents: 0),
            pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        while !isRaised {
            let count = poll(&watched, 2, milliseconds)
            if count < 0, errno == EINTR { continue }
            return isRaised ? 0 : Int32(watched[0].revents)
        }
        return 0
    }
}

/// Runs `body` without SIGPIPE: a write to a reader that is gone gives EPIPE on this thread.
///
/// The thread's signal mask is put back, so that a program started from it later does not inherit
/// the change.
public func withoutBrokenPipeSignal<Value>(_ body: () throws -> Value) rethrows -> Value {
    var blocked = sigset_t()
    var before = sigset_t()
    sigemptyset(&blocked)
    sigaddset(&blocked, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &blocked, &before)
    defer {
        if sigismember(&before, SIGPIPE) == 0 {
            var now = timespec()
            while sigtimedwait(&blocked, nil, &now) > 0 {}
        }
        pthread_sigmask(SIG_SETMASK, &before, nil)
    }
    return try body()
}

/// Runs `body` on a thread of its own, for work that takes as long as a transfer takes.
///
/// When the task is cancelled `interrupt` is raised; `body` must then end soon.
public func onThread<Value: Sendable>(
    name: String, interrupt: Interrupt, _ body: @escaping @Sendable () throws -> Value
) async throws -> Value {
    try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
            WorkerThread.detach(name: name) {
                let result = withoutBrokenPipeSignal { Result { try body() } }
                continuation.resume(with: result)
            }
        }
    } onCancel: {
        interrupt.raise()
    }
}
