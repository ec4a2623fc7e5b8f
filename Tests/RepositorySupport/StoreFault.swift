import Engine
public import Model

/// One of a store's calls.
public enum StoreMethod: String, Sendable, Hashable, CaseIterable {
    case put, get, size, list, delete, now, move, sweep
}

/// What becomes of a call.
public enum StoreFault: Sendable {
    /// It fails and has done nothing.
    case failBefore(Failure)
    /// It has done its work, and the answer is lost.
    case failAfter(Failure)
    /// The process ends before the call has done anything: it and every later call throws
    /// ``StoreCrash``, and none of them does anything.
    case crashBefore
    /// The process ends right after.
    case crashAfter
    /// A put or delete that says it is done and is not.
    case lie
    /// A listing that lacks so many of the objects that were stored last.
    case stale(Int)
    /// A get that gives only the first part of what it should, of so many bytes at most.
    case truncate(Int)
    /// A get that gives one bit wrong; of which byte, modulo the length.
    case flip(Int)
    /// It waits for the gate to open, and does its work then: so later calls overtake it.
    case hold(StoreGate)
    /// The store is full.
    case noSpace
    /// The credentials do not suffice.
    case forbidden
}

/// The process that called is no more.
public struct StoreCrash: Error, Sendable, Hashable {
    public init() {}
}

/// Calls wait here until it opens.
public final class StoreGate: Sendable {
    private let state = Monitor((isOpen: false, waiting: 0))

    public init() {}

    /// Lets all go on, those that come later too.
    public func open() { state.update { $0.isOpen = true } }

    /// Waits until so many calls wait; blocks.
    public func awaitWaiting(_ count: Int) { state.wait { $0.waiting >= count ? () : nil } }

    func pass() async throws {
        try await BlockingPool.shared.run { [state] in
            state.update { $0.waiting += 1 }
            state.wait { $0.isOpen ? () : nil }
        }
    }
}

/// A fault, and the calls that it happens to.
public struct StoreRule: Sendable {
    public var method: StoreMethod?
    /// First components of the name; empty for every object.
    public var prefix: String
    /// How many fitting calls pass before.
    public var skip: Int
    /// How many it happens to after that.
    public var times: Int
    public var fault: StoreFault

    /// - Parameters:
    ///   - method: nil for any.
    ///   - prefix: For example `packs`.
    ///   - skip: Fitting calls that pass before the first fault.
    ///   - times: Faults; then all pass again.
    public init(
        _ fault: StoreFault, on method: StoreMethod? = nil, _ prefix: String = "", skip: Int = 0,
        times: Int = 1
    ) {
        self.fault = fault
        self.method = method
        self.prefix = prefix
        self.skip = skip
        self.times = times
    }

    func fits(_ method: StoreMethod, _ path: String) -> Bool {
        (self.method ?? method) == method
            && (prefix.isEmpty || path == prefix || path.hasPrefix(prefix + "/"))
    }
}
