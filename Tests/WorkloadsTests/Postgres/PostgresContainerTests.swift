import Engine
import Model
import TestSupport
import Testing

@testable import Workloads

@Suite(.enabled(if: TestEnvironment.hasDockerPostgres, "needs a Docker Engine with PostgreSQL"))
struct PostgresContainerTests {
    private let driver = PostgresDriver()

    @Test func aContainersServerComesBackToANewContainer() async throws {
        try await TemporaryDirectory.with("pg") { directory in
            let docker = try DockerStack(in: directory)
            let context = WorkloadContext(
                dockerHost: TestEnvironment.dockerHost, secrets: MemorySecrets())
            let name = docker.name("db")
            try await start(docker, name)
            let service = Service(
                name: "db",
                workloads: [
                    .postgres(PostgresSpecification(server: .container(name, engine: nil)))
                ])
            // Before the first capture the server must be there as well.
            _ = try await driver.perform(
                ReplayStep(id: "ready", title: "", phase: .prepare),
                from: ScriptedSink().source(
                    CaptureOutcome(consistency: .application), service: service,
                    service.workloads[0]),
                service: service, target: .here, context: context)
            try await sql(docker, name, "CREATE TABLE t AS SELECT generate_series(1, 5000) AS i")
            try await sql(docker, name, "CREATE ROLE reader LOGIN PASSWORD 'Pl4nted'")
            try await sql(docker, name, "CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM t")

            let sink = ScriptedSink()
            let outcome = try await driver.capture(
                service.workloads[0], of: service, into: sink, context: context)
            #expect(outcome.proof.rows["app.public.t"] == 5000)
            let source = sink.source(outcome, service: service, service.workloads[0])
            guard case .postgres(let postgres) = service.workloads[0] else { return }
            let mounts = try await driver.dataDirectoryMounts(
                of: postgres, among: ["/var/lib/postgresql/data", "/etc"], context: context)
            #expect(
                mounts == [
                    PostgresDataMount(destination: "/var/lib/postgresql/data", subpath: "")
                ])

            try await docker.docker("rm", "-f", "-v", name)
            let steps = try await driver.replaySteps(for: source, service: service, target: .here)
            let alone = try await driver.preflight(
                steps, from: source, service: service, target: .here, context: context)
            #expect(alone.map(\.severity) == [.warning], "\(alone)")
            // The same restore will make the container.
            var planned = context
            planned.planned = ["container/\(name)"]
            #expect(
                try await driver.preflight(
                    steps, from: source, service: service, target: .here, context: planned
                ).isEmpty)
            try await start(docker, name)
            for step in steps {
                let outcome = try await driver.perform(
                    step, from: source, service: service, target: .here, context: context)
                #expect(outcome.problems.isEmpty)
            }
            #expect(try await sql(docker, name, "SELECT count(*) FROM t") == "5000")
            #expect(try await sql(docker, name, "SELECT * FROM v") == "5000")
            #expect(
                try await sql(
                    docker, name,
                    "SELECT rolpassword ~ '^SCRAM' FROM pg_authid "
                        + "WHERE rolname = 'reader'") == "t")
            // The entrypoint's own empty database is not kept aside.
            #expect(
                try await sql(
                    docker, name, "SELECT count(*) FROM pg_database WHERE datname ~ 'before|dr_'")
                    == "0")
            // The container goes while it is read.
            let going = ScriptedSink(whenReading: "database/app.dump") {
                _ = try? await docker.docker("rm", "-f", "-v", name)
            }
            try await sql(
                docker, name,
                "CREATE TABLE big AS SELECT repeat('x', 900) AS x FROM generate_series(1, 40000)")
            let began = ContinuousClock.now
            await #expect(throws: Failure.self) {
                _ = try await driver.capture(
                    service.workloads[0], of: service, into: going, context: context)
            }
            #expect(ContinuousClock.now - began < .seconds(20))
        }
    }

    @Test(
        "A dump of one major version comes back to a newer one, and to an older one it does not",
        .enabled(
            if: TestEnvironment.otherPostgresImage != nil, "needs an image of another PostgreSQL"))
    func otherMajor() async throws {
        try await TemporaryDirectory.with("pg") { directory in
            let docker = try DockerStack(in: directory)
            let context = WorkloadContext(
                dockerHost: TestEnvironment.dockerHost, secrets: MemorySecrets())
            let service = Service(
                name: "db",
                workloads: [
                    .postgres(
                        PostgresSpecification(server: .container(docker.name("db"), engine: nil)))
                ])
            let name = docker.name("db")
            var images: [(major: Int, image: String)] = []
            for image in [TestEnvironment.postgresImage, TestEnvironment.otherPostgresImage] {
                // psql (PostgreSQL) 15.18
                let said = try await docker.docker(
                    "run", "--rm", "--entrypoint", "psql", image ?? "", "--version")
                let number = said.split(separator: " ").last { $0.first?.isNumber ?? false } ?? "0"
                images.append((Int(number.prefix { $0.isNumber }) ?? 0, image ?? ""))
            }
            images.sort { $0.major < $1.major }
            let (older, newer) = (images[0], images[1])
            #expect(older.major < newer.major)
            /// A new server under the same name each time.
            func serve(_ image: String) async throws {
                _ = try? await docker.docker("rm", "-f", "-v", name)
                try await start(docker, name, image)
                _ = try await docker.eventually(in: name, "pg_isready", "-q", "-h", "127.0.0.1")
            }
            func captured(_ image: String) async throws -> ScriptedSource {
                try await serve(image)
                try await sql(
                    docker, name,
                    """
                    CREATE TABLE t AS SELECT generate_series(1, 3000) AS i;
                    CREATE SEQUENCE s; SELECT setval('s', 77); SELECT lo_from_bytea(0, 'large');
                    CREATE ROLE reader LOGIN PASSWORD 'Pl4nted'; GRANT SELECT ON t TO reader;
                    CREATE VIEW seen AS SELECT count(*) FROM t WHERE i > 10
                    """)
                let sink = ScriptedSink()
                let outcome = try await driver.capture(
                    service.workloads[0], of: service, into: sink, context: context)
                #expect(outcome.proof.rows["app.public.t"] == 3000)
                return sink.source(outcome, service: service, service.workloads[0])
            }
            let ofNewer = try await captured(newer.image)
            let ofOlder = try await captured(older.image)
            let findings = try await driver.preflight(
                try await driver.replaySteps(for: ofNewer, service: service, target: .here),
                from: ofNewer, service: service, target: .here, context: context)
            #expect(
                findings.contains {
                    $0.severity == .blocker
                        && $0.message.contains("is PostgreSQL \(older.major), the snapshot is of")
                }, "\(findings)")

            try await serve(newer.image)
            for step in try await driver.replaySteps(
                for: ofOlder, service: service, target: .here)
            {
                let outcome = try await driver.perform(
                    step, from: ofOlder, service: service, target: .here, context: context)
                #expect(outcome.problems.isEmpty)
            }
            #expect(
                try await sql(
                    docker, name,
                    "SELECT (SELECT * FROM seen), (SELECT last_value FROM s), "
                        + "(SELECT count(*) FROM pg_largeobject_metadata), "
                        + "has_table_privilege('reader', 't', 'SELECT')") == "2990|77|1|t")
        }
    }

    private func start(
        _ docker: DockerStack, _ name: String,
        _ image: String = TestEnvironment.postgresImage ?? ""
    ) async throws {
        try await docker.docker(
            "run", "-d", "--name", name, "-e", "POSTGRES_USER=boss", "-e",
            "POSTGRES_PASSWORD=Pl4nted-too", "-e", "POSTGRES_DB=app", image)
    }

    @discardableResult
    private func sql(_ docker: DockerStack, _ name: String, _ sql: String) async throws -> String {
        try await docker.docker(
            "exec", name, "psql", "-U", "boss", "-d", "app", "-X", "-A", "-t", "-q", "-v",
            "ON_ERROR_STOP=1", "-c", sql)
    }
}
