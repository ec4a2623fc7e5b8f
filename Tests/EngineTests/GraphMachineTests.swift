import Engine
import Model
import TestSupport
import Testing

@Suite struct GraphMachineTests {
    /// What must hold and did not, in words; the first only.
    private struct Broken: Error, CustomStringConvertible {
        let description: String
    }

    /// Plays the executor: ends running nodes in random order, some badly, and checks every action
    /// against what is known from outside.
    private static func play(
        _ nodes: [GraphNode], limits: GraphLimits, random: inout SeededRandom, failing: Double,
        cancelAfter: Int? = nil
    ) throws {
        let graph = try Graph(nodes)
        var machine = try GraphMachine(graph, limits: limits)
        var running: [Int: Int] = [:]
        var pausing: Set<Int> = []
        var done: Set<Int> = []
        var failed: Set<Int> = []
        var given: Set<Int> = []
        var isDone = false
        var isCancelled = false
        var events = 0

        func require(_ condition: Bool, _ what: String) throws {
            if !condition { throw Broken(description: what) }
        }

        func apply(_ actions: [GraphMachine.Action]) throws {
            for action in actions {
                switch action {
                case .start(let node, let attempt):
                    try require(!isCancelled, "started after the cancellation")
                    try require(running[node] == nil && !done.contains(node), "started twice")
                    try require(
                        graph.needs[node].allSatisfy { done.contains($0) }, "order violated")
                    try require(
                        attempt <= graph.nodes[node].retry.attempts, "tried too often")
                    running[node] = attempt
                case .pause(let node, _): pausing.insert(node)
                case .notExecuted(let node, let cause):
                    try require(
                        cause.map { failed.contains($0) } ?? isCancelled, "given up for nothing")
                    pausing.remove(node)
                    try require(given.insert(node).inserted, "given up twice")
                case .done:
                    try require(!isDone, "done twice")
                    isDone = true
                }
            }
            for (name, limit) in limits.resources {
                let held = running.keys.reduce(0) { $0 + (graph.nodes[$1].resources[name] ?? 0) }
                try require(held <= limit, "more of \(name) than there is")
            }
            try require(running.count <= limits.total ?? .max, "too many at once")
        }

        try apply(machine.handle(.begin))
        while !isDone {
            events += 1
            if events == cancelAfter {
                isCancelled = true
                try apply(machine.handle(.cancel))
                continue
            }
            let choices = running.keys.sorted() + pausing.sorted()
            guard let chosen = choices.randomElement(using: &random) else {
                throw Broken(description: "nothing runs, and it is not done")
            }
            if pausing.remove(chosen) != nil {
                try apply(machine.handle(.pauseEnded(chosen)))
                continue
            }
            let attempt = running.removeValue(forKey: chosen) ?? 0
            if Double.random(in: 0..<1, using: &random) < failing {
                let isLast = attempt >= graph.nodes[chosen].retry.attempts || isCancelled
                if isLast { failed.insert(chosen) }
                try apply(machine.handle(.failed(chosen, isTransient: true)))
            } else {
                done.insert(chosen)
                try apply(machine.handle(.finished(chosen)))
            }
        }
        try require(running.isEmpty && pausing.isEmpty, "done while something was under way")
        try require(
            done.count + failed.count + given.count == nodes.count, "something was forgotten")
        guard !isCancelled else { return }
        // What no failure stands before was executed, and nothing else was given up.
        for node in graph.order {
            let spoiled = graph.needs[node].contains { failed.contains($0) || given.contains($0) }
            try require(given.contains(node) == spoiled, "a failure was not isolated")
        }
    }

