import CLinux
import Glibc

/// A value behind a lock, with a way to wait on a thread until it is as wished.
///
/// For the data path's threads; never called on the cooperative pool, where waiting would hold one
/// of its few threads.
public final class Monitor<State>: @unchecked Sendable {
    // Proof: `state` is only touched between lock and unlock of `mutex`; the pointers are set once
    // in `init` and freed in `deinit`, when nobody else holds the object.
    private var state: State
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    public init(_ state: State) {
        self.state = state
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Changes the value and wakes all who wait on it.
    public func update<Result>(
        _ body: (inout State) throws -> Result
    ) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
        }
        return try body(&state)
    }

    /// Waits until `body` returns something, calling it again after each change.
    ///
    /// `body` may change the value when it returns something; others are woken then.
    public func wait<Result>(
        for body: (inout State) throws -> Result?
    ) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = try body(&state) {
                pthread_cond_broadcast(condition)
                return result
            }
            pthread_cond_wait(condition, mutex)
        }
    }
}
