/// What a restore or a drill came to: what came back, when, against which objective.
///
/// Every time is a span since `declared`, on a monotonic clock.
public struct RecoveryReport: Sendable, Hashable, Codable {
    /// The version of this document.
    public var version: Int
    public var run: RunID
    public var purpose: RunPurpose
    public var target: RecoveryTarget
    /// The machine that ran it, and the version of `dr`.
    public var host: String
    public var program: String
    /// When the outage was declared: by the person, or by calling `dr`.
    public var declared: Timestamp
    /// When the run itself began.
    public var began: TimeSpan
    /// When it was over, whatever came of it.
    public var ended: TimeSpan
    /// Time of day at the end minus at the beginning, plus `began`: differs from `ended` when the
    /// clock was set in between.
    public var wallEnded: TimeSpan
    public var milestones: RecoveryMilestones
    public var objectives: Objectives
    /// From `declared` until every service was healthy; nil when one is not.
    public var recoveryTime: TimeSpan?
    /// From the oldest moment the data stands for to `declared`; nil when a service did not come back.
    public var recoveryPoint: TimeSpan?
    public var services: [ServiceReport]
    /// The single files or directories that were wanted, of which no service is said to be back; nil
    /// when services were.
    public var paths: [String]?
    /// In the order of the plan.
    public var steps: [StepReport]
    /// When the run was taken up again after it had been interrupted.
    public var resumed: [TimeSpan]?
    /// How long it waited for people while nothing else was done.
    public var humanWaiting: TimeSpan?
    /// Ids of the steps that decided the duration, in their order.
    public var criticalPath: [String]
    public var uncovered: [UncoveredItem]
    public var findings: [PlanFinding]
    public var forecast: RecoveryForecast?
    public var notes: [String]
    /// The exit code of the process.
    public var result: ExitCode

    public init(
        run: RunID, purpose: RunPurpose, target: RecoveryTarget, host: String, program: String,
        declared: Timestamp
    ) {
        version = 1
        self.run = run
        self.purpose = purpose
        self.target = target
        self.host = host
        self.program = program
        self.declared = declared
        began = .zero
        ended = .zero
        wallEnded = .zero
        milestones = RecoveryMilestones()
        objectives = Objectives()
        services = []
        steps = []
        criticalPath = []
        uncovered = []
        findings = []
        notes = []
        result = .done
    }

    /// The steps that ran to an end, good or bad.
    public var executed: [StepReport] { steps.filter { $0.state == .done || $0.state == .failed } }
    /// The steps that never ran.
    public var notExecuted: [StepReport] { steps.filter { $0.state == .notExecuted } }
    /// The command that does the rest; nil when nothing is left.
    public var nextCommand: String? {
        guard purpose == .restore, steps.contains(where: { $0.state != .done }) else { return nil }
        return "dr restore --resume \(run.short)"
    }
    /// Bytes that were brought back.
    public var bytes: ByteCount { steps.reduce(into: ByteCount(0)) { $0 += $1.bytes } }
    /// Whether the outage was as short as it may be; nil without an objective.
    public var meetsRecoveryTime: Bool? {
        objectives.rto.map { rto in recoveryTime.map { $0 <= rto } ?? false }
    }
    /// Whether the data is as recent as it must be; nil without an objective or data.
    public var meetsRecoveryPoint: Bool? {
        guard let rpo = objectives.rpo, let recoveryPoint else { return nil }
        return recoveryPoint <= rpo
    }
}

/// The moments of a recovery, as spans since `declared`; nil for what did not happen.
public struct RecoveryMilestones: Sendable, Hashable, Codable {
    /// The plan stood and was looked over; nothing had been changed yet.
    public var planned: TimeSpan?
    /// The first data was asked of the repository.
    public var firstByte: TimeSpan?
    /// The last data was in place.
    public var dataRestored: TimeSpan?
    /// The last program was started.
    public var started: TimeSpan?
    /// The last check passed.
    public var healthy: TimeSpan?

