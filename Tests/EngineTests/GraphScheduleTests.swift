import Engine
import Model
import TestSupport
import Testing

@Suite struct GraphScheduleTests {
    /// The shortest possible duration, found by trying everything: at each moment every set of ready
    /// nodes that fits may be started.
    private struct Exhaustive {
        let graph: Graph
        let limits: GraphLimits
        /// Whether room may be left empty, for a node that is not ready yet. The executor never does
        /// so: estimates are not promises.
        let mayLeaveRoom: Bool
        var best = TimeSpan(nanoseconds: .max)

        mutating func search() -> TimeSpan {
            visit(now: .zero, done: 0, running: [], waitFor: 0)
            return best
        }

        private mutating func visit(
            now: TimeSpan, done: UInt64, running: [(end: TimeSpan, node: Int)], waitFor first: Int
        ) {
            let all: UInt64 = (1 << UInt64(graph.nodes.count)) - 1
            if done == all {
                best = min(best, now)
                return
            }
            // What still has to come cannot be shorter than the longest path of what is left.
            let begun = running.reduce(done) { $0 | 1 << UInt64($1.node) }
            var least = running.map(\.end).max() ?? now
            for node in graph.nodes.indices where begun & (1 << UInt64(node)) == 0 {
                least = max(least, now + graph.remaining[node])
            }
            guard least < best else { return }
            // Start one more, by ascending index so that each set comes once...
            var isRoomLeft = false
            for node in graph.nodes.indices where begun & (1 << UInt64(node)) == 0 {
                guard graph.needs[node].allSatisfy({ done & (1 << UInt64($0)) != 0 }),
                    running.count < limits.total ?? .max,
                    limits.resources.allSatisfy({ name, limit in
                        running.reduce(graph.nodes[node].resources[name] ?? 0) {
                            $0 + (graph.nodes[$1.node].resources[name] ?? 0)
                        } <= limit
                    })
                else { continue }
                isRoomLeft = true
                guard node >= first else { continue }
                visit(
                    now: now, done: done,
                    running: running + [(now + graph.nodes[node].estimate, node)],
                    waitFor: node + 1)
            }
            // ...or let time pass until the next end.
            guard mayLeaveRoom || !isRoomLeft, let next = running.map(\.end).min() else { return }
            let ended = running.filter { $0.end == next }.reduce(done) { $0 | 1 << UInt64($1.node) }
            visit(now: next, done: ended, running: running.filter { $0.end > next }, waitFor: 0)
        }
    }

    /// How long several schedules of one graph take, in seconds.
    private struct Comparison: Sendable {
        var found: Double
        var longestPathFirst: Double
        var possible: Double
        var possibleLeavingRoom: Double
    }

    private static func compare(_ random: inout SeededRandom) throws -> Comparison {
        let nodes = RandomGraph.make(
            &random, nodes: Int.random(in: 2...8, using: &random),
            density: Double.random(in: 0...0.5, using: &random))
        let graph = try Graph(nodes)
        let limits = GraphLimits(
            total: Bool.random(using: &random) ? Int.random(in: 2...3, using: &random) : nil,
            resources: ["disk": Int.random(in: 1...2, using: &random), "net": 1])
        var busy = Exhaustive(graph: graph, limits: limits, mayLeaveRoom: false)
        var any = Exhaustive(graph: graph, limits: limits, mayLeaveRoom: true)
        return Comparison(
            found: try GraphSchedule.best(graph, limits: limits).duration.seconds,
            longestPathFirst: try GraphSchedule.simulate(graph, limits: limits).duration.seconds,
            possible: busy.search().seconds, possibleLeavingRoom: any.search().seconds)
    }

    @Test func smallGraphsAreWithinFivePercentOfTheBest() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        let rounds = 150
        // Busy for seconds: not on one of the few threads that all tests share.
        let all = try await BlockingPool.shared.run {
            var random = SeededRandom(seed: seed)
            return try (0..<rounds).map { _ in try Self.compare(&random) }
        }
        for (round, one) in all.enumerated() {
            #expect(one.found >= one.possible, "seed \(seed), round \(round): impossibly short")
            #expect(one.found <= 1.05 * one.possible, "seed \(seed), round \(round)")
        }
        // A plan that leaves room empty on purpose is rarely better.
        let overAnything = all.map { $0.found / $0.possibleLeavingRoom }
        let mean = overAnything.reduce(0, +) / Double(rounds)
        #expect(mean < 1.02, "seed \(seed)")
        print(
            "GraphScheduleTests: seed \(seed), \(rounds) graphs:",
            "worst \(all.map { $0.found / $0.possible }.max() ?? 0) of the best,",
            "longest path first alone \(all.map { $0.longestPathFirst / $0.possible }.max() ?? 0);",
            "leaving room allowed: mean \(mean), worst \(overAnything.max() ?? 0),",
            "over 1.05: \(overAnything.count { $0 > 1.05 })")
    }

    @Test func thousandServicesAreScheduledQuickly() throws {
        var random = SeededRandom(seed: 11)
        var nodes: [GraphNode] = []
        for service in 0..<1000 {
            for step in 0..<5 {
                var node = GraphNode("s\(service)/\(step)")
                if step > 0 {
                    node.needs = ["s\(service)/\(step - 1)"]
                } else if service > 0 {
                    node.needs = ["s\(Int.random(in: 0..<service, using: &random))/4"]
                }
                node.estimate = TimeSpan(seconds: Double(step + 1))
                node.resources = step == 1 ? ["disk": 1] : [:]
                nodes.append(node)
            }
        }
        let limits = GraphLimits(resources: ["disk": 4])
        let took = try ContinuousClock().measure {
            let graph = try Graph(nodes)
            _ = try GraphSchedule.simulate(graph, limits: limits)
        }
        // Well under a second when optimized.
        #expect(took < .seconds(10), "\(took)")
    }

    @Test func theCriticalPathCrossesNeedsAndWaits() throws {
        let graph = try Graph([
            GraphNode("a", estimate: TimeSpan(seconds: 5), resources: ["disk": 1]),
            GraphNode("b", estimate: TimeSpan(seconds: 4), resources: ["disk": 1]),
            GraphNode("c", needs: ["b"], estimate: TimeSpan(seconds: 1)),
            GraphNode("d", estimate: TimeSpan(seconds: 2)),
        ])
        let schedule = try GraphSchedule.simulate(
            graph, limits: GraphLimits(resources: ["disk": 1]))
        #expect(schedule.duration == TimeSpan(seconds: 10))
        #expect(schedule.criticalPath(of: graph).map { graph.nodes[$0].id } == ["a", "b", "c"])
    }
}
