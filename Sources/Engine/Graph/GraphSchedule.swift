public import Model

/// When each node of a graph would run if every estimate were true: the executor's own decisions,
/// without executing anything.
public struct GraphSchedule: Sendable, Hashable {
    /// By node.
    public var starts: [TimeSpan]
    public var ends: [TimeSpan]
    /// The order of preference that gives this schedule.
    public var preference: [Int]

    /// From the first start to the last end.
    public var duration: TimeSpan { ends.max() ?? .zero }

    /// The schedule of one order of preference; nil for longest remaining path first.
    public static func simulate(
        _ graph: Graph, limits: GraphLimits = GraphLimits(), preference: [Int]? = nil
    ) throws(GraphError) -> GraphSchedule {
        let preference = preference ?? GraphMachine.longestFirst(graph)
        var machine = try GraphMachine(graph, limits: limits, preference: preference)
        var starts = [TimeSpan](repeating: .zero, count: graph.nodes.count)
        var ends = starts
        var running: [(end: TimeSpan, node: Int)] = []
        var now = TimeSpan.zero
        var actions = machine.handle(.begin)
        while true {
            for case .start(let node, _) in actions {
                starts[node] = now
                ends[node] = now + max(.zero, graph.nodes[node].estimate)
                running.append((ends[node], node))
            }
            guard let next = running.map(\.end).min() else { break }
            now = next
            let ended = running.filter { $0.end == next }.map(\.node).sorted()
            running.removeAll { $0.end == next }
            actions = machine.handle(ended.map { .finished($0) })
        }
        return GraphSchedule(starts: starts, ends: ends, preference: preference)
    }

    /// The shortest schedule that was found.
    ///
    /// Longest remaining path first, and then, only where that leaves a gap to what is possible at
    /// all, a search among changed orders of preference. Deterministic.
    ///
    /// - Parameter effort: Orders to try beyond the first.
    public static func best(
        _ graph: Graph, limits: GraphLimits = GraphLimits(), effort: Int = 2000
    ) throws(GraphError) -> GraphSchedule {
        var best = try simulate(graph, limits: limits)
        let bound = lowerBound(graph, limits)
        let count = graph.nodes.count
        guard count > 2 else { return best }
        // A stated seed: equal graphs give equal schedules.
        var random = SplitMix(state: 0x6472_2067_7261_7068)
        for _ in 0..<effort where best.duration > bound {
            var changed = best.preference
            // Moves one node somewhere else; now and then several.
            for _ in 0...Int(random.next() % 3) {
                let node = changed.remove(at: Int(random.next() % UInt64(count)))
                changed.insert(node, at: Int(random.next() % UInt64(count)))
            }
            let tried = try simulate(graph, limits: limits, preference: changed)
            if tried.duration <= best.duration { best = tried }
        }
        return best
    }

    /// No schedule is shorter: the longest path, and each resource's work spread evenly.
    static func lowerBound(_ graph: Graph, _ limits: GraphLimits) -> TimeSpan {
        var bound = graph.criticalLength
        func spread(_ work: Int64, over capacity: Int) {
            guard capacity > 0 else { return }
            let count = Int64(capacity)
            bound = max(bound, TimeSpan(nanoseconds: (work + count - 1) / count))
        }
        if let total = limits.total {
            spread(graph.nodes.reduce(0) { $0 + $1.estimate.nanoseconds }, over: total)
        }
        for (name, capacity) in limits.resources {
            let work = graph.nodes.reduce(Int64(0)) {
                $0 + $1.estimate.nanoseconds * Int64($1.resources[name] ?? 0)
            }
            spread(work, over: capacity)
        }
        return bound
    }

    /// Nodes that decide the duration, first to last: each begins when the one before it ends,
    /// because it needs it or because it had to wait for its resources.
    public func criticalPath(of graph: Graph) -> [Int] {
        guard
            var current = ends.indices.max(by: { (ends[$0], $1) < (ends[$1], $0) })
        else { return [] }
        var path = [current]
        while starts[current] > .zero {
            let start = starts[current]
            let needed = graph.needs[current].filter { ends[$0] == start }.min()
            let room = ends.indices.first {
                ends[$0] == start && starts[$0] < start && !path.contains($0)
            }
            guard let before = needed ?? room else { break }
            path.append(before)
            current = before
        }
        return path.reversed()
    }
}

/// A small generator of pseudo-random numbers with a stated seed.
///
/// - SeeAlso: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
