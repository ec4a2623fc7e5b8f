import Engine
public import Model

/// What a run was told, kept with it so that it can be taken up again.
public struct RecoveryOrders: Sendable, Hashable, Codable {
    /// When the outage began for the people concerned.
    public var declared: Timestamp
    /// What exists may be replaced.
    public var replace: Bool
    public var privilegedMetadata: Bool
    /// Nobody is there for manual steps.
    public var unattended: Bool
    /// Only these files or directories; empty for whole services.
    public var paths: [String]
    /// From `declared` until the plan stood.
    public var planned: TimeSpan
    /// When the run was taken up again.
    public var resumed: [TimeSpan]
    /// Every process that worked on it, first to last.
    public var sessions: [Session]

    /// One process's part of a run, and how its clock is read.
    public struct Session: Sendable, Hashable, Codable {
        public var processID: Int32
        /// The boot of the machine: only within it do two readings of the clock differ by what passed.
        public var boot: String?
        /// The monotonic clock at a moment, and that moment as a span since `declared`.
        public var monotonic: TimeSpan
        public var offset: TimeSpan
    }

    public init(declared: Timestamp) {
        self.declared = declared
        replace = false
        privilegedMetadata = false
        unattended = false
        paths = []
        planned = .zero
        resumed = []
        sessions = []
    }

    /// The name under which a run's orders are kept.
    static let documentName = "orders.json"
}
