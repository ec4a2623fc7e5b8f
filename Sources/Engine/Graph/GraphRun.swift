import Model

/// The bookkeeping of one execution: the machine, and when what happened.
struct GraphRun<Output: Sendable> {
    private var machine: GraphMachine
    private let timepiece: any Timepiece
    private var collected: [GraphExecutor.NodeResult<Output>]
    private var pending: [GraphExecutor.Progress] = []

    init(machine: GraphMachine, timepiece: any Timepiece) {
        self.machine = machine
        self.timepiece = timepiece
        collected = machine.graph.nodes.map {
            GraphExecutor.NodeResult(id: $0.id, outcome: .notExecuted(cause: nil), attempts: 0)
        }
    }

    mutating func begin() -> [GraphMachine.Action] {
        let now = timepiece.monotonic
        for index in collected.indices where machine.graph.needs[index].isEmpty {
            collected[index].ready = now
        }
        return note(machine.handle(.begin), at: now)
    }

    mutating func ended(_ node: Int, _ result: Result<Output, any Error>)
        -> [GraphMachine.Action]
    {
        let now = timepiece.monotonic
        collected[node].ended = now
        let id = collected[node].id
        let actions: [GraphMachine.Action]
        switch result {
        case .success(let output):
            collected[node].outcome = .done(output)
            pending.append(.done(id: id))
            for dependent in machine.graph.dependents[node] {
                // The last of its needs decides.
                collected[dependent].ready = now
            }
            actions = machine.handle(.finished(node))
        case .failure(let error):
            collected[node].outcome = .failed(error)
            actions = machine.handle(
                .failed(node, isTransient: (error as? Failure)?.isTransient ?? false))
            var pause: TimeSpan?
            for case .pause(node, let span) in actions { pause = span }
            pending.append(.failed(id: id, error: error, retryAfter: pause))
            for dependent in machine.graph.dependents[node]
            where machine.graph.followed[dependent].contains(node) {
                collected[dependent].ready = now
            }
        }
        return note(actions, at: now)
    }

    mutating func pauseEnded(_ node: Int) -> [GraphMachine.Action] {
        note(machine.handle(.pauseEnded(node)), at: timepiece.monotonic)
    }

    mutating func cancel() -> [GraphMachine.Action] {
        note(machine.handle(.cancel), at: timepiece.monotonic)
    }

    /// What happened since this was asked last.
    mutating func moment() -> GraphExecutor.Moment {
        defer { pending = [] }
        let activity = machine.activity
        return GraphExecutor.Moment(
            progress: pending, running: activity.running, pausing: activity.pausing)
    }

    func results() -> [GraphExecutor.NodeResult<Output>] {
        collected.enumerated().map { index, result in
            var result = result
            if case .notExecuted = result.outcome { result.ready = nil }
            return result
        }
    }

    private mutating func note(_ actions: [GraphMachine.Action], at now: TimeSpan)
        -> [GraphMachine.Action]
    {
        for action in actions {
            switch action {
            case .start(let node, let attempt):
                collected[node].attempts = attempt
                if collected[node].started == nil { collected[node].started = now }
                pending.append(.started(id: collected[node].id, attempt: attempt))
            case .notExecuted(let node, let cause):
                // What was pausing between attempts has failed already, and says why.
                if collected[node].attempts == 0 {
                    let cause = cause.map { machine.graph.nodes[$0].id }
                    collected[node].outcome = .notExecuted(cause: cause)
                    pending.append(.notExecuted(id: collected[node].id, cause: cause))
                }
            case .pause, .done: break
            }
        }
        return actions
    }
}
