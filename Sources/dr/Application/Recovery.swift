import CLinux
import Catalog
import Engine
import Glibc
import Model
import Repository
import Restore
import Workloads

/// What the person who wants something back has asked for.
struct RecoveryWish: Sendable {
    /// Names of services; empty for all.
    var services: [String]
    var target: RecoveryTarget
    /// In the person's words; nil for the latest.
    var moment: String?
    /// Without what the named services depend on.
    var only: Bool
    /// What exists already may be replaced.
    var replace = false
}

/// A plan, and all that is needed to carry it out.
struct PreparedRecovery: Sendable {
    var plan: RecoveryPlan
    var run: RecoveryRun
}

extension Application {
    /// Where things are to be brought back to; a directory is seen from the working directory.
    func target(_ text: String) -> RecoveryTarget {
        switch RecoveryTarget(text) {
        case .directory(let path):
            .directory(absolutePath(path, from: environment.workingDirectory))
        case let other: other
        }
    }

    /// Makes the plan for a wish and looks at the target; changes nothing.
    ///
    /// - Parameter progress: Told of the bytes that the run will write later.
    func prepare(
        _ wish: RecoveryWish, _ open: OpenRepository, progress: ProgressDisplay? = nil
    ) async throws -> PreparedRecovery {
        let snapshots = try await open.catalog.snapshots()
        let configured = open.configuration.services
        let services = configured.isEmpty ? PlanRequest.services(of: snapshots) : configured
        try refuseUnknown(wish.services, among: services.map(\.name.text))
        let now = timepiece.wall
        var request = PlanRequest(
            services: services, target: wish.target, made: now, snapshots: snapshots)
        request.names = wish.services.map { ServiceName($0) }
        request.only = wish.only
        if let text = wish.moment {
            request.moment = try RecoveryMoment(parsing: text, now: now, among: snapshots)
            request.momentText = text
        }
        request.objectives = open.configuration.objectives
        request.accepted = try await open.catalog.snapshots(marked: .accepted)
        for phase in PlannedStep.Phase.allCases {
            request.measurements += try await open.catalog.measurements(
                of: "restore.\(phase.rawValue)")
        }
        let source: SourceProvider = { snapshot in
            RepositoryReplaySource(
                snapshot: snapshot, repository: open.repository, index: open.index,
                advance: { bytes in progress?.update { $0.bytesDone += bytes } })
        }
        var plan = try await Planner(
            repository: open.repository.id, sourceFor: source, driverFor: driver
        ).plan(request)
        var context = context(open.configuration)
        context.replace = wish.replace
        let surroundings = RecoveryEnvironment(
            catalog: open.catalog, timepiece: timepiece, sourceFor: source, driverFor: driver,
            context: context, probe: probe(open.configuration), host: host, processID: getpid(),
            program: Version.current)
        func run() -> RecoveryRun {
            RecoveryRun(plan, services: services, snapshots: snapshots, environment: surroundings)
        }
        plan.findings = await run().preflight()
        return PreparedRecovery(plan: plan, run: run())
    }
}
