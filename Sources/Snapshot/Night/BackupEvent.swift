public import Model

/// What a backup run says while it goes on.
public enum BackupEvent: Sendable {
    /// One workload's capture begins; `number` counts from 1.
    case began(WorkloadID, number: Int, of: Int)
    /// Bytes that were read since the last such event.
    case advanced(ByteCount)
    /// For people, from the driver.
    case said(WorkloadID, String)
    /// A workload is safe: its snapshot exists.
    case saved(SnapshotRecord, took: TimeSpan)
    /// A workload was not saved.
    case failed(WorkloadID, Failure, took: TimeSpan)
}

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
    }

    public var run: RunID
    public var started: Timestamp
    public var duration: TimeSpan
    public var items: [Item]
    /// Bytes of packs that the run added to the repository.
    public var stored: ByteCount

    /// 0 when everything is safe and good; 3 when something is not; 1 when nothing was saved, or the
    /// one code that all failures share.
    public var exitCode: ExitCode {
        let failures = items.compactMap(\.failure)
        if !failures.isEmpty {
            let codes = Set(failures.map(\.code))
            if codes.count == 1, let code = codes.first, code != .failed { return code }
            return failures.count == items.count ? .failed : .partial
        }
        let allGood = items.allSatisfy { $0.suspicions.isEmpty && $0.omissions.isEmpty }
        return allGood ? .done : .partial
    }
}
