/// The evidence of one drill, in the twelve blocks that auditors ask for, and the whole report of the
/// recovery it was.
///
/// - SeeAlso: docs/drill-report.schema.json, which tells every member.
public struct DrillReport: Sendable, Hashable, Codable {
    /// The version of this document.
    public var version: Int
    public var identity: Identity
    public var scenario: Scenario
    public var inputs: [Input]
    public var objectives: DrillObjectives
    public var timeline: Timeline
    public var results: Results
    public var verification: [Verification]
    /// What went otherwise than planned: interventions, changes during the run, warnings.
    public var deviations: [String]
    public var cleanup: DrillCleanup
    /// Actions that were open when the drill ended; later ones are notes.
    public var actions: [CorrectiveAction]
    public var trend: Trend
    public var attestation: Attestation
    /// The recovery itself, with every step.
    public var recovery: RecoveryReport

    public init(
        identity: Identity, scenario: Scenario, attestation: Attestation, recovery: RecoveryReport
    ) {
        version = 1
        self.identity = identity
        self.scenario = scenario
        self.attestation = attestation
        self.recovery = recovery
        inputs = []
        objectives = DrillObjectives(whole: recovery.objectives, services: [:])
        timeline = Timeline(recovery)
        results = Results(recovery)
        verification = []
        deviations = []
        cleanup = DrillCleanup()
        actions = []
        trend = Trend(drills: [])
    }

    /// Who carried out what, where and when.
    public struct Identity: Sendable, Hashable, Codable {
        public var drill: RunID
        public var plan: String
        /// SHA-256 of the plan's shape: services, order, steps and checks, not snapshots and times.
        public var planHash: String
        public var configurationHash: String
        /// The commit of the configuration's directory; nil where it is in no repository of Git.
        public var configurationCommit: String?
        public var program: String
        public var operatorName: String
        public var host: String
        public var repository: RepositoryID
        public var began: Timestamp
        public var ended: Timestamp
        /// Which clocks were read; all times are UTC.
        public var clock: String

        public init(
            drill: RunID, plan: String, planHash: String, configurationHash: String,
            program: String, operatorName: String, host: String, repository: RepositoryID,
            began: Timestamp, ended: Timestamp
        ) {
            self.drill = drill
            self.plan = plan
            self.planHash = planHash
            self.configurationHash = configurationHash
            self.program = program
            self.operatorName = operatorName
            self.host = host
            self.repository = repository
            self.began = began
            self.ended = ended
            clock = "durations: CLOCK_BOOTTIME; times of day: CLOCK_REALTIME, UTC"
        }
    }

    /// What was presumed.
    public struct Scenario: Sendable, Hashable, Codable {
        /// What is presumed lost.
        public var presumedLost: String
        public var scope: [ServiceName]
        /// What the drill did not cover, and why.
        public var outOfScope: [String]
        public var mode: String
        /// Why it was done: `scheduled`, `after a change`, `incident`…
        public var reason: String
        /// Steps that failed on purpose.
        public var failing: [String]
        /// Services that were left out with what depends on them.
        public var without: [ServiceName]

        public init(presumedLost: String, scope: [ServiceName], reason: String) {
            self.presumedLost = presumedLost
            self.scope = scope
            self.reason = reason
            outOfScope = []
            mode = "isolated"
            failing = []
            without = []
        }

        /// All of the configuration, and nothing made to fail: only then the whole is attested.
        public var isWhole: Bool { failing.isEmpty && without.isEmpty }
    }

    /// What was restored from.
    public struct Input: Sendable, Hashable, Codable {
        public var workload: WorkloadID
        public var snapshot: SnapshotID
        public var asOf: Timestamp
        public var bytes: ByteCount
        public var repository: String
        /// Versions, image digests and the like, as the snapshot has them.
        public var facts: [String: String]

        public init(
            workload: WorkloadID, snapshot: SnapshotID, asOf: Timestamp, bytes: ByteCount,
            repository: String
        ) {
            self.workload = workload
            self.snapshot = snapshot
            self.asOf = asOf
            self.bytes = bytes
            self.repository = repository
            facts = [:]
        }
    }

    public struct DrillObjectives: Sendable, Hashable, Codable {
        public var whole: Objectives
        public var services: [String: Objectives]

        public init(whole: Objectives, services: [String: Objectives]) {
            self.whole = whole
            self.services = services
        }
    }

    /// When what was reached, as spans since the drill was declared.
    public struct Timeline: Sendable, Hashable, Codable {
        public var declared: Timestamp
        public var planned: TimeSpan?
        public var firstByte: TimeSpan?
        public var dataRestored: TimeSpan?
        public var started: TimeSpan?
        public var healthy: TimeSpan?
        /// When verification was over: nobody would accept it before.
        public var verified: TimeSpan?
        public var criticalPath: [String]
        public var machineTime: TimeSpan
        public var humanWaiting: TimeSpan

        public init(_ report: RecoveryReport) {
            declared = report.declared
            planned = report.milestones.planned
            firstByte = report.milestones.firstByte
            dataRestored = report.milestones.dataRestored
            started = report.milestones.started
            healthy = report.milestones.healthy
            criticalPath = report.criticalPath
            humanWaiting = report.humanWaiting ?? .zero
            machineTime = report.ended - humanWaiting
        }
    }

    public struct Results: Sendable, Hashable, Codable {
        public var recoveryTime: TimeSpan?
        public var recoveryPoint: TimeSpan?
        public var meetsRecoveryTime: Bool?
        public var meetsRecoveryPoint: Bool?
        public var bytes: ByteCount
        /// Bytes a second, over all of the recovery.
        public var throughput: ByteCount
        /// Attempts beyond the first.
        public var retries: Int
        public var executed: Int
        public var notExecuted: [String]
        /// What the whole drill came to, cleanup included.
        public var outcome: ExitCode

