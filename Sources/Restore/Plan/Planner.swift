public import Model
public import Workloads

/// What a plan is wanted for.
public struct PlanRequest: Sendable {
    /// All services of the configuration; a service without workloads stands for what was captured
    /// of it.
    public var services: [Service]
    /// The services that were named; empty for all.
    public var names: [ServiceName]
    /// What the named ones depend on is left out.
    public var only: Bool
    public var target: RecoveryTarget
    /// How things are called at a named target.
    public var place: TargetPlace?
    public var moment: RecoveryMoment
    /// The moment as the person put it; nil for the latest.
    public var momentText: String?
    /// For the whole, and for services that have none of their own.
    public var objectives: Objectives
    /// The present.
    public var made: Timestamp
    /// All that the repository holds.
    public var snapshots: [SnapshotRecord]
    /// Suspicious ones that a person has accepted.
    public var accepted: Set<SnapshotID>
    /// What earlier restores took.
    public var measurements: [Measurement]
    public var limits: RecoveryLimits

    public init(
        services: [Service], target: RecoveryTarget, made: Timestamp, snapshots: [SnapshotRecord]
    ) {
        self.services = services
        self.target = target
        self.made = made
        self.snapshots = snapshots
        names = []
        only = false
        moment = .latest
        objectives = Objectives()
        accepted = []
        measurements = []
        limits = RecoveryLimits()
    }

    /// What forecasts are made from.
    public static var measuredSubjects: [String] {
        PlannedStep.Phase.allCases.map(Forecaster.subject) + [readingSubject, planningSubject]
    }

    /// Under this is measured what a restore takes before its first step, without people.
    public static let planningSubject = "restore.plan"

    /// Under this reading the repository back is measured, for forecasts before any restore.
    public static let readingSubject = "check.read"

    /// The services that snapshots speak of, for a restore without a configuration.
    public static func services(of snapshots: [SnapshotRecord]) -> [Service] {
        Set(snapshots.map(\.service)).sorted().map { Service(name: $0, workloads: []) }
    }
}

/// Opens a snapshot for replay.
public typealias SourceProvider = @Sendable (SnapshotRecord) async throws -> any ReplaySource
/// The driver of a kind of workload.
public typealias DriverProvider = @Sendable (WorkloadKind) -> any WorkloadDriver

/// Makes recovery plans. Equal inputs give equal plans; nothing at the target is looked at.
public struct Planner: Sendable {
    private let repository: RepositoryID
    private let sourceFor: SourceProvider
    private let driverFor: DriverProvider

    public init(
        repository: RepositoryID, sourceFor: @escaping SourceProvider,
        driverFor: @escaping DriverProvider
    ) {
        self.repository = repository
        self.sourceFor = sourceFor
        self.driverFor = driverFor
    }