    public init() {}

    /// All that happened, in the order in which they should.
    public var all: [(name: String, at: TimeSpan)] {
        let named: [(String, TimeSpan?)] = [
            ("planned", planned), ("first byte", firstByte), ("data restored", dataRestored),
            ("started", started), ("healthy", healthy),
        ]
        return named.compactMap { name, at in at.map { (name: name, at: $0) } }
    }
}

/// What became of one service.
public struct ServiceReport: Sendable, Hashable, Codable {
    public enum State: String, Sendable, Hashable, Codable {
        /// All steps done, all checks passed.
        case recovered
        /// Its checks passed, but not everything came back.
        case partial
        case failed
        case notExecuted = "not executed"
        /// There was nothing to bring it back from.
        case notCovered = "not covered"
    }
    public var name: ServiceName
    public var wave: Int
    public var state: State
    public var milestones: RecoveryMilestones
    public var objectives: Objectives
    /// From `declared` until it was healthy.
    public var recoveryTime: TimeSpan?
    /// From the oldest moment its data stands for to `declared`.
    public var recoveryPoint: TimeSpan?
    public var snapshots: [PlannedSnapshot]
    public var bytes: ByteCount
    /// Why it did not come back, or not wholly.
    public var causes: [String]

    public init(name: ServiceName, wave: Int, state: State, objectives: Objectives) {
        self.name = name
        self.wave = wave
        self.state = state
        self.objectives = objectives
        milestones = RecoveryMilestones()
        snapshots = []
        bytes = ByteCount(0)
        causes = []
    }

    /// Whether it is back and its checks passed.
    public var isHealthy: Bool { state == .recovered || state == .partial }
    /// Whether it was back in time; nil without an objective.
    public var meetsRecoveryTime: Bool? {
        objectives.rto.map { rto in recoveryTime.map { $0 <= rto } ?? false }
    }
    /// Whether its data is as recent as it must be; nil without an objective or data.
    public var meetsRecoveryPoint: Bool? {
        guard let rpo = objectives.rpo, let recoveryPoint else { return nil }
        return recoveryPoint <= rpo
    }
}

/// What became of one step.
public struct StepReport: Sendable, Hashable, Codable, Identifiable {
    public var id: String
    public var title: String
    public var services: [ServiceName]
    public var phase: PlannedStep.Phase
    public var state: StepState
    public var needs: [String]
    /// When everything it needs was done.
    public var ready: TimeSpan?
    public var started: TimeSpan?
    public var ended: TimeSpan?
    /// It had been done before the machine was started again, and what it did did not outlast that.
    public var isRepeated: Bool?
    /// How long it was expected to take; nil where nothing like it was measured before.
    public var forecast: TimeSpan?
    public var bytes: ByteCount
    public var attempts: Int
    /// Why it failed, or which step kept it from running.
    public var message: String?
    /// What to do about it.
    public var hint: String?
    public var notes: [String]
    /// What did not come back although the step was done.
    public var problems: [String]

    public init(_ step: PlannedStep) {
        id = step.id
        title = step.title
        services = step.services
        phase = step.phase
        state = .waiting
        needs = step.needs
        forecast = step.measurements > 0 ? step.estimate : nil
        bytes = ByteCount(0)
        attempts = 0
        notes = []
        problems = []
    }

    /// How long it ran, all attempts and the pauses between them.
    public var duration: TimeSpan? {
        guard let started, let ended else { return nil }
        return ended - started
    }
    /// How long it was ready and had to wait for others to make room.
    public var waited: TimeSpan? {
        guard let ready, let started else { return nil }
        return started - ready
    }
    /// Bytes a second; nil where that says nothing.
    public var throughput: ByteCount? {
        guard let duration, duration.nanoseconds > 0, bytes.bytes > 0 else { return nil }
        return ByteCount(UInt64(Double(bytes.bytes) / duration.seconds))
    }
}
