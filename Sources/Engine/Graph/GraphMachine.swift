public import Model

/// Decides what of a graph runs when; a value that knows no clock, thread or error.
///
/// Events go in, actions come out. Of the nodes whose needs are done, those with the longest
/// remaining path are started first, as far as the limits leave room: what stands at the beginning
/// of the longest chain decides when all is over. A failure stops only what depends on it.
public struct GraphMachine: Sendable {
    public enum Event: Sendable, Hashable {
        /// Comes once, first.
        case begin
        case finished(Int)
        /// An attempt failed; `isTransient` when another one may help.
        case failed(Int, isTransient: Bool)
        /// The pause before another attempt is over.
        case pauseEnded(Int)
        /// Nothing more is to be started; what runs is to end soon.
        case cancel
    }

    public enum Action: Sendable, Hashable {
        /// Begin attempt number `attempt`, counted from 1.
        case start(Int, attempt: Int)
        /// Send `pauseEnded` after this time; nothing is held meanwhile.
        case pause(Int, for: TimeSpan)
        /// It will not run, because `cause` failed; nil when all was cancelled.
        case notExecuted(Int, cause: Int?)
        /// Nothing runs or waits any more; comes once, last.
        case done
    }

    public enum State: Sendable, Hashable {
        case waiting(missing: Int)
        case ready
        case running(attempt: Int)
        case pausing(attempt: Int)
        case done
        case failed
        case notExecuted
    }

    public let graph: Graph
    public private(set) var states: [State]
    public private(set) var isCancelled = false
    private let limits: GraphLimits
    /// By node: its place in the order of preference, 0 first. `nodeAt` is the inverse.
    private let places: [Int]
    private let nodeAt: [Int]
    /// Nodes that want the same amounts of the same resources wait in one queue.
    private let queueOf: [Int]
    private var queues: [IndexHeap]
    private let demands: [[(resource: Int, amount: Int)]]
    private var free: [Int]
    private var attempts: [Int]
    private var running = 0
    private var unfinished: Int
    private var isDone = false

    /// - Parameter preference: Node indices, the first to be preferred among ready ones; nil for
    ///   longest remaining path first, equal ones in the order given.
    /// - Throws: ``GraphError`` when a node wants more than there is.
    public init(_ graph: Graph, limits: GraphLimits = GraphLimits(), preference: [Int]? = nil)
        throws(GraphError)
    {
        self.graph = graph
        self.limits = limits
        states = graph.needs.map { .waiting(missing: $0.count) }
        attempts = [Int](repeating: 0, count: graph.nodes.count)
        unfinished = graph.nodes.count
        nodeAt = preference ?? Self.longestFirst(graph)
        var places = [Int](repeating: 0, count: graph.nodes.count)
        for (place, node) in nodeAt.enumerated() { places[node] = place }
        self.places = places

        let names = limits.resources.keys.sorted()
        free = names.map { limits.resources[$0] ?? 0 }
        var known: [[Int]: Int] = [:]
        var demands: [[(resource: Int, amount: Int)]] = []
        var queueOf: [Int] = []
        for node in graph.nodes {
            var demand: [(resource: Int, amount: Int)] = []
            for (resource, name) in names.enumerated() {
                let amount = node.resources[name] ?? 0
                guard amount <= limits.resources[name] ?? 0 else {
                    throw .impossibleDemand(node: node.id, resource: name)
                }
                if amount > 0 { demand.append((resource, amount)) }
            }
            let key = demand.flatMap { [$0.resource, $0.amount] }
            if known[key] == nil {
                known[key] = demands.count
                demands.append(demand)
            }
            queueOf.append(known[key] ?? 0)
        }
        self.demands = demands
        self.queueOf = queueOf
        queues = demands.map { _ in IndexHeap() }
    }

    static func longestFirst(_ graph: Graph) -> [Int] {
        graph.nodes.indices.sorted {
            graph.remaining[$0] != graph.remaining[$1]
                ? graph.remaining[$0] > graph.remaining[$1] : $0 < $1
        }
    }

