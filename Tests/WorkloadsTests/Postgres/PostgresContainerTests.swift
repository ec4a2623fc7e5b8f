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
            // The same restore will make the container.
            #expect(
                try await driver.preflight(
                    steps, from: source, service: service, target: .here, context: context
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
            let going = ScriptedSink { part, count in
                guard part == "database/app.dump", count > 0 else { return }
                _ = try? await docker.docker("rm", "-f", "-v", name)
            }
            try await sql(
                docker, name,
                "CREATE TABLE big AS SELECT repeat('x', 900) AS x FROM generate_series(1, 40000)")
            await #expect(throws: Failure.self) {
                _ = try await driver.capture(
                    service.workloads[0], of: service, into: going, context: context)
            }
        }
    }

    private func start(_ docker: DockerStack, _ name: String) async throws {
        try await docker.docker(
            "run", "-d", "--name", name, "-e", "POSTGRES_USER=boss", "-e",
            "POSTGRES_PASSWORD=Pl4nted-too", "-e", "POSTGRES_DB=app",
            TestEnvironment.postgresImage ?? "")
    }

    @discardableResult
    private func sql(_ docker: DockerStack, _ name: String, _ sql: String) async throws -> String {
        try await docker.docker(
            "exec", name, "psql", "-U", "boss", "-d", "app", "-X", "-A", "-t", "-q", "-v",
            "ON_ERROR_STOP=1", "-c", sql)
    }
}
