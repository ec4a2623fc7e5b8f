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
    /// Nobody is there for manual steps.
    var unattended = false
    /// How things are called there, where no configuration says so: in a drill.
    var place: TargetPlace?
}

/// A plan, and all that is needed to carry it out.
struct PreparedRecovery: Sendable {
    var plan: RecoveryPlan
    var run: RecoveryRun
}

extension Application {
    /// Where things are to be brought back to; a directory is seen from the working directory.
    ///
    /// - Throws: `Failure` with code `usage` for a name that the configuration does not know.
    func target(_ text: String, _ open: OpenRepository) throws -> RecoveryTarget {
        switch RecoveryTarget(text) {
        case .directory(let path):
            return .directory(absolutePath(path, from: environment.workingDirectory))
        case .named(let name):
            let known = open.configuration.targets.map(\.name)
            if open.configuration.targets.contains(where: {
                $0.name == name && $0.isIsolated == true
            }) {
                throw Failure(
                    .usage, "target \(printable(name.utf8)) is for drills alone",
                    hint: "dr drill --on \(printable(name.utf8))")
            }
            guard !known.contains(name) else { return .named(name) }
            let near = nearestName(to: name, among: known + ["here"])
            throw Failure(
                .usage, "no target \(printable(name.utf8))",
                hint: near.map { "did you mean \($0)?" }
                    ?? "give here, a directory with a / in its path, or a name under targets: of "
                    + "the configuration")
        case .here: return .here
        }
    }

    /// Makes the plan for a wish and looks at the target; changes nothing.
    ///
    /// - Parameter progress: Told of the bytes that the run will write later.
    func prepare(
        _ wish: RecoveryWish, _ open: OpenRepository, progress: ProgressDisplay? = nil,
        adjusting adjust: (inout RecoveryEnvironment) -> Void = { _ in }
    ) async throws -> PreparedRecovery {
        var (plan, request) = try await plan(wish, open)
        var surroundings = surroundings(
            open, source(open, progress), driver(for: wish.paths, open), replace: wish.replace,
            privilegedMetadata: wish.privilegedMetadata, unattended: wish.unattended,
            place: plan.place)
        adjust(&surroundings)
        let environment = surroundings
        func run() -> RecoveryRun {
            RecoveryRun(
                plan, services: request.services, snapshots: request.snapshots,
                environment: environment)
        }
        plan.findings = await run().preflight()
        return PreparedRecovery(plan: plan, run: run())
    }

    /// Makes the plan for a wish; looks at nothing but the repository and the catalog.
    func plan(_ wish: RecoveryWish, _ open: OpenRepository) async throws
        -> (plan: RecoveryPlan, request: PlanRequest)
    {
        let snapshots = try await open.catalog.snapshots()
        var request = try request(wish, open, snapshots)
        if let text = wish.moment {
            request.moment = try RecoveryMoment(
                parsing: text, now: request.made, among: snapshots)
            request.momentText = text
        }
        request.accepted = try await open.catalog.snapshots(marked: .accepted)
        for subject in PlanRequest.measuredSubjects {
            request.measurements += try await open.catalog.measurements(of: subject)
        }
        let plan = try await Planner(
            repository: open.repository.id, sourceFor: source(open, nil),
            driverFor: driver(for: wish.paths, open)
        ).plan(request)
        try checkPaths(wish, plan)
        return (plan, request)
    }

    /// Opens snapshots; what they give is counted by service.
    func source(_ open: OpenRepository, _ progress: ProgressDisplay?) -> SourceProvider {
        { snapshot in
            RepositoryReplaySource(
                snapshot: snapshot, repository: open.repository, index: open.index,
                advance: { bytes in
                    progress?.update {
                        $0.bytesDone += bytes
                        $0.bytesOf[snapshot.service.text, default: 0] += bytes.bytes
                    }
                })
        }
    }

    /// What a run needs of the world around it.
    private func surroundings(
        _ open: OpenRepository, _ source: @escaping SourceProvider,
        _ driver: @escaping DriverProvider, replace: Bool, privilegedMetadata: Bool,
        unattended: Bool, place: TargetPlace?
    ) -> RecoveryEnvironment {
        var context = context(open.configuration)
        context.replace = replace
        context.privilegedMetadata = privilegedMetadata
        var surroundings = RecoveryEnvironment(
            catalog: open.catalog, timepiece: timepiece, sourceFor: source, driverFor: driver,
            context: context, probe: probe(open.configuration, at: place), host: host,
            processID: getpid(),
            program: Version.current)
        surroundings.limits = RecoveryLimits(open.configuration.recovery)
        if !unattended, Terminal().isThere {
            surroundings.person = { try await askPerson($0) }
        }
        return surroundings
    }

    /// Tells a person what to do, and waits until it was done.
    private func askPerson(_ message: String) async throws {
        let question = "\nTo do by hand: \(printable(message.utf8))\nPress Enter when it is done. "
        let answer = try await output.withoutProgress {
            try await Terminal().ask(question, isSecret: false)
        }
        guard answer != nil else {
            throw Failure(
                .failed, "nobody is there to do it: \(printable(message.utf8))",
                hint: "run dr restore --resume on a terminal", side: .local)
        }
    }

    /// Looks up a run that ended before all was done, and at the target; changes nothing.
    ///
    /// - Parameter run: First digits of its id; nil for the latest restore.
    func prepareResume(
        _ run: String?, _ open: OpenRepository, replace: Bool, unattended: Bool,
        progress: ProgressDisplay
    ) async throws -> (run: InterruptedRun, prepared: PreparedRecovery) {
        let earlier = try await InterruptedRun.find(run, in: open.catalog)
        let orders = earlier.orders
        let snapshots = try await open.catalog.snapshots()
        let source = source(open, progress)
        let driver = driver(for: orders.paths, open)
        let surroundings = surroundings(
            open, source, driver, replace: orders.replace || replace,
            privilegedMetadata: orders.privilegedMetadata,
            unattended: orders.unattended || unattended, place: earlier.plan.place)
        let configured = open.configuration.services
        let services =
            configured.isEmpty || !orders.paths.isEmpty
            ? PlanRequest.services(of: snapshots) : configured
        var plan = earlier.plan
        let run = RecoveryRun(
            plan, services: services, snapshots: snapshots, environment: surroundings)
        plan.findings = await run.preflight(earlier)
        return (earlier, PreparedRecovery(plan: plan, run: run))
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
        request.limits = RecoveryLimits(open.configuration.recovery)
        if case .named(let name) = wish.target {
            request.place =
                wish.place ?? open.configuration.targets.first { $0.name == name }
        }
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

    private func driver(for paths: [String], _ open: OpenRepository) -> DriverProvider {
        guard !paths.isEmpty else { return { driver(for: $0) } }
        let lookup = TreeLookup(repository: open.repository, index: open.index)
        return { kind in
            PathDriver(kind: kind, paths: paths) { candidates, part in
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

extension RecoveryLimits {
    /// As the configuration says.
    init(_ rules: RecoveryRules) {
        self.init(data: rules.jobs, disk: rules.jobsPerDisk, downloads: rules.downloads)
    }
}
