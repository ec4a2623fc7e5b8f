public import Model

/// Carries a graph out: the night's jobs and the incident's steps alike.
///
/// All work is done in child tasks, so that nothing runs on when ``run(_:observe:body:)`` has
/// returned, and cancelling the calling task cancels every step that runs.
public struct GraphExecutor: Sendable {
    /// How a node ended.
    public enum Outcome<Output: Sendable>: Sendable {
        case done(Output)
        /// The error of the last attempt.
        case failed(any Error)
        /// It never ran, because this node failed; nil when all was cancelled.
        case notExecuted(cause: String?)
    }

    /// What became of one node; times are those of the timepiece's monotonic clock.
    public struct NodeResult<Output: Sendable>: Sendable {
        public var id: String
        public var outcome: Outcome<Output>
        /// When all it needs was done.
        public var ready: TimeSpan?
        /// When its first attempt began, and its last one ended.
        public var started: TimeSpan?
        public var ended: TimeSpan?
        public var attempts: Int
    }

    /// What just happened, for whoever watches; comes one after the other.
    public enum Progress: Sendable {
        case started(id: String, attempt: Int)
        case done(id: String)
        case failed(id: String, error: any Error, retryAfter: TimeSpan?)
        case notExecuted(id: String, cause: String?)
    }

    /// Several things that happened at one moment, and how much goes on after them.
    public struct Moment: Sendable {
        public var progress: [Progress]
        public var running: Int
        public var pausing: Int
    }

    private enum Arrival<Output: Sendable>: Sendable {
        case ended(Int, Result<Output, any Error>)
        case pauseOver(Int)
        case deadline
    }

    private let graph: Graph
    private let limits: GraphLimits
    private let preference: [Int]?
    private let timepiece: any Timepiece
    private let deadline: TimeSpan?

    /// - Parameters:
    ///   - preference: As in ``GraphMachine``.
    ///   - deadline: After this nothing more is started and what runs is cancelled.
    public init(
        _ graph: Graph, limits: GraphLimits = GraphLimits(), preference: [Int]? = nil,
        timepiece: any Timepiece, deadline: TimeSpan? = nil
    ) {
        self.graph = graph
        self.limits = limits
        self.preference = preference
        self.timepiece = timepiece
        self.deadline = deadline
    }

    /// Runs every node whose needs end well.
    ///
    /// - Parameters:
    ///   - observe: Called between events, never twice at once; must be quick.
    ///   - body: Does the work of one attempt. It should end soon when its task is cancelled.
    /// - Returns: The results, in the order of the graph's nodes; a failed node is no error.
    /// - Throws: ``GraphError`` only, before anything is started.
    public func run<Output: Sendable>(
        observe: @escaping @Sendable (Moment) -> Void = { _ in },
        body: @escaping @Sendable (_ id: String, _ attempt: Int) async throws -> Output
    ) async throws(GraphError) -> [NodeResult<Output>] {
        var run = GraphRun<Output>(
            machine: try GraphMachine(graph, limits: limits, preference: preference),
            timepiece: timepiece)
        let timepiece = timepiece
        await withTaskGroup(of: Arrival<Output>.self) { group in
            func act(_ actions: [GraphMachine.Action]) {
                for action in actions {
                    switch action {
                    case .start(let node, let attempt):
                        let work = graph.nodes[node]
                        group.addTask {
                            .ended(
                                node,
                                await Self.attempt(work, timepiece) {
                                    try await body(work.id, attempt)
                                })
                        }
                    case .pause(let node, let span):
                        group.addTask {
                            try? await timepiece.sleep(for: span)
                            return .pauseOver(node)
                        }
                    case .notExecuted: break
                    case .done: group.cancelAll()
                    }
                }
            }
            if let deadline {
                group.addTask {
                    // Woken early when all is done or cancelled; both make it meaningless.
                    try? await timepiece.sleep(for: deadline)
                    return .deadline
                }
            }
            var actions = run.begin()
            observe(run.moment())
            act(actions)
            while let arrival = await group.next() {
                if Task.isCancelled { act(run.cancel()) }
                switch arrival {
                case .ended(let node, let result): actions = run.ended(node, result)
                case .pauseOver(let node): actions = run.pauseEnded(node)
                case .deadline:
                    actions = run.cancel()
                    group.cancelAll()
                }
                observe(run.moment())
                act(actions)
            }
        }
        return run.results()
    }

    private static func attempt<Output: Sendable>(
        _ node: GraphNode, _ timepiece: any Timepiece,
        _ body: @escaping @Sendable () async throws -> Output
    ) async -> Result<Output, any Error> {
        guard let deadline = node.deadline else {
            do { return .success(try await body()) } catch { return .failure(error) }
        }
        // The clock's task answers whether the time ran out, the work's task with its result.
        return await withTaskGroup(of: (result: Result<Output, any Error>?, isLate: Bool).self) {
            group in
            group.addTask {
                do { return (.success(try await body()), false) } catch {
                    return (.failure(error), false)
                }
            }
            group.addTask { (nil, (try? await timepiece.sleep(for: deadline)) != nil) }
            var isLate = false
            while let arrival = await group.next() {
                group.cancelAll()
                if arrival.isLate { isLate = true }
                switch arrival.result {
                case .success(let output): return .success(output)
                case .failure where isLate:
                    return .failure(
                        Failure(
                            .failed, "\(node.id) was not done within \(deadline)",
                            hint: "look at what it waits for, or allow it more time",
                            isTransient: node.retry.whenLate))
                case .failure(let error): return .failure(error)
                case nil: continue
                }
            }
            return .failure(CancellationError())
        }
    }
}
