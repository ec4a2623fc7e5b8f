public import Model

/// What a backup run came to.
public struct BackupSummary: Sendable, Codable {
    /// One workload's result.
    public struct Item: Sendable, Codable {
        public var workload: WorkloadID
        public var service: ServiceName
        /// The snapshot that was written; nil when it failed.
        public var snapshot: SnapshotID?
        public var failure: Failure?
        public var consistency: Consistency?
        public var suspicions: [String]
        public var omissions: [String]
        public var notes: [String]
        public var statistics: CaptureStatistics
        public var duration: TimeSpan
        /// How often its capture was begun; 0 when it never was.
        public var attempts: Int
        /// It was saved, and was not in the runs before: since when and why. In words.
        public var recovered: String?

        init(_ workload: WorkloadID, of service: ServiceName) {
            self.workload = workload
            self.service = service
            suspicions = []
            omissions = []
            notes = []
            statistics = CaptureStatistics()
            duration = .zero
            attempts = 0
        }

        /// What a snapshot's record says of it.
        init(_ snapshot: SnapshotRecord) {
            self.init(snapshot.workload, of: snapshot.service)
            self.snapshot = snapshot.id
            consistency = snapshot.consistency
            suspicions = snapshot.suspicions
            omissions = snapshot.omissions
            notes = snapshot.notes
            statistics = snapshot.statistics
            attempts = 1
        }
    }

    /// Services that were captured at one moment.
    public struct Group: Sendable, Codable {
        public var name: String
        public var services: [ServiceName]
        /// The moment; nil when they could not be brought to rest.
        public var asOf: Timestamp?
        /// The weakest of its members'; nil when one of them was not saved.
        public var consistency: Consistency?
    }

    /// A hook that did not end well. What was captured is safe all the same.
    public struct HookFailure: Sendable, Codable {
        /// Nil for a hook of the whole run.
        public var service: ServiceName?
        public var failure: Failure
    }

    public var run: RunID
    public var started: Timestamp
    public var duration: TimeSpan
    /// In the order of the configuration.
    public var items: [Item]
    public var groups: [Group]
    public var hookFailures: [HookFailure]
    /// Bytes of packs that the run added to the repository.
    public var stored: ByteCount
    /// Why the run as a whole ended early: interrupted, or the repository takes no more.
    public var ending: Failure?

    init(run: RunID, started: Timestamp) {
        self.run = run
        self.started = started
        duration = .zero
        items = []
        groups = []
        hookFailures = []
        stored = ByteCount(0)
    }

    /// 0 when everything is safe and good; 3 when something is not; 1 when nothing was saved, or the
    /// one code that all failures share; that of its end when it ended early.
    public var exitCode: ExitCode {
        if let ending { return ending.code }
        let failures = items.compactMap(\.failure)
        if !failures.isEmpty, failures.count == items.count {
            let codes = Set(failures.map(\.code))
            return codes.count == 1 ? codes.first ?? .failed : .failed
        }
        let isGood = items.allSatisfy {
            $0.failure == nil && $0.suspicions.isEmpty && $0.omissions.isEmpty
        }
        return isGood && hookFailures.isEmpty ? .done : .partial
    }
}