        public init(_ report: RecoveryReport) {
            recoveryTime = report.recoveryTime
            recoveryPoint = report.recoveryPoint
            meetsRecoveryTime = report.meetsRecoveryTime
            meetsRecoveryPoint = report.meetsRecoveryPoint
            bytes = report.bytes
            let seconds = (report.ended - report.began).seconds
            throughput = ByteCount(seconds > 0 ? UInt64(Double(report.bytes.bytes) / seconds) : 0)
            retries = report.steps.filter { $0.phase != .healthy && $0.attempts > 1 }
                .reduce(0) { $0 + $1.attempts - 1 }
            executed = report.executed.count
            notExecuted = report.notExecuted.map(\.id)
            outcome = report.result
        }
    }

    /// One thing that was proven, or was not.
    public struct Verification: Sendable, Hashable, Codable {
        public enum Outcome: String, Sendable, Hashable, Codable { case passed, failed, skipped }
        /// `rows`, `check`, `assertion`, `sample`, `degradation`, `live side`…
        public var kind: String
        public var subject: String
        public var outcome: Outcome
        public var detail: String

        public init(_ kind: String, _ subject: String, _ outcome: Outcome, _ detail: String) {
            self.kind = kind
            self.subject = subject
            self.outcome = outcome
            self.detail = detail
        }
    }

    /// Earlier drills, oldest first, and what today's size would take.
    public struct Trend: Sendable, Hashable, Codable {
        public struct Point: Sendable, Hashable, Codable {
            public var drill: RunID
            public var declared: Timestamp
            public var recoveryTime: TimeSpan?
            public var bytes: ByteCount
            public var throughput: ByteCount
            public var isPassed: Bool

            public init(_ report: DrillReport) {
                drill = report.identity.drill
                declared = report.timeline.declared
                recoveryTime = report.results.recoveryTime
                bytes = report.results.bytes
                throughput = report.results.throughput
                isPassed = report.attestation.isPassed
            }
        }
        public var drills: [Point]
        public var estimate: TimeSpan?

        public init(drills: [Point]) { self.drills = drills }
    }

    /// What the drill proves, and until when.
    public struct Attestation: Sendable, Hashable, Codable {
        /// It all came back, was proven, and was removed without a trace.
        public var isPassed: Bool
        /// It holds as long as plan, configuration and program are the same, and no longer than this.
        public var expires: Timestamp
        /// The newest that was passed and whose state retention keeps.
        public var keeps: [SnapshotID]
        /// How long the evidence is kept.
        public var retention: String

        public init(isPassed: Bool, expires: Timestamp, keeps: [SnapshotID]) {
            self.isPassed = isPassed
            self.expires = expires
            self.keeps = keeps
            retention = "as long as the catalog; never removed by dr"
        }
    }
}

/// How a drill was cleared away; an operation of its own, with its own result.
public struct DrillCleanup: Sendable, Hashable, Codable {
    /// Nil while it was not done.
    public var began: Timestamp?
    public var ended: Timestamp?
    public var isDone: Bool
    /// Names of what the drill had made, as far as it wrote them down.
    public var created: [String]
    public var removed: [String]
    public var problems: [String]
    /// What was found after it and should not be there.
    public var residue: [String]

    public init() {
        isDone = false
        created = []
        removed = []
        problems = []
        residue = []
    }

    /// Nothing is left.
    public var isClean: Bool { isDone && residue.isEmpty && problems.isEmpty }
}

/// What a drill showed that has to be put right.
public struct CorrectiveAction: Sendable, Hashable, Codable {
    /// Its number among all of this catalog's evidence.
    public var number: UInt64
    public var drill: RunID
    public var finding: String
    public var owner: String?
    public var due: String?
    public var link: String?
    public var opened: Timestamp
    /// Nil while it is open.
    public var closed: Timestamp?

    public init(number: UInt64, drill: RunID, finding: String, opened: Timestamp) {
        self.number = number
        self.drill = drill
        self.finding = finding
        self.opened = opened
    }
}

/// What a person adds to a drill's evidence.
public struct DrillNote: Sendable, Hashable, Codable {
    public enum Kind: String, Sendable, Hashable, Codable {
        case observation, action
        /// An action was done; ``closes`` says which.
        case closed
        /// The person stands for the result.
        case accepted
    }
    public var kind: Kind
    public var text: String
    public var author: String
    public var owner: String?
    public var due: String?
    public var link: String?
    public var closes: UInt64?

    public init(_ kind: Kind, _ text: String, author: String) {
        self.kind = kind
        self.text = text
        self.author = author
    }
}

/// One link of the chain that evidence is kept in: it names the one before by its hash.
public struct EvidenceRecord: Sendable, Hashable, Codable {
    /// Counts from 1 without a gap.
    public var sequence: UInt64
    /// SHA-256 of the record before, in hexadecimal; empty for the first.
    public var previous: String
    public var run: RunID
    public var at: Timestamp
    public var drill: DrillReport?
    public var note: DrillNote?

    public init(sequence: UInt64, previous: String, run: RunID, at: Timestamp) {
        self.sequence = sequence
        self.previous = previous
        self.run = run
        self.at = at
    }
}

/// What a comparison with the repository found in one part.
public struct SampleResult: Sendable, Hashable, Codable {
    public var step: String
    public var part: String
    /// Files that were compared.
    public var files: Int
    /// Files that there are; nil where it was all of them.
    public var filesInAll: Int?
    public var bytes: ByteCount
    /// What is not as the repository has it; one line each.
    public var differences: [String]

    public init(step: String, part: String) {
        self.step = step
        self.part = part
        files = 0
        bytes = ByteCount(0)
        differences = []
    }
}
