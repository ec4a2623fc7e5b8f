public import Model

/// How well everything is prepared for an incident, at one moment.
public struct StatusOverview: Sendable, Hashable, Codable {
    /// The worst of what holds for a service's data.
    public enum State: String, Sendable, Hashable, Codable, Comparable {
        /// Saved, and as recent as it must be.
        case good
        /// The newest snapshot of something is suspicious or partial; an older one is good.
        case doubtful
        /// The last good state is older than the objective allows.
        case overdue
        /// Something was never saved in a good state.
        case missing

        private var rank: Int {
            switch self {
            case .good: 0
            case .doubtful: 1
            case .overdue: 2
            case .missing: 3
            }
        }
        public static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }
    }

    public struct Workload: Sendable, Hashable, Codable {
        public var workload: WorkloadID
        public var state: State
        /// The last good snapshot; nil when there is none.
        public var snapshot: SnapshotID?
        public var asOf: Timestamp?
        public var age: TimeSpan?
        /// Why the newest one is not good.
        public var problem: String?
    }

    /// A restore or drill that brought the service back.
    public struct Proof: Sendable, Hashable, Codable {
        public var run: RunID
        public var purpose: RunPurpose
        public var at: Timestamp
        public var recoveryTime: TimeSpan?
    }

    public struct Service: Sendable, Hashable, Codable {
        public var name: ServiceName
        public var state: State
        public var objectives: Objectives
        /// Of the workload whose last good state is the oldest; nil when one has none.
        public var age: TimeSpan?
        /// How long after an outage it would be healthy.
        public var forecast: TimeSpan?
        /// Whether the forecast rests on measurements: otherwise it raises no alarm.
        public var isMeasured: Bool
        public var workloads: [Workload]
        /// Its latest nights.
        public var trend: StatusTrend
        /// The last time it came back and was healthy.
        public var proof: Proof?

        /// Whether the forecast is over the objective.
        public var isTooSlow: Bool { StatusOverview.isTooSlow(forecast, isMeasured, objectives) }
    }

    /// Another repository that gets what this one has, as far as this machine knows.
    public struct Copy: Sendable, Hashable, Codable {
        public var name: String
        /// Where it is, for people.
        public var place: String
        /// When it was last brought up to date; nil for never.
        public var at: Timestamp?
        public var age: TimeSpan?
        /// The newest moment that it can bring back.
        public var newest: Timestamp?
        /// Snapshots of this repository that it holds.
        public var held: Int?
        /// Why it is not as it should be.
        public var problem: String?

        public init(
            name: String, place: String, at: Timestamp?, age: TimeSpan?, newest: Timestamp?,
            held: Int?, problem: String?
        ) {
            self.name = name
            self.place = place
            self.at = at
            self.age = age
            self.newest = newest
            self.held = held
            self.problem = problem
        }
    }

    /// Where a service's data lies, once or more.
    public struct Place: Sendable, Hashable, Codable {
        public var service: ServiceName
        /// The copy's name; nil for the repository itself.
        public var copy: String?
        /// The moment up to which the place has everything of the service; nil when it has not.
        public var asOf: Timestamp?
        public var age: TimeSpan?
        /// Until when nobody can delete it there; nil when somebody can, or nobody knows.
        public var lockedUntil: Timestamp?

        /// - Parameter held: What the place said that it holds, when it was last written to.
        public init(
            _ service: Service, copy: String?, held: [PlacedWorkload], now: Timestamp
        ) {
            let byWorkload = Dictionary(held.map { ($0.workload, $0) }) { first, _ in first }
            let parts = service.workloads.map { byWorkload[$0.workload] }
            let isWhole = !parts.isEmpty && !parts.contains { $0 == nil }
            self.service = service.name
            self.copy = copy
            asOf = isWhole ? parts.compactMap { $0?.asOf }.min() : nil
            age = asOf.map { max(.zero, now - $0) }
            let locks = parts.map { $0?.lockedUntil }
            lockedUntil = locks.contains(nil) ? nil : locks.compactMap { $0 }.min()
        }
    }

    public var at: Timestamp
    public var repository: RepositoryID
    /// By service, the repository first; nil where there is only that, and it locks nothing.
    public var places: [Place]?
    /// In the order of the configuration; nil where it names none.
    public var copies: [Copy]?
    public var services: [Service]
    public var objectives: Objectives
    /// How long everything would take.
    public var forecast: RecoveryForecast?
    /// The last run of `dr backup`; nil when there was none on this machine.
    public var lastBackup: RunRecord?
    /// When data was last read back from the repository and compared.
    public var lastRead: Timestamp?
    /// Whether a drill still proves that all of this comes back.
    public var drill: DrillStanding?

    /// - Parameters:
    ///   - snapshots: All that the repository holds.
    ///   - plan: What a restore of everything would follow now; nil when none can be made.
    ///   - reports: Of restores and drills, in any order.
    public init(
        at now: Timestamp, repository: RepositoryID, services: [Model.Service],
        snapshots: [SnapshotRecord], accepted: Set<SnapshotID>, plan: RecoveryPlan?,
        reports: [RecoveryReport]
    ) {
        at = now
        self.repository = repository
        objectives = plan?.objectives ?? Objectives()
        forecast = plan?.forecast
        let byWorkload = Dictionary(grouping: snapshots, by: \.workload)
        let planned = Dictionary(
            (plan?.services ?? []).map { ($0.name, $0) }
        ) { first, _ in first }
        let isMeasured = plan?.forecast?.isMeasured ?? false
        self.services = services.map { service in
            let known =
                service.workloads.isEmpty
                ? Set(snapshots.filter { $0.service == service.name }.map(\.workload)).sorted()
                : service.workloads.map {
                    WorkloadID(service: service.name, kind: $0.kind, name: $0.name)
                }
            let rpo = service.objectives.rpo ?? plan?.objectives.rpo
            let workloads = known.map {
                Workload($0, byWorkload[$0] ?? [], accepted: accepted, now: now, rpo: rpo)
            }
            let ages = workloads.map(\.age)
            return Service(
                name: service.name, state: workloads.map(\.state).max() ?? .good,
                objectives: Objectives(
                    rto: service.objectives.rto ?? plan?.objectives.rto, rpo: rpo),
                age: ages.contains(nil) ? nil : ages.compactMap { $0 }.max(),
                forecast: planned[service.name]?.expected, isMeasured: isMeasured,
                workloads: workloads,
                trend: StatusTrend(
                    known.flatMap { byWorkload[$0] ?? [] }, workloads: known.count),
                proof: Self.proof(of: service.name, reports))
        }
    }

    private static func proof(of service: ServiceName, _ reports: [RecoveryReport]) -> Proof? {
        let proven = reports.filter { report in
            guard report.paths == nil else { return false }
            guard case .directory = report.target else {
                let isLeftOut = report.uncovered.contains { $0.service == service }
                return report.services.contains {
                    // Of what was left out wholly, nothing is proven.
                    $0.name == service && $0.state == .recovered
                        && !($0.bytes.bytes == 0 && isLeftOut)
                }
            }
            return false
        }
        return proven.max { $0.declared < $1.declared }.map { report in
            Proof(
                run: report.run, purpose: report.purpose, at: report.declared,
                recoveryTime: report.services.first { $0.name == service }?.recoveryTime)
        }
    }

    fileprivate static func isTooSlow(
        _ forecast: TimeSpan?, _ isMeasured: Bool, _ objectives: Objectives
    ) -> Bool {
        guard isMeasured, let forecast, let rto = objectives.rto else { return false }
        return forecast > rto
    }

    /// Whether a restore of everything would take longer than it may.
    public var isTooSlow: Bool {
        Self.isTooSlow(forecast?.expected, forecast?.isMeasured ?? false, objectives)
    }

    /// `failed` when something is overdue or was never saved, `partial` when the newest is doubtful
    /// or a copy is not as it should be.
    public var result: ExitCode {
        if let drill, drill.isWanted, drill.isOverdue { return .failed }
        return switch services.map(\.state).max() ?? .good {
        case .good: copies?.contains { $0.problem != nil } ?? false ? .partial : .done
        case .doubtful: .partial
        case .overdue, .missing: .failed
        }
    }
}

