public import Engine
import Model

/// How much goes on at once at the target.
public struct RecoveryLimits: Sendable, Hashable {
    /// Steps that write data.
    public var data: Int
    /// Steps that make or start something.
    public var control: Int
    /// Steps that write data to one disk; nil for no limit of its own.
    public var disk: Int?
    /// Steps that fetch something over the network.
    public var downloads: Int

    public init(data: Int = 4, control: Int = 8, disk: Int? = nil, downloads: Int = 2) {
        self.data = max(1, data)
        self.control = max(1, control)
        self.disk = disk.map { max(1, $0) }
        self.downloads = max(1, downloads)
    }

    /// What a step holds while it runs; checks hold nothing.
    func resources(for step: PlannedStep) -> [String: Int] {
        switch step.phase {
        case .data: ["data": 1]
        case .prepare where step.resources[Self.network] != nil:
            [Self.network: 1, "control": 1]
        case .prepare, .start: ["control": 1]
        case .check, .manual, .healthy: [:]
        }
    }

    /// The resource of what comes over the network.
    static let network = "network"

    public var graphLimits: GraphLimits {
        GraphLimits(resources: ["data": data, "control": control, Self.network: downloads])
    }

    /// The limits with those of the disks that steps write to.
    func graphLimits(for disks: some Sequence<TargetDisk>) -> GraphLimits {
        var limits = graphLimits
        for disk in disks { limits.resources[disk.resource] = self.disk }
        return limits
    }
}

extension RecoveryPlan {
    /// The schedule that the executor follows as far as estimates are true.
    ///
    /// Longest remaining path first. Where times were measured and the plan is small enough to try
    /// other orders in no time, the best of them.
    func schedule(_ graph: Graph, limits: GraphLimits) throws -> GraphSchedule {
        let isWorthwhile = hasMeasurements && steps.count <= 200
        // Below 0.1 s, whatever the size.
        let effort = isWorthwhile ? min(2000, 80_000 / max(1, steps.count)) : 0
        return try GraphSchedule.best(graph, limits: limits, effort: effort)
    }

    /// Whether any estimate rests on a measurement.
    private var hasMeasurements: Bool { steps.contains { $0.measurements > 0 } }

    /// The plan as the executor takes it.
    ///
    /// - Parameters:
    ///   - done: Ids of steps that are done already.
    ///   - disks: Where steps write, by their ids.
    func graph(without done: Set<String> = [], disks: [String: TargetDisk] = [:]) throws -> Graph {
        try Graph(
            steps.filter { !done.contains($0.id) }.map {
                var resources = $0.resources
                if let disk = disks[$0.id] { resources[disk.resource] = 1 }
                return GraphNode(
                    $0.id, needs: $0.needs.filter { !done.contains($0) }, estimate: $0.estimate,
                    resources: resources,
                    retry: $0.phase == .healthy || $0.phase == .manual
                        ? .never : RetryPolicy(attempts: 3, first: TimeSpan(seconds: 1)))
            })
    }
}
