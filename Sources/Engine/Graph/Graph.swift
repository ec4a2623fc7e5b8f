public import Model

/// Nodes whose needs were looked up, checked and ranked; what schedulers work on.
public struct Graph: Sendable {
    public let nodes: [GraphNode]
    /// By node: the indices of what it needs or follows, each once.
    public let needs: [[Int]]
    /// By node: the indices of what needs or follows it.
    public let dependents: [[Int]]
    /// By node: the indices of what it only follows.
    public let followed: [Set<Int>]
    /// Indices in an order that respects every need; equal choices in the order given.
    public let order: [Int]
    /// By node: the longest way, in estimated time, from its start to the end of the graph.
    public let remaining: [TimeSpan]
    private let indices: [String: Int]

    /// - Throws: ``GraphError`` for a graph that cannot be carried out.
    public init(_ nodes: [GraphNode]) throws(GraphError) {
        var indices: [String: Int] = [:]
        indices.reserveCapacity(nodes.count)
        for (index, node) in nodes.enumerated() {
            if indices.updateValue(index, forKey: node.id) != nil {
                throw .duplicate(node.id)
            }
        }
        var needs: [[Int]] = []
        var dependents = [[Int]](repeating: [], count: nodes.count)
        var followed = [Set<Int>](repeating: [], count: nodes.count)
        needs.reserveCapacity(nodes.count)
        for (index, node) in nodes.enumerated() {
            var found: [Int] = []
            var seen: Set<String> = []
            for need in node.needs + node.follows where seen.insert(need).inserted {
                guard let other = indices[need] else {
                    throw .unknownNeed(node: node.id, need: need)
                }
                found.append(other)
                dependents[other].append(index)
                if !node.needs.contains(need) { followed[index].insert(other) }
            }
            needs.append(found)
        }
        let order = Self.sorted(needs, dependents)
        guard order.count == nodes.count else {
            throw .cycle(Self.cycle(nodes, needs, outside: order))
        }
        var remaining = [TimeSpan](repeating: .zero, count: nodes.count)
        for index in order.reversed() {
            let after = dependents[index].map { remaining[$0] }.max() ?? .zero
            remaining[index] = nodes[index].estimate + after
        }
        self.nodes = nodes
        self.needs = needs
        self.dependents = dependents
        self.followed = followed
        self.order = order
        self.remaining = remaining
        self.indices = indices
    }

    /// The index of a node; nil for an unknown id.
    public func index(of id: String) -> Int? { indices[id] }

    /// The estimated duration with no limits at all.
    public var criticalLength: TimeSpan { remaining.max() ?? .zero }

    private static func sorted(_ needs: [[Int]], _ dependents: [[Int]]) -> [Int] {
        var missing = needs.map(\.count)
        var ready = IndexHeap(needs.indices.filter { needs[$0].isEmpty })
        var order: [Int] = []
        order.reserveCapacity(needs.count)
        while let index = ready.popSmallest() {
            order.append(index)
            for dependent in dependents[index] {
                missing[dependent] -= 1
                if missing[dependent] == 0 { ready.insert(dependent) }
            }
        }
        return order
    }

    /// Walks needs among the nodes that could not be ordered until one comes again.
    private static func cycle(_ nodes: [GraphNode], _ needs: [[Int]], outside order: [Int])
        -> [String]
    {
        let ordered = Set(order)
        guard var current = nodes.indices.first(where: { !ordered.contains($0) }) else {
            return []
        }
        var path: [Int] = []
        var places: [Int: Int] = [:]
        while places[current] == nil {
            places[current] = path.count
            path.append(current)
            // What could not be ordered needs at least one other that could not.
            guard let next = needs[current].first(where: { !ordered.contains($0) }) else { break }
            current = next
        }
        let start = places[current] ?? 0
        return (path[start...] + [current]).map { nodes[$0].id }
    }
}

/// A set of small numbers that gives back the smallest first.
struct IndexHeap: Sendable {
    private var items: [Int] = []

    init(_ items: [Int] = []) { for item in items { insert(item) } }

    var smallest: Int? { items.first }
    var isEmpty: Bool { items.isEmpty }
    var count: Int { items.count }

    mutating func insert(_ item: Int) {
        items.append(item)
        var child = items.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard items[child] < items[parent] else { break }
            items.swapAt(child, parent)
            child = parent
        }
    }

    mutating func popSmallest() -> Int? {
        guard let first = items.first else { return nil }
        let last = items.removeLast()
        guard !items.isEmpty else { return first }
        items[0] = last
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < items.count {
                if items[child] < items[smallest] { smallest = child }
            }
            guard smallest != parent else { return first }
            items.swapAt(parent, smallest)
            parent = smallest
        }
    }
}
