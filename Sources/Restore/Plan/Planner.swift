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
        let target = try ReplayTarget(request.target)
        let order = try ServiceOrder(request.services, names: request.names, only: request.only)
        let chooser = try SnapshotChooser(
            request.snapshots, accepted: request.accepted, moment: request.moment)
        var plan = RecoveryPlan(
            repository: repository, target: request.target, made: request.made)
        plan.at = request.momentText
        plan.objectives = request.objectives
        plan.notes = order.leftOut.map { "\($0) is not part of this plan: it must be there" }
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
                    let steps = try await driverFor(snapshot.kind).replaySteps(
                        for: try await sourceFor(snapshot), service: service, target: target)
                    try assembly.add(steps, of: snapshot, service: service)
                }
            }
            // Into a directory nothing is started, so there is nothing to check.
            let checks = target == .here ? service.checks : []
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
            assembly.addHealthy(service, checks: target == .here ? service.checks : [])
        }
        for service in order.services {
            for other in service.after { assembly.order(service.name, after: other) }
        }
        plan.notes += assembly.notes
        plan.steps = try assembly.finished()
        for place in plan.steps.indices {
            plan.steps[place].resources = request.limits.resources(for: plan.steps[place].phase)
        }
        try Forecaster(request.measurements).forecast(&plan, limits: request.limits)
        return plan
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
    /// - Throws: `Failure` with code `usage` for a target that only a configuration could explain.
    init(_ target: RecoveryTarget) throws {
        switch target {
        case .here: self = .here
        case .directory(let path): self = .directory(path)
        case .named(let name):
            throw Failure(
                .usage, "no target \(printable(name.utf8))",
                hint: "give here, or a directory with a / in its path")
        }
    }
}
