import Engine
import Model
import Synchronization
import TestSupport
import Testing

@Suite struct GraphExecutorTests {
    private func second(_ count: Double) -> TimeSpan { TimeSpan(seconds: count) }

    @Test(.timeLimit(.minutes(1))) func timesAddUp() async throws {
        let clock = ManualTimepiece()
        let graph = try Graph([
            GraphNode("a", estimate: second(3), resources: ["disk": 1]),
            GraphNode("b", estimate: second(2), resources: ["disk": 1]),
            GraphNode("c", needs: ["a", "b"], estimate: second(1)),
        ])
        let executor = GraphExecutor(
            graph, limits: GraphLimits(resources: ["disk": 1]), timepiece: clock)
        let results = try await executor.run(
            observe: { clock.setActive($0.running + $0.pausing) }
        ) { id, _ in
            try await clock.sleep(for: graph.nodes[graph.index(of: id) ?? 0].estimate)
            return id
        }
        #expect(results.map(\.ready) == [.zero, .zero, second(5)])
        #expect(results.map(\.started) == [.zero, second(3), second(5)])
        #expect(results.map(\.ended) == [second(3), second(5), second(6)])
    }

    @Test(.timeLimit(.minutes(1))) func whatFollowsRunsHoweverItEnded() async throws {
        let clock = ManualTimepiece()
        let graph = try Graph([
            GraphNode("rest"), GraphNode("broken", needs: ["rest"]),
            GraphNode("never", needs: ["broken"]), GraphNode("whole", needs: ["rest"]),
            GraphNode("release", follows: ["rest", "broken", "never", "whole"]),
            GraphNode("after release", needs: ["release"]),
            GraphNode("needs and follows", needs: ["never"], follows: ["release"]),
        ])
        let results = try await GraphExecutor(graph, timepiece: clock).run(
            observe: { clock.setActive($0.running + $0.pausing) }
        ) { id, _ in
            try await clock.sleep(for: second(id == "whole" ? 3 : 1))
            if id == "broken" { throw Failure(.failed, "no such image") }
        }
        #expect(results.map(\.attempts) == [1, 1, 0, 1, 1, 1, 0])
        // It waits for the slowest, and no longer.
        #expect(results[4].started == second(4) && results[5].ended == second(6))
    }

    @Test(.timeLimit(.minutes(1))) func transientFailuresAreTriedAgainAndOthersIsolated()
        async throws
    {
        let clock = ManualTimepiece()
        let retry = RetryPolicy(attempts: 3, first: second(1))
        let graph = try Graph([
            GraphNode("flaky", retry: retry), GraphNode("after flaky", needs: ["flaky"]),
            GraphNode("broken", retry: retry), GraphNode("after broken", needs: ["broken"]),
            GraphNode("last", needs: ["after broken", "flaky"]),
        ])
        let results = try await GraphExecutor(graph, timepiece: clock).run(
            observe: { clock.setActive($0.running + $0.pausing) }
        ) { id, attempt in
            try await clock.sleep(for: TimeSpan(seconds: 1))
            if id == "flaky", attempt < 3 { throw Failure(.failed, "busy", isTransient: true) }
            if id == "broken" { throw Failure(.failed, "no such image") }
        }
        #expect(results.map(\.attempts) == [3, 1, 1, 0, 0])
        // Three seconds of work, pauses of one and two.
        #expect(results[0].ended == second(6))
        guard case .failed = results[2].outcome,
            case .notExecuted(cause: "broken") = results[3].outcome,
            case .notExecuted(cause: "broken") = results[4].outcome
        else {
            Issue.record("\(results)")
            return
        }
    }

    @Test(.timeLimit(.minutes(1))) func anAttemptOverItsTimeFails() async throws {
        let clock = ManualTimepiece()
        let graph = try Graph([
            GraphNode("slow", deadline: second(5)), GraphNode("after", needs: ["slow"]),
        ])
        // The work and its deadline both sleep.
        let results = try await GraphExecutor(graph, timepiece: clock).run(
            observe: { clock.setActive($0.running * 2) }
        ) { _, _ in try await clock.sleep(for: TimeSpan(seconds: 60)) }
        guard case .failed(let error) = results[0].outcome else {
            Issue.record("\(results[0])")
            return
        }
        #expect("\(error)" == "slow was not done within 5.0 s")
        #expect(results[0].ended == second(5))
        #expect(results[1].attempts == 0)
    }

    @Test(.timeLimit(.minutes(1))) func theDeadlineOfTheWholeEndsIt() async throws {
        let clock = ManualTimepiece()
        let graph = try Graph([GraphNode("long"), GraphNode("after", needs: ["long"])])
        let results = try await GraphExecutor(graph, timepiece: clock, deadline: second(5)).run(
            observe: { clock.setActive($0.running + 1) }
        ) { _, _ in try await clock.sleep(for: TimeSpan(seconds: 60)) }
        guard case .failed = results[0].outcome,
            case .notExecuted(cause: nil) = results[1].outcome
        else {
            Issue.record("\(results)")
            return
        }
        #expect(results[0].ended == second(5))
    }

    @Test(.timeLimit(.minutes(1))) func cancellingEndsWhatRunsAndStartsNothing() async throws {
        let clock = ManualTimepiece()
        let graph = try Graph([GraphNode("a"), GraphNode("b", needs: ["a"]), GraphNode("c")])
        let running = Mutex(0)
        let task = Task {
            try await GraphExecutor(
                graph, limits: GraphLimits(total: 1), timepiece: clock
            ).run { _, _ in
                running.withLock { $0 += 1 }
                try await clock.sleep(for: TimeSpan(seconds: 60))
            }
        }
        while running.withLock({ $0 }) == 0 { await Task.yield() }
        task.cancel()
        let results = try await task.value
        #expect(running.withLock { $0 } == 1)
        #expect(results.map(\.attempts) == [1, 0, 0])
    }
}