extension StatusOverview.Workload {
    fileprivate init(
        _ workload: WorkloadID, _ snapshots: [SnapshotRecord], accepted: Set<SnapshotID>,
        now: Timestamp, rpo: TimeSpan?
    ) {
        // A time in the future is no measure of an age.
        let newestFirst = snapshots.filter { !$0.isFromFuture(at: now) }
            .sorted { ($0.asOf, $0.id) > ($1.asOf, $1.id) }
        func defect(_ snapshot: SnapshotRecord) -> String? {
            if !accepted.contains(snapshot.id), let suspicion = snapshot.suspicions.first {
                return "suspicious: \(suspicion)"
            }
            return snapshot.omissions.first.map { "partial: \($0)" }
        }
        let good = newestFirst.first { defect($0) == nil }
        self.workload = workload
        snapshot = good?.id
        asOf = good?.asOf
        age = good.map { max(.zero, now - $0.asOf) }
        problem =
            newestFirst.first.flatMap(defect)
            ?? (newestFirst.isEmpty && !snapshots.isEmpty ? "dated in the future" : nil)
        if let age {
            let isOverdue = rpo.map { age > $0 } ?? false
            state = isOverdue ? .overdue : problem == nil ? .good : .doubtful
        } else {
            state = .missing
        }
    }
}