    /// How many nodes run, and how many wait for another attempt.
    public var activity: (running: Int, pausing: Int) {
        let pausing = states.count { if case .pausing = $0 { true } else { false } }
        return (running, pausing)
    }

    /// Takes an event and says what to do about it.
    public mutating func handle(_ event: Event) -> [Action] { handle([event]) }

    /// Takes events of one moment, and then says what to do about all of them: none of the room that
    /// one leaves is given away before the others are known.
    public mutating func handle(_ events: [Event]) -> [Action] {
        var actions: [Action] = []
        for event in events { take(event, &actions) }
        startReady(&actions)
        if unfinished == 0, !isDone {
            isDone = true
            actions.append(.done)
        }
        return actions
    }

    private mutating func take(_ event: Event, _ actions: inout [Action]) {
        switch event {
        case .begin:
            for node in graph.order where states[node] == .waiting(missing: 0) { enqueue(node) }
        case .finished(let node):
            guard case .running = states[node] else { return }
            release(node)
            states[node] = .done
            unfinished -= 1
            for dependent in graph.dependents[node] { arrive(at: dependent) }
        case .failed(let node, let isTransient):
            guard case .running(let attempt) = states[node] else { return }
            release(node)
            let retry = graph.nodes[node].retry
            if !isCancelled, isTransient || !retry.onlyTransient,
                let pause = retry.pause(after: attempt)
            {
                states[node] = .pausing(attempt: attempt)
                actions.append(.pause(node, for: pause))
            } else {
                states[node] = .failed
                unfinished -= 1
                abandon(dependentsOf: node, &actions)
            }
        case .pauseEnded(let node):
            guard case .pausing = states[node] else { return }
            enqueue(node)
        case .cancel:
            cancelAll(&actions)
        }
    }

    private mutating func enqueue(_ node: Int) {
        if isCancelled {
            // Reached only by what finished after the cancellation: dependents are given up there.
            return
        }
        states[node] = .ready
        queues[queueOf[node]].insert(places[node])
    }

    /// One of what `node` waits for is over.
    private mutating func arrive(at node: Int) {
        guard case .waiting(let missing) = states[node] else { return }
        states[node] = .waiting(missing: missing - 1)
        if missing == 1 { enqueue(node) }
    }

    private mutating func release(_ node: Int) {
        running -= 1
        for (resource, amount) in demands[queueOf[node]] { free[resource] += amount }
    }

    private mutating func startReady(_ actions: inout [Action]) {
        guard !isCancelled else { return }
        while running < limits.total ?? .max {
            var best: (place: Int, queue: Int)?
            for (queue, heap) in queues.enumerated() {
                guard let place = heap.smallest, place < best?.place ?? .max,
                    demands[queue].allSatisfy({ free[$0.resource] >= $0.amount })
                else { continue }
                best = (place, queue)
            }
            guard let best, let place = queues[best.queue].popSmallest() else { return }
            let node = nodeAt[place]
            for (resource, amount) in demands[best.queue] { free[resource] -= amount }
            running += 1
            attempts[node] += 1
            states[node] = .running(attempt: attempts[node])
            actions.append(.start(node, attempt: attempts[node]))
        }
    }

    /// Gives up what needs `node`, directly or not, that was not given up yet; what only follows one
    /// of them goes on.
    private mutating func abandon(dependentsOf node: Int, _ actions: inout [Action]) {
        var over = [node]
        while let ended = over.popLast() {
            for current in graph.dependents[ended] {
                guard case .waiting = states[current] else { continue }
                if graph.followed[current].contains(ended) {
                    arrive(at: current)
                    continue
                }
                states[current] = .notExecuted
                unfinished -= 1
                actions.append(.notExecuted(current, cause: node))
                over.append(current)
            }
        }
    }

    private mutating func cancelAll(_ actions: inout [Action]) {
        guard !isCancelled else { return }
        isCancelled = true
        for queue in queues.indices { queues[queue] = IndexHeap() }
        for node in graph.order {
            switch states[node] {
            case .waiting, .ready, .pausing:
                states[node] = .notExecuted
                unfinished -= 1
                actions.append(.notExecuted(node, cause: nil))
            case .running, .done, .failed, .notExecuted: break
            }
        }
    }
}
