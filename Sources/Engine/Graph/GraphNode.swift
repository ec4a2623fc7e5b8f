public import Model

/// One piece of work in a graph.
public struct GraphNode: Sendable, Hashable {
    /// Unique within the graph.
    public var id: String
    /// Ids of the nodes that must be done before.
    public var needs: [String]
    /// Ids of nodes that must be over before, however they ended: what cleans up after them.
    public var follows: [String]
    /// How long it will take, as far as known; only decides what is started first.
    public var estimate: TimeSpan
    /// How much of which resource it holds while it runs, for example `disk: 1`.
    public var resources: [String: Int]
    public var retry: RetryPolicy
    /// After this an attempt is ended and counts as failed; nil for no limit.
    public var deadline: TimeSpan?

    public init(
        _ id: String, needs: [String] = [], follows: [String] = [], estimate: TimeSpan = .zero,
        resources: [String: Int] = [:], retry: RetryPolicy = .never, deadline: TimeSpan? = nil
    ) {
        self.id = id
        self.needs = needs
        self.follows = follows
        self.estimate = estimate
        self.resources = resources
        self.retry = retry
        self.deadline = deadline
    }
}

/// How often and when something that failed is tried again.
public struct RetryPolicy: Sendable, Hashable {
    /// Attempts in all, the first included.
    public var attempts: Int
    /// The pause after the first failure.
    public var first: TimeSpan
    /// Each pause is so many times as long as the one before.
    public var factor: Double
    /// No pause is longer.
    public var longest: TimeSpan
    /// Only a failure that may pass is worth another attempt.
    public var onlyTransient: Bool
    /// An attempt that took longer than its node's deadline is worth another one.
    public var whenLate: Bool

    public init(
        attempts: Int, first: TimeSpan = TimeSpan(seconds: 1), factor: Double = 2,
        longest: TimeSpan = TimeSpan(seconds: 60), onlyTransient: Bool = true,
        whenLate: Bool = true
    ) {
        self.attempts = attempts
        self.first = first
        self.factor = factor
        self.longest = longest
        self.onlyTransient = onlyTransient
        self.whenLate = whenLate
    }

    /// One attempt.
    public static let never = RetryPolicy(attempts: 1)

    /// The pause after attempt number `attempt` has failed; nil when that was the last.
    public func pause(after attempt: Int) -> TimeSpan? {
        guard attempt < attempts else { return nil }
        var seconds = first.seconds
        for _ in 1..<max(1, attempt) where seconds < longest.seconds { seconds *= factor }
        return min(longest, TimeSpan(seconds: seconds))
    }
}

/// How much of each resource there is.
public struct GraphLimits: Sendable, Hashable {
    /// Nodes that run at once, of whatever kind; nil for any number.
    public var total: Int?
    /// What is not named here has no limit.
    public var resources: [String: Int]

    public init(total: Int? = nil, resources: [String: Int] = [:]) {
        self.total = total
        self.resources = resources
    }
}

/// What makes a graph impossible.
public enum GraphError: Error, Sendable, Hashable, CustomStringConvertible {
    case duplicate(String)
    case unknownNeed(node: String, need: String)
    /// Each needs the next one; the last is the first again.
    case cycle([String])
    /// It wants more of a resource than there is.
    case impossibleDemand(node: String, resource: String)

    public var description: String {
        switch self {
        case .duplicate(let id): "two steps are called \(id)"
        case .unknownNeed(let node, let need): "\(node) needs \(need), which does not exist"
        case .cycle(let path): "steps wait for each other: " + path.joined(separator: " -> ")
        case .impossibleDemand(let node, let resource):
            "\(node) wants more of \(resource) than there is"
        }
    }
}
