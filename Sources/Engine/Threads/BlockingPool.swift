import CLinux
import Glibc
import Synchronization

/// Threads for calls that block, so that they never hold one of the cooperative pool's few.
///
/// Threads are made when work waits and none is idle, up to a limit, and end after a while without
/// work. Safe to use from anywhere.
public final class BlockingPool: Sendable {
    private struct State {
        var queue: [@Sendable () -> Void] = []
        var head = 0
        var idle = 0
        var threads = 0
    }

    private let state = Mutex(State())
    private let wake = Wakeup()
    private let limit: Int

    /// - Parameter limit: Most threads at once; work beyond it waits its turn.
    public init(limit: Int) { self.limit = limit }

    /// The pool for short waits: file system calls, small writes, one process's exit.
    public static let shared = BlockingPool(limit: 64)

    /// Runs `body` on a thread of the pool and returns what it returns.
    public func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            submit { continuation.resume(with: Result { try body() }) }
        }
    }

    private func submit(_ work: @escaping @Sendable () -> Void) {
        let needsThread = state.withLock { state in
            state.queue.append(work)
            if state.idle >= state.queue.count - state.head || state.threads >= limit {
                return false
            }
            state.threads += 1
            return true
        }
        if needsThread {
            WorkerThread.detach(name: "dr-blocking") { [self] in serve() }
        } else {
            wake.signal()
        }
    }

    private func serve() {
        while true {
            let work: (@Sendable () -> Void)? = state.withLock { state in
                guard state.head < state.queue.count else {
                    state.queue.removeAll(keepingCapacity: true)
                    state.head = 0
                    state.idle += 1
                    return nil
                }
                let next = state.queue[state.head]
                state.head += 1
                return next
            }
            if let work {
                work()
                continue
            }
            wake.wait()
            state.withLock { $0.idle -= 1 }
        }
    }
}

/// A counting semaphore.
public final class Wakeup: Sendable {
    // sem_t is made for use from several threads at once; its address is fixed by the allocation.
    private nonisolated(unsafe) let semaphore: UnsafeMutablePointer<sem_t>

    public init(value: UInt32 = 0) {
        semaphore = .allocate(capacity: 1)
        sem_init(semaphore, 0, value)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    /// Lets one waiter go on.
    public func signal() { sem_post(semaphore) }

    /// Waits for a signal.
    public func wait() { while sem_wait(semaphore) != 0 && errno == EINTR {} }
}

/// Something that is done once, waited for by one thread, and used again.
public final class Completion: Sendable {
    private let wakeup = Wakeup()
    private let flag = Atomic<Bool>(false)

    public init() {}

    /// Says that it is done; everything written before is seen by the waiter.
    public func signal() {
        flag.store(true, ordering: .releasing)
        wakeup.signal()
    }

    /// Whether ``wait()`` would return at once.
    public var isSignalled: Bool { flag.load(ordering: .acquiring) }

    /// Waits for the signal and takes it back.
    public func wait() {
        wakeup.wait()
        flag.store(false, ordering: .relaxed)
    }
}

/// Processors this process may run on.
public func processorCount() -> Int {
    max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
}

/// Starts plain threads.
public enum WorkerThread {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// A started thread that must be joined once.
    public struct Handle: Sendable {
        fileprivate let thread: pthread_t

        /// Waits for the thread's end.
        public func join() { pthread_join(thread, nil) }
    }

    /// Starts a thread that runs `body` and ends; 2 MiB of stack.
    ///
    /// - Parameter name: Shown by `top -H`; at most 15 bytes.
    public static func start(name: String, _ body: @escaping @Sendable () -> Void) -> Handle {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, 2 << 20)
        var thread = pthread_t()
        let context = Unmanaged.passRetained(
            Body {
                dr_name_this_thread(name)
                body()
            }
        ).toOpaque()
        let result = pthread_create(
            &thread, &attributes,
            { context in
                if let context { Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run() }
                return nil
            }, context)
        pthread_attr_destroy(&attributes)
        precondition(result == 0, "the system starts no more threads: \(result)")
        return Handle(thread: thread)
    }

    /// Starts a thread that nobody waits for.
    public static func detach(name: String, _ body: @escaping @Sendable () -> Void) {
        pthread_detach(start(name: name, body).thread)
    }
}

/// Waits on a thread, never on the cooperative pool, for something asynchronous.
///
/// For the data path's threads, which call the store's asynchronous interface.
public func waitBlocking<Value: Sendable>(
    _ body: @escaping @Sendable () async throws -> Value
) throws -> Value {
    let done = Wakeup()
    let result = Mutex<Result<Value, any Error>?>(nil)
    Task.detached {
        let outcome: Result<Value, any Error>
        do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
        result.withLock { $0 = outcome }
        done.signal()
    }
    done.wait()
    guard let outcome = result.withLock({ $0 }) else { throw CancellationError() }
    return try outcome.get()
}
