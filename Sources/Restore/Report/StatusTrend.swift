public import Model

/// How much a service's latest nights held and how long they took, oldest first.
public struct StatusTrend: Sendable, Hashable, Codable {
    public struct Night: Sendable, Hashable, Codable {
        public var run: RunID
        /// When its first capture began.
        public var at: Timestamp
        /// Bytes that its snapshots hold.
        public var bytes: ByteCount
        /// From the beginning of the first capture to the end of the last.
        public var duration: TimeSpan
        /// Workloads that have no snapshot of this night.
        public var missing: Int
    }

    public var nights: [Night]

    /// - Parameters:
    ///   - snapshots: Of one service.
    ///   - workloads: How many it has.
    ///   - limit: Nights that are looked at, the latest.
    public init(_ snapshots: [SnapshotRecord], workloads: Int, limit: Int = 14) {
        let runs = Dictionary(grouping: snapshots, by: \.run).map { run, taken in
            let begin = taken.map(\.asOf).min() ?? taken[0].asOf
            let end = taken.map(\.finished).max() ?? begin
            return Night(
                run: run, at: begin,
                bytes: taken.reduce(ByteCount(0)) { $0 + $1.statistics.bytes },
                duration: max(.zero, end - begin),
                missing: max(0, workloads - Set(taken.map(\.workload)).count))
        }
        nights = Array(runs.sorted { ($0.at, $0.run) < ($1.at, $1.run) }.suffix(limit))
    }
}
