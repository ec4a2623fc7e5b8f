/// What a run of `dr` was for.
public enum RunPurpose: String, Codable, Sendable, CaseIterable {
    case backup, restore, drill, check, prune, copy
}

/// One run, as the catalog remembers it.
public struct RunRecord: Sendable, Hashable, Codable, Identifiable {
    public var id: RunID
    public var purpose: RunPurpose
    /// The machine, and the process on it.
    public var host: String
    public var processID: Int32
    /// The version of `dr`.
    public var version: String
    public var started: Timestamp
    /// Nil while it goes on, and for ever when its process was killed.
    public var finished: Timestamp?
    /// How it ended; nil as long as `finished` is.
    public var result: ExitCode?
    /// One line for lists.
    public var summary: String

    public init(
        id: RunID = .random(), purpose: RunPurpose, host: String, processID: Int32, version: String,
        started: Timestamp
    ) {
        self.id = id
        self.purpose = purpose
        self.host = host
        self.processID = processID
        self.version = version
        self.started = started
        summary = ""
    }
}

/// How far one step of a run has come.
public enum StepState: String, Codable, Sendable, CaseIterable {
    case waiting, running, done, failed
    /// Something it needed had failed, or the run was ended before.
    case notExecuted = "not executed"
}

/// One step of a run, as the catalog remembers it: written before the step begins and again when it
/// has ended.
public struct StepRecord: Sendable, Hashable, Codable, Identifiable {
    /// Unique within the run.
    public var id: String
    public var title: String
    public var service: ServiceName?
    public var workload: WorkloadID?
    public var state: StepState
    /// Since the run's beginning, on a monotonic clock.
    public var started: TimeSpan?
    public var ended: TimeSpan?
    public var bytes: ByteCount
    /// How often it was begun.
    public var attempts: Int
    /// Why it failed or was not executed.
    public var message: String?

    public init(
        id: String, title: String, service: ServiceName? = nil, workload: WorkloadID? = nil,
        state: StepState = .waiting
    ) {
        self.id = id
        self.title = title
        self.service = service
        self.workload = workload
        self.state = state
        bytes = ByteCount(0)
        attempts = 0
    }
}

/// How long something took, for forecasts.
public struct Measurement: Sendable, Hashable, Codable {
    /// What was measured, for example `restore.data` or `restore.start`; forecasts compare only
    /// measurements of one subject.
    public var subject: String
    public var workload: WorkloadID?
    public var kind: WorkloadKind?
    /// The step's id within its workload, where one was measured.
    public var step: String?
    public var bytes: ByteCount
    public var duration: TimeSpan
    public var at: Timestamp

    public init(
        subject: String, workload: WorkloadID? = nil, kind: WorkloadKind? = nil,
        step: String? = nil, bytes: ByteCount = ByteCount(0), duration: TimeSpan, at: Timestamp
    ) {
        self.subject = subject
        self.workload = workload
        self.kind = kind
        self.step = step
        self.bytes = bytes
        self.duration = duration
        self.at = at
    }
}

/// One line of a restore's journal: durable before what it announces, or after what it states.
public struct JournalEntry: Sendable, Hashable, Codable {
    public enum Kind: String, Codable, Sendable {
        /// The name was there at minute 0: not this run's.
        case existed
        /// The name is about to be made: from here on it is this run's own if it was absent before.
        case making
        /// The old holder of the name was moved aside; `detail` is its new name.
        case aside
        /// The step's result is whole and met its proof: it need not be done again.
        case proven
        /// The container is about to be stopped or paused for a capture; `detail` says how.
        case resting
        /// The container runs again, or need not.
        case released
    }
    public var kind: Kind
    /// The step's id; empty for what concerns the whole run.
    public var step: String
    /// For example `volume/umami-data`; empty for `proven`.
    public var name: String
    public var detail: String?
    public var at: Timestamp

    public init(
        _ kind: Kind, step: String, name: String = "", detail: String? = nil, at: Timestamp
    ) {
        self.kind = kind
        self.step = step
        self.name = name
        self.detail = detail
        self.at = at
    }
}
