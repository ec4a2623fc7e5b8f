import Catalog
import Engine
import Model
import Restore
import TestSupport
import Workloads

/// A database, an application on it, a proxy before that, and files that nothing depends on.
struct Stack {
    let world = FakeWorld()
    var services: [Service]
    var snapshots: [SnapshotRecord]
    let run = Self.run(1)

    static func run(_ number: UInt64) -> RunID { RunID(words: (number, 0, 0, number)) }

    static func snapshot(
        _ number: UInt64, _ service: ServiceName, _ kind: WorkloadKind, _ name: String,
        run: RunID, hoursOld: Double, bytes: UInt64 = 0
    ) -> SnapshotRecord {
        var record = SnapshotRecord(
            id: SnapshotID(words: (number << 40, 0, 0, number)),
            workload: WorkloadID(service: service, kind: kind, name: name), service: service,
            kind: kind, host: "web.example.org", run: run,
            asOf: Timestamp(
                nanoseconds: FakeWorld.now.nanoseconds - Int64(hoursOld * 3600) * 1_000_000_000))
        record.parts = [
            SnapshotPart(
                name: "data", kind: .stream, content: .empty, bytes: ByteCount(bytes))
        ]
        return record
    }

    init() {
        var database = Service(
            name: "umami-db",
            workloads: [
                .docker(DockerSpecification(subject: .container("umami-db"))),
                .postgres(PostgresSpecification(server: .container("umami-db", engine: nil))),
            ])
        database.objectives = Objectives(rto: TimeSpan(seconds: 900))
        var application = Service(
            name: "umami",
            workloads: [.docker(DockerSpecification(subject: .container("umami")))])
        application.after = ["umami-db"]
        application.checks = [
            CheckSpecification(.http(url: "http://127.0.0.1:3000/", status: 200, body: nil))
        ]
        var proxy = Service(
            name: "caddy", workloads: [.docker(DockerSpecification(subject: .container("caddy")))])
        proxy.after = ["umami"]
        let site = Service(
            name: "site", workloads: [.files(FilesSpecification(paths: ["/srv/www"]))])
        services = [proxy, application, database, site]
        let mebibyte: UInt64 = 1 << 20
        snapshots = [
            Self.snapshot(
                1, "umami-db", .docker, "umami-db", run: run, hoursOld: 3, bytes: mebibyte),
            Self.snapshot(
                2, "umami-db", .postgres, "umami-db", run: run, hoursOld: 3, bytes: 400 * mebibyte),
            Self.snapshot(3, "umami", .docker, "umami", run: run, hoursOld: 3),
            Self.snapshot(4, "caddy", .docker, "caddy", run: run, hoursOld: 3),
            Self.snapshot(
                5, "site", .files, "files", run: run, hoursOld: 2.5, bytes: 200 * mebibyte),
        ]
        world.change { $0.steps = Self.steps(mebibyte) }
    }

    private static func steps(_ mebibyte: UInt64) -> [WorkloadID: [ReplayStep]] {
        func container(_ name: String, _ volume: Bool) -> [ReplayStep] {
            var steps = [
                ReplayStep(
                    id: "network:web", title: "make network web", phase: .prepare,
                    makes: ["network/web"])
            ]
            if volume {
                steps.append(
                    ReplayStep(
                        id: "volume:\(name)", title: "restore volume \(name)",
                        bytes: ByteCount(mebibyte), phase: .data, makes: ["volume/\(name)"]))
            }
            steps.append(
                ReplayStep(
                    id: "start", title: "start container \(name)", needs: steps.map(\.id),
                    phase: .start, makes: ["container/\(name)"]))
            return steps
        }
        return [
            WorkloadID(text: "umami-db/docker:umami-db"): container("umami-db", true),
            WorkloadID(text: "umami-db/postgres:umami-db"): [
                ReplayStep(id: "globals", title: "restore roles", phase: .prepare),
                ReplayStep(
                    id: "database:umami", title: "restore database umami", needs: ["globals"],
                    bytes: ByteCount(400 * mebibyte), phase: .data, makes: ["database/umami"]),
                ReplayStep(
                    id: "proof:umami", title: "count rows of umami", needs: ["database:umami"],
                    phase: .check),
            ],
            WorkloadID(text: "umami/docker:umami"): container("umami", false),
            WorkloadID(text: "caddy/docker:caddy"): container("caddy", false),
            WorkloadID(text: "site/files:files"): [
                ReplayStep(
                    id: "files:/srv/www", title: "restore /srv/www",
                    bytes: ByteCount(200 * mebibyte), phase: .data, makes: ["path/srv/www"])
            ],
        ]
    }

    func request(_ change: (inout PlanRequest) -> Void = { _ in }) -> PlanRequest {
        var request = PlanRequest(
            services: services, target: .here, made: FakeWorld.now, snapshots: snapshots)
        request.objectives = Objectives(rto: TimeSpan(seconds: 3600), rpo: TimeSpan(seconds: 86400))
        change(&request)
        return request
    }

    func plan(_ change: (inout PlanRequest) -> Void = { _ in }) async throws -> RecoveryPlan {
        try await world.planner.plan(request(change))
    }

    func recovery(
        _ plan: RecoveryPlan, catalog: Catalog? = nil, limits: RecoveryLimits = RecoveryLimits()
    ) -> RecoveryRun {
        RecoveryRun(
            plan, services: services, snapshots: snapshots,
            environment: environment {
                $0.catalog = catalog
                $0.limits = limits
            })
    }

    func environment(_ change: (inout RecoveryEnvironment) -> Void) -> RecoveryEnvironment {
        var environment = RecoveryEnvironment(
            catalog: nil, timepiece: world.clock, sourceFor: world.sourceFor,
            driverFor: world.driverFor, context: WorkloadContext(secrets: NoSecrets()),
            probe: FakeProbe(world: world), host: "web.example.org", processID: 42,
            program: "0.1.0")
        change(&environment)
        return environment
    }

    /// Plans and executes on the clock that stands still.
    func execute(
        catalog: Catalog? = nil, limits: RecoveryLimits = RecoveryLimits(), replace: Bool = false,
        declared: Timestamp? = nil,
        plan change: (inout PlanRequest) -> Void = { _ in }
    ) async throws -> RecoveryReport {
        let plan = try await plan {
            $0.limits = limits
            change(&$0)
        }
        // Steps that only mark the end of a service take no time and never sleep.
        let instant = Set(
            plan.steps.filter { $0.phase == .healthy && $0.checks.isEmpty }.map(\.id))
        let active = ActivityCount(ignoring: instant)
        return try await recovery(plan, catalog: catalog, limits: limits).execute(
            run: Self.run(9), declared: declared, replace: replace
        ) { progress in
            if let moment = progress.moment { world.clock.setActive(active.update(moment)) }
        }
    }
}