    @Test func tenThousandRandomGraphsKeepOrderAndIsolateFailures() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("GraphMachineTests: seed \(seed)")
        // Busy for seconds: not on one of the few threads that all tests share.
        let broken = try await BlockingPool.shared.run { () -> String? in
            var random = SeededRandom(seed: seed)
            for round in 0..<10_000 {
                let nodes = RandomGraph.make(
                    &random, nodes: Int.random(in: 0...14, using: &random),
                    density: Double.random(in: 0...0.6, using: &random))
                let limits = GraphLimits(
                    total: Bool.random(using: &random)
                        ? Int.random(in: 1...4, using: &random) : nil,
                    resources: ["disk": Int.random(in: 1...3, using: &random), "net": 1])
                let cancelAfter = round % 5 == 0 ? Int.random(in: 1...10, using: &random) : nil
                do {
                    try Self.play(
                        nodes, limits: limits, random: &random,
                        failing: [0, 0.1, 0.5][round % 3], cancelAfter: cancelAfter)
                } catch {
                    return "round \(round): \(error)"
                }
            }
            return nil
        }
        #expect(broken == nil, "seed \(seed)")
    }

    @Test func longestRemainingPathStartsFirst() throws {
        let graph = try Graph([
            GraphNode("short", estimate: TimeSpan(seconds: 9)),
            GraphNode("head", estimate: TimeSpan(seconds: 1)),
            GraphNode("tail", needs: ["head"], estimate: TimeSpan(seconds: 20)),
        ])
        var machine = try GraphMachine(graph, limits: GraphLimits(total: 1))
        #expect(machine.handle(.begin) == [.start(1, attempt: 1)])
        #expect(machine.handle(.finished(1)) == [.start(2, attempt: 1)])
        #expect(machine.handle(.finished(2)) == [.start(0, attempt: 1)])
        #expect(machine.handle(.finished(0)) == [.done])
    }

    @Test func aBusyResourceDoesNotHoldBackOthers() throws {
        let graph = try Graph([
            GraphNode("a", estimate: TimeSpan(seconds: 3), resources: ["disk": 1]),
            GraphNode("b", estimate: TimeSpan(seconds: 2), resources: ["disk": 1]),
            GraphNode("c", estimate: TimeSpan(seconds: 1)),
        ])
        var machine = try GraphMachine(graph, limits: GraphLimits(resources: ["disk": 1]))
        #expect(machine.handle(.begin) == [.start(0, attempt: 1), .start(2, attempt: 1)])
        #expect(machine.handle(.finished(0)) == [.start(1, attempt: 1)])
    }

    @Test func aPauseHoldsNothingAndGrows() throws {
        let retry = RetryPolicy(
            attempts: 4, first: TimeSpan(seconds: 1), longest: TimeSpan(seconds: 3))
        let graph = try Graph([
            GraphNode("a", estimate: TimeSpan(seconds: 9), resources: ["disk": 1], retry: retry),
            GraphNode("b", resources: ["disk": 1]),
        ])
        var machine = try GraphMachine(graph, limits: GraphLimits(resources: ["disk": 1]))
        #expect(machine.handle(.begin) == [.start(0, attempt: 1)])
        #expect(
            machine.handle(.failed(0, isTransient: true)) == [
                .pause(0, for: TimeSpan(seconds: 1)), .start(1, attempt: 1),
            ])
        #expect(machine.handle(.pauseEnded(0)) == [])
        #expect(machine.handle(.finished(1)) == [.start(0, attempt: 2)])
        #expect(
            machine.handle(.failed(0, isTransient: true)) == [.pause(0, for: TimeSpan(seconds: 2))])
        #expect(machine.handle(.pauseEnded(0)) == [.start(0, attempt: 3)])
        #expect(
            machine.handle(.failed(0, isTransient: true)) == [.pause(0, for: TimeSpan(seconds: 3))])
        #expect(machine.handle(.pauseEnded(0)) == [.start(0, attempt: 4)])
        #expect(machine.handle(.failed(0, isTransient: true)) == [.done])
    }

    @Test func whatCannotPassIsNotTriedAgain() throws {
        let graph = try Graph([
            GraphNode("a", retry: RetryPolicy(attempts: 5)), GraphNode("b", needs: ["a"]),
        ])
        var machine = try GraphMachine(graph)
        _ = machine.handle(.begin)
        #expect(
            machine.handle(.failed(0, isTransient: false)) == [.notExecuted(1, cause: 0), .done])
    }

    @Test func impossibleGraphsAreRefused() throws {
        #expect(throws: GraphError.cycle(["b", "d", "c", "b"])) {
            try Graph([
                GraphNode("a"), GraphNode("b", needs: ["a", "d"]), GraphNode("c", needs: ["b"]),
                GraphNode("d", needs: ["c"]), GraphNode("e", needs: ["d"]),
            ])
        }
        #expect(throws: GraphError.cycle(["a", "a"])) { try Graph([GraphNode("a", needs: ["a"])]) }
        #expect(throws: GraphError.duplicate("a")) { try Graph([GraphNode("a"), GraphNode("a")]) }
        #expect(throws: GraphError.unknownNeed(node: "a", need: "b")) {
            try Graph([GraphNode("a", needs: ["b"])])
        }
        #expect(throws: GraphError.impossibleDemand(node: "a", resource: "disk")) {
            try GraphMachine(
                Graph([GraphNode("a", resources: ["disk": 2])]),
                limits: GraphLimits(resources: ["disk": 1]))
        }
    }
}