    /// - Throws: `Failure` with code `usage` for unknown services and for cycles, told as their
    ///   path; what the repository and the drivers throw.
    public func plan(_ request: PlanRequest) async throws -> RecoveryPlan {
        let target = try ReplayTarget(request.target, place: request.place)
        let order = try ServiceOrder(request.services, names: request.names, only: request.only)
        let chooser = try SnapshotChooser(
            request.snapshots, accepted: request.accepted, moment: request.moment,
            now: request.made)
        var plan = RecoveryPlan(
            repository: repository, target: request.target, made: request.made)
        plan.place = target.place
        plan.at = request.momentText
        plan.objectives = request.objectives
        plan.notes = order.leftOut.map { "\($0) is not part of this plan: it must be there" }
        plan.notes += target.place?.remarks ?? []
        addUnconfigured(request, to: &plan)

        let runs = groupRuns(order.services, chooser)
        var assembly = StepAssembly()
        var planned: Set<ServiceName> = []
        for service in order.services {
            var entry = PlannedService(
                name: service.name, wave: order.waves[service.name] ?? 1,
                after: service.after.filter { order.waves[$0] != nil },
                objectives: Objectives(
                    rto: service.objectives.rto ?? request.objectives.rto,
                    rpo: service.objectives.rpo ?? request.objectives.rpo))
            for workload in workloads(of: service, chooser) {
                let preferred = service.group.flatMap { runs[$0] }
                switch chooser.choose(workload, preferred: preferred) {
                case .none(let reason):
                    plan.uncovered.append(
                        UncoveredItem(service: service.name, workload: workload, reason: reason))
                case .chosen(let snapshot, let remarks):
                    entry.snapshots.append(
                        PlannedSnapshot(of: snapshot, at: request.made, remarks: remarks))
                    let (driver, source) = (driverFor(snapshot.kind), try await sourceFor(snapshot))
                    let steps = try await driver.replaySteps(
                        for: source, service: service, target: target)
                    try assembly.add(steps, of: snapshot, service: service)
                    plan.uncovered += try await driver.omissions(
                        from: source, service: service, target: target
                    ).map {
                        UncoveredItem(
                            service: service.name, workload: workload, reason: $0,
                            isWanted: target.place?.isolation == nil)
                    }
                }
            }
            let checks = try checks(of: service, at: target)
            if target.isLive, checks.count < service.checks.count, target.place?.isolation == nil {
                plan.notes.append(
                    "\(service.name): a command is no check of what is at \(request.target)")
            }
            entry.checks = checks.map(\.summary)
            assembly.connectWorkloads(of: service.name)
            if entry.snapshots.isEmpty, service.workloads.isEmpty, checks.isEmpty {
                plan.uncovered.append(
                    UncoveredItem(service: service.name, reason: "it has no workloads"))
            }
            if !entry.snapshots.isEmpty || !checks.isEmpty { planned.insert(service.name) }
            plan.services.append(entry)
        }
        for service in order.services where planned.contains(service.name) {
            // What people do by hand changes the world around: a drill leaves that alone.
            if target.isLive, target.place?.isolation == nil { assembly.addManual(service) }
            assembly.addHealthy(service, checks: try checks(of: service, at: target))
        }
        for service in order.services {
            for other in service.after { assembly.order(service.name, after: other) }
        }
        assembly.followStartOrder()
        assembly.putManagersLast(order.services.map(\.name))
        plan.notes += assembly.notes
        plan.steps = try assembly.finished()
        for place in plan.steps.indices {
            plan.steps[place].resources = request.limits.resources(for: plan.steps[place])
        }
        try Forecaster(request.measurements).forecast(&plan, limits: request.limits)
        return plan
    }

    /// Into a directory nothing is started, so there is nothing to check.
    private func checks(of service: Service, at target: ReplayTarget) throws
        -> [CheckSpecification]
    {
        guard target.isLive else { return [] }
        guard let place = target.place else { return service.checks }
        return try service.checks.compactMap { try place.check($0, of: service.name) }
    }

    private func workloads(of service: Service, _ chooser: SnapshotChooser) -> [WorkloadID] {
        guard !service.workloads.isEmpty else { return chooser.workloads(of: service.name) }
        return service.workloads.map {
            WorkloadID(service: service.name, kind: $0.kind, name: $0.name)
        }
    }

    /// For each group of services the run whose snapshots they all come from.
    private func groupRuns(_ services: [Service], _ chooser: SnapshotChooser) -> [String: RunID] {
        var groups: [String: [WorkloadID]] = [:]
        for service in services {
            guard let group = service.group else { continue }
            groups[group, default: []] += workloads(of: service, chooser)
        }
        return groups.compactMapValues { chooser.commonRun(of: $0) }
    }

    /// What was captured and belongs to nothing that the configuration still knows.
    private func addUnconfigured(_ request: PlanRequest, to plan: inout RecoveryPlan) {
        guard request.names.isEmpty else { return }
        let known = Set(
            request.services.flatMap { service in
                service.workloads.map {
                    WorkloadID(service: service.name, kind: $0.kind, name: $0.name)
                }
            })
        let whole = Set(request.services.filter { $0.workloads.isEmpty }.map(\.name))
        var seen: Set<WorkloadID> = []
        for snapshot in request.snapshots.sorted(by: { $0.workload < $1.workload })
        where !known.contains(snapshot.workload) && !whole.contains(snapshot.service) {
            guard seen.insert(snapshot.workload).inserted else { continue }
            plan.uncovered.append(
                UncoveredItem(
                    service: snapshot.service, workload: snapshot.workload,
                    reason: "captured, but no longer in the configuration", isWanted: false))
        }
    }
}

extension ReplayTarget {
    /// Where a plan is carried out.
    init(of plan: RecoveryPlan) throws { try self.init(plan.target, place: plan.place) }

    /// - Throws: `Failure` with code `usage` for a target that only a configuration could explain.
    init(_ target: RecoveryTarget, place: TargetPlace?) throws {
        switch target {
        case .here: self = .here
        case .directory(let path): self = .directory(path)
        case .named(let name):
            if let place, place.name == name {
                self = .place(place)
                return
            }
            throw Failure(
                .usage, "no target \(printable(name.utf8))",
                hint: "give here, or a directory with a / in its path")
        }
    }
}
