import Engine
import Model
import TestSupport
import Testing

@testable import Workloads

/// MariaDB in a container that borrows this machine's programs.
@Suite(
    "MariaDB in a container", .enabled(if: TestEnvironment.hasDocker, "needs a Docker Engine"),
    .enabled(if: TestEnvironment.hasMariaDB, "needs MariaDB's server"))
struct MariaDBContainerTests {
    private let driver = MariaDBDriver()

    @Test("A container's server comes back to a new container, by the password it was made with")
    func comesBack() async throws {
        try await TemporaryDirectory.with("mariadb") { directory in
            let docker = try DockerStack(in: directory)
            let context = WorkloadContext(
                dockerHost: TestEnvironment.dockerHost, secrets: MemorySecrets())
            let name = docker.name("db")
            try await start(docker, name)
            let server = MariaDBSpecification(server: .container(name, engine: nil))
            let service = Service(name: "db", workloads: [.mariadb(server)])
            _ = try await driver.perform(
                ReplayStep(id: "ready", title: "", phase: .prepare),
                from: ScriptedSink().source(
                    CaptureOutcome(consistency: .application), service: service,
                    service.workloads[0]),
                service: service, target: .here, context: context)
            try await sql(
                docker, name,
                "CREATE OR REPLACE DATABASE app; CREATE TABLE app.t AS SELECT seq FROM app.seq_1_to_5000; "
                    + "CREATE OR REPLACE USER reader IDENTIFIED BY 'other'; GRANT SELECT ON app.t TO reader"
            )
            let facts = try await driver.look(at: server, context: context)
            #expect(facts.databases == ["app"] && !facts.isEmpty)
            let mounts = try await driver.dataDirectoryMounts(
                of: server, among: ["/data", "/usr"], context: context)
            #expect(mounts.map(\.destination) == ["/data"])

            let sink = ScriptedSink()
            let outcome = try await driver.capture(
                service.workloads[0], of: service, into: sink, context: context)
            #expect(outcome.proof.rows == ["app..t": 5000])
            let source = sink.source(outcome, service: service, service.workloads[0])
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
                _ = try await driver.perform(
                    step, from: source, service: service, target: .here, context: context)
            }
            #expect(try await sql(docker, name, "SELECT count(*) FROM app.t") == "5000")
            #expect(try await sql(docker, name, "SHOW GRANTS FOR reader").contains("`app`.`t`"))

            // The container goes while it is read.
            try await sql(
                docker, name,
                "CREATE TABLE app.big AS SELECT repeat('x', 900) AS x FROM app.seq_1_to_40000")
            let going = ScriptedSink(whenReading: "database/app.sql") {
                _ = try? await docker.docker("rm", "-f", "-v", name)
            }
            let began = ContinuousClock.now
            await #expect(throws: Failure.self) {
                _ = try await driver.capture(
                    service.workloads[0], of: service, into: going, context: context)
            }
            #expect(ContinuousClock.now - began < .seconds(20))
        }
    }

    private func start(_ docker: DockerStack, _ name: String) async throws {
        let script = """
            mkdir -p /run/mysqld /tmp
            mariadb-install-db --no-defaults --user=root --datadir=/data --skip-test-db \
                --auth-root-authentication-method=normal >/dev/null
            echo "ALTER USER root@localhost IDENTIFIED BY '$MARIADB_ROOT_PASSWORD';" >/init.sql
            exec mariadbd --no-defaults --user=root --datadir=/data --init-file=/init.sql \
                --socket=/run/mysqld/mysqld.sock --innodb-buffer-pool-size=16M
            """
        try await docker.docker(
            "run", "-d", "--name", name, "-e", "MARIADB_ROOT_PASSWORD=Pl4nted", "-e",
            "PATH=/bin:/usr/sbin:/usr/bin", "-v", "/usr:/usr:ro", "-v", "/usr/lib:/lib:ro", "-v",
            "/usr/lib64:/lib64:ro", "-v", "/data", TestEnvironment.busyboxImage ?? "", "sh", "-c",
            script)
    }

    @discardableResult
    private func sql(_ docker: DockerStack, _ name: String, _ sql: String) async throws -> String {
        try await docker.eventually(
            in: name, "mariadb", "--no-defaults", "--user=root", "--password=Pl4nted", "--batch",
            "--skip-column-names", "-e", sql)
    }
}
