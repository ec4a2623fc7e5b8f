/// Where a plan is carried out.
public enum RecoveryTarget: Sendable, Hashable, Codable, CustomStringConvertible {
    /// This machine, under the original names.
    case here
    /// A directory; its path holds a `/`.
    case directory(String)
    /// A target of the configuration.
    case named(String)

    /// Reads what a person writes after `--to`.
    public init(_ text: String) {
        if text == "here" {
            self = .here
        } else {
            self = text.contains("/") ? .directory(text) : .named(text)
        }
    }

    public var description: String {
        switch self {
        case .here: "here"
        case .directory(let path): path
        case .named(let name): name
        }
    }

    public init(from decoder: any Decoder) throws {
        self.init(try decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// What is brought back, from which snapshots, in which order: a value that can be shown, saved,
/// compared and executed. Equal inputs give an equal plan.
public struct RecoveryPlan: Sendable, Hashable, Codable {
    /// The version of this document.
    public var version: Int
    public var repository: RepositoryID
    public var target: RecoveryTarget
    /// How things are called at a named target; nil for any other.
    public var place: TargetPlace?
    /// The moment asked for, in the words of the person; nil for the latest.
    public var at: String?
    /// The moment that ages are counted from.
    public var made: Timestamp
    /// For the whole.
    public var objectives: Objectives
    /// In the order of their waves, then of the configuration.
    public var services: [PlannedService]
    /// In an order that respects every need.
    public var steps: [PlannedStep]
    /// What the plan does not bring back, and why.
    public var uncovered: [UncoveredItem]
    /// What stands in the way at the target; empty until it was looked at.
    public var findings: [PlanFinding]
    public var forecast: RecoveryForecast?
    /// What a person should know about the choice of snapshots and steps.
    public var notes: [String]

    public init(repository: RepositoryID, target: RecoveryTarget, made: Timestamp) {
        version = 1
        self.repository = repository
        self.target = target
        self.made = made
        objectives = Objectives()
        services = []
        steps = []
        uncovered = []
        findings = []
        notes = []
    }

    /// Bytes that all steps write, as far as known.
    public var bytes: ByteCount { steps.reduce(into: ByteCount(0)) { $0 += $1.bytes } }

    /// Every name that its steps make.
    public var names: Set<String> { Set(steps.flatMap(\.makes)) }

    /// The step with this id.
    public func step(_ id: String) -> PlannedStep? { steps.first { $0.id == id } }
}

/// One service of a plan.
public struct PlannedService: Sendable, Hashable, Codable {
    public var name: ServiceName
    /// Services of one wave wait for services of earlier waves only; counts from 1.
    public var wave: Int
    /// Services of this plan that must be healthy before.
    public var after: [ServiceName]
    public var objectives: Objectives
    public var snapshots: [PlannedSnapshot]
    /// The checks that must pass, in words.
    public var checks: [String]
    /// How long after the plan's beginning it will be healthy; nil until that was forecast.
    public var expected: TimeSpan?

    public init(name: ServiceName, wave: Int, after: [ServiceName], objectives: Objectives) {
        self.name = name
        self.wave = wave
        self.after = after
        self.objectives = objectives
        snapshots = []
        checks = []
    }

    /// The oldest moment that any of its data stands for.
    public var asOf: Timestamp? { snapshots.map(\.asOf).min() }
}

/// A snapshot that a plan uses.
public struct PlannedSnapshot: Sendable, Hashable, Codable {
    public var workload: WorkloadID
    public var kind: WorkloadKind
    public var snapshot: SnapshotID
    public var run: RunID
    public var asOf: Timestamp
    /// From `asOf` to the plan's making: what is lost.
    public var age: TimeSpan
    public var bytes: ByteCount
    /// Why this one is not as good as one would want, or why a newer one was not taken.
    public var remarks: [String]

    public init(of record: SnapshotRecord, at made: Timestamp, remarks: [String] = []) {
        workload = record.workload
        kind = record.kind
        snapshot = record.id
        run = record.run
        asOf = record.asOf
        age = made - record.asOf
        bytes = record.parts.reduce(into: ByteCount(0)) { $0 += $1.bytes }
        self.remarks = remarks
    }
}

/// Something that is not brought back.
public struct UncoveredItem: Sendable, Hashable, Codable {
    public var service: ServiceName
    public var workload: WorkloadID?
    public var reason: String
    /// Whether it was asked for: then the plan brings back less than was wanted.
    public var isWanted: Bool

    public init(
        service: ServiceName, workload: WorkloadID? = nil, reason: String, isWanted: Bool = true
    ) {
        self.service = service
        self.workload = workload
        self.reason = reason
        self.isWanted = isWanted
    }
}

/// Something seen at the target before minute 0.
public struct PlanFinding: Sendable, Hashable, Codable {
    public enum Severity: String, Sendable, Hashable, Codable, Comparable {
        /// The plan cannot start.
        case blocker
        /// It exists already; only `--replace` goes on.
        case conflict
        case warning

        public static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }
        private var rank: Int {
            switch self {
            case .blocker: 0
            case .conflict: 1
            case .warning: 2
            }
        }
    }
    public var severity: Severity
    public var service: ServiceName?
    public var message: String
    public var hint: String?
    /// What is in the way has this name, one of ``PlannedStep/makes``; nil for anything else.
    public var name: String?

    public init(
        _ severity: Severity, service: ServiceName?, _ message: String, hint: String? = nil,
        name: String? = nil
    ) {
        self.name = name
        self.severity = severity
        self.service = service
        self.message = message
        self.hint = hint
    }
}

/// How long a plan will take, as far as earlier runs tell.
public struct RecoveryForecast: Sendable, Hashable, Codable {
    public var expected: TimeSpan
    /// Between the quicker and the slower quarter of what was measured.
    public var shortest: TimeSpan
    public var longest: TimeSpan
    /// How many of the plan's steps have a measured time behind them, of how many.
    public var measuredSteps: Int
    public var steps: Int
    /// Ids of the steps that decide the duration, in their order.
    public var criticalPath: [String]

    public init(
        expected: TimeSpan, shortest: TimeSpan, longest: TimeSpan, measuredSteps: Int, steps: Int,
        criticalPath: [String]
    ) {
        self.expected = expected
        self.shortest = shortest
        self.longest = longest
        self.measuredSteps = measuredSteps
        self.steps = steps
        self.criticalPath = criticalPath
    }

    /// Whether there is anything measured to rely on; without it no alarm is raised.
    public var isMeasured: Bool { measuredSteps > 0 }
}
