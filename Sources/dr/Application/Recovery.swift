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
    /// Only these files or directories; empty for whole services.
    var paths: [String] = []
    /// Devices, setuid bits and privileged attributes come back to a directory too.
    var privilegedMetadata = false
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
        var request = try request(wish, open, snapshots)
        if let text = wish.moment {
            request.moment = try RecoveryMoment(
                parsing: text, now: request.made, among: snapshots)
            request.momentText = text
        }
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
        let driver = driver(for: wish, open)
        var plan = try await Planner(
            repository: open.repository.id, sourceFor: source, driverFor: driver
        ).plan(request)
        try checkPaths(wish, plan)
        var context = context(open.configuration)
        context.replace = wish.replace
        context.privilegedMetadata = wish.privilegedMetadata
        let surroundings = RecoveryEnvironment(
            catalog: open.catalog, timepiece: timepiece, sourceFor: source, driverFor: driver,
            context: context, probe: probe(open.configuration), host: host, processID: getpid(),
            program: Version.current)
        func run() -> RecoveryRun {
            RecoveryRun(
                plan, services: request.services, snapshots: snapshots, environment: surroundings)
        }
        plan.findings = await run().preflight()
        return PreparedRecovery(plan: plan, run: run())
    }

    /// Which services, and of which snapshots.
    private func request(
        _ wish: RecoveryWish, _ open: OpenRepository, _ snapshots: [SnapshotRecord]
    ) throws -> PlanRequest {
        let captured = PlanRequest.services(of: snapshots)
        let configured = open.configuration.services
        let services = configured.isEmpty || !wish.paths.isEmpty ? captured : configured
        try refuseUnknown(wish.services, among: services.map(\.name.text))
        var request = PlanRequest(
            services: services, target: wish.target, made: timepiece.wall, snapshots: snapshots)
        guard !wish.paths.isEmpty else {
            request.names = wish.services.map { ServiceName($0) }
            request.only = wish.only
            request.objectives = open.configuration.objectives
            return request
        }
        // Of single paths there is nothing to start or to check, and no objective.
        request.snapshots = snapshots.filter { snapshot in
            (wish.services.isEmpty || wish.services.contains(snapshot.service.text))
                && wish.paths.contains { path in
                    nameCandidates(path).contains { snapshot.place(at: $0) != nil }
                }
        }
        request.services = PlanRequest.services(of: request.snapshots)
        request.names = request.services.map(\.name)
        request.only = true
        guard !request.snapshots.isEmpty else {
            throw Self.noSuchPath(wish.paths[0], wish)
        }
        return request
    }

    private func driver(for wish: RecoveryWish, _ open: OpenRepository) -> DriverProvider {
        guard !wish.paths.isEmpty else { return { driver(for: $0) } }
        let lookup = TreeLookup(repository: open.repository, index: open.index)
        return { kind in
            PathDriver(kind: kind, paths: wish.paths) { candidates, part in
                try await lookup.find(candidates, in: part).map {
                    PathDriver.Found(path: $0.path, files: $0.files, bytes: $0.bytes)
                }
            }
        }
    }

    /// Every path that is wanted must come from somewhere.
    private func checkPaths(_ wish: RecoveryWish, _ plan: RecoveryPlan) throws {
        let made = Set(plan.steps.flatMap { [$0.replay].compactMap { $0 } + $0.merged }.map(\.step))
        for path in wish.paths where !made.contains(PathDriver.step(of: path)) {
            throw Self.noSuchPath(path, wish)
        }
    }

    private static func noSuchPath(_ path: String, _ wish: RecoveryWish) -> Failure {
        let whose = wish.services.isEmpty ? "" : " of \(wish.services.joined(separator: ", "))"
        let when = wish.moment == nil ? "latest" : "chosen"
        return Failure(
            .usage, "the \(when) snapshots\(whose) have no \"\(printable(path.utf8))\"",
            hint: "dr find tells which snapshots have it")
    }
}
