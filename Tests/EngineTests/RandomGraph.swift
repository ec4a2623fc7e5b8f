import Engine
import Model
import TestSupport

/// Graphs without cycles, of any shape.
enum RandomGraph {
    static func make(_ random: inout SeededRandom, nodes count: Int, density: Double) -> [GraphNode]
    {
        let names = (0..<count).map { "n\($0)" }.shuffled(using: &random)
        var nodes: [GraphNode] = []
        for index in 0..<count {
            var node = GraphNode(names[index])
            // Edges go from later to earlier ones only.
            for earlier in 0..<index where Double.random(in: 0..<1, using: &random) < density {
                node.needs.append(names[earlier])
            }
            node.estimate = TimeSpan(seconds: Double(Int.random(in: 1...20, using: &random)))
            if Bool.random(using: &random) { node.resources["disk"] = 1 }
            if Int.random(in: 0..<4, using: &random) == 0 { node.resources["net"] = 1 }
            node.retry = RetryPolicy(attempts: Int.random(in: 1...3, using: &random))
            nodes.append(node)
        }
        return nodes.shuffled(using: &random)
    }
}
