import Glibc
import Model
import TestSupport
import Testing

/// A Docker Engine that ssh reaches: an sshd on loopback, with the tests' own Engine behind it.
@Suite(
    "dr backup, of an Engine on another machine",
    .enabled(
        if: TestEnvironment.hasDocker && TemporarySSHServer.isPossible, "needs root, Docker, sshd"))
struct FarEngineTests: CommandSuite {
    private func with(
        slow: Bool = false,
        _ body: (DockerNight, _ engine: String, TemporarySSHServer) async throws -> Void
    ) async throws {
        try await DockerNight.with { world in
            var world = world
            let programs = slow ? try FarMachineTests.slowTar(in: world.scratch) : nil
            let server = try await TemporarySSHServer(in: world.scratch, programs: programs)
            let socket = (TestEnvironment.dockerHost ?? "").replacing("unix://", with: "")
            world.dr.environment["DOCKER_HOST"] = nil
            world.dr.environment["DR_SSH_COMMAND"] = server.command
            try await body(world, "ssh://root@127.0.0.1:\(server.port)\(socket)", server)
        }
    }

    @Test("Volumes, bind mounts and Compose files come along, and come back there")
    func thereAndBack() async throws {
        try await with { world, engine, server in
            let (scratch, dr, name) = (world.scratch, world.dr, world.stack.name("app"))
            try await shell(
                """
                mkdir -p bind/deep compose; seq 9000 >bind/deep/numbers; chmod 2750 bind/deep
                chown -R 1234:4321 bind; echo one >single; chmod 604 single
                echo 'services: {}' >compose/compose.yaml
                """, in: scratch)
            try await world.start(
                "app", "-v", "\(scratch.path("bind")):/bind", "-v",
                "\(scratch.path("single")):/single", "-l", "com.docker.compose.project=\(name)",
                "-l",
                "com.docker.compose.service=app", "-l",
                "com.docker.compose.project.working_dir=\(scratch.path("compose"))", "-l",
                "com.docker.compose.project.config_files=\(scratch.path("compose/compose.yaml"))")
            try scratch.write(
                "dr.yaml",
                """
                repository: repo
                backup: {pause: 1s, attempts: 2}
                services:
                  app:
                    docker: {container: \(name), host: "\(engine)"}
                    consistency: pause
                    check: {container: \(name)}
                  here: {command: {capture: echo x}}
                """)
            expect(try await dr.run("backup"), .done, "2 of 2 saved")
            #expect(try await world.state("app") == "running")
            let volume = try await world.stack.mountPoint(of: "\(name)-data")
            // Its first process writes the file again when it starts.
            let lasting: TreeFingerprint.Aspects = [.owners, .modes, .attributes, .top]
            let data = try TreeFingerprint(of: volume, aspects: lasting)
            let bind = try TreeFingerprint(of: scratch.path("bind"))
            let single = try TreeFingerprint(of: scratch.path("single"))
            // What is there is in the way.
            let taken = try await dr.run("restore", "app", "--to", "here", "--yes")
            #expect(
                taken.status != 0 && (taken.text + taken.errorText).contains("exists"), "\(taken)")

            try await world.stack.docker("rm", "-f", name)
            try await world.stack.docker("volume", "rm", "\(name)-data")
            try await shell("rm -r bind single compose/compose.yaml", in: scratch)
            expect(try await dr.run("restore", "app", "--to", "here", "--yes"), .done)
            #expect(try await world.state("app") == "running")
            let back = try await world.stack.mountPoint(of: "\(name)-data")
            #expect(try TreeFingerprint(of: back, aspects: lasting) == data)
            #expect(try TreeFingerprint(of: scratch.path("bind")).differences(from: bind) == [])
            #expect(try TreeFingerprint(of: scratch.path("single")) == single)
            try await shell("grep -q services compose/compose.yaml", in: scratch)

            // Replaced, everything of before is still there under another name.
            try await shell("touch bind/newer", in: scratch)
            expect(try await dr.run("restore", "app", "--to", "here", "--yes", "--replace"), .done)
            #expect(try TreeFingerprint(of: scratch.path("bind")).differences(from: bind) == [])
            try await shell("ls bind_before_*/newer", in: scratch)
            let list = try await world.stack.docker("volume", "ls", "--format", "{{.Name}}")
            #expect(list.contains("\(name)-data_before_"))

            let left = try await OutsideProgram.run([
                "sh", "-c", "pgrep -f '^ssh -F \(scratch.path)' || ls -A /tmp/dr-ssh-0",
            ])
            #expect(left.text == "", "\(left)")
            await server.stop()
            expect(
                try await dr.run("backup"), .partial, "1 of 2 saved",
                "ssh to root@127.0.0.1:\(server.port) failed", "hint: try it by hand")
            try await server.start()
            expect(try await dr.run("backup"), .done, "recovered")
        }
    }

    @Test("Cut while a container is at rest, it runs again; the next night recovers and says so")
    func cut() async throws {
        try await with(slow: true) { world, engine, server in
            let (scratch, dr) = (world.scratch, world.dr)
            try await world.start("app")
            try scratch.write(
                "dr.yaml",
                """
                repository: repo
                backup: {attempts: 1}
                services:
                  app: {docker: {container: \(world.stack.name("app")), host: "\(engine)"}, consistency: stop}
                  safe: {command: {capture: echo x}}
                """)
            let running = try dr.start("backup")
            try await wait(for: "begun", in: scratch)
            #expect(try await world.state("app") == "exited")
            await server.cutConnections()
            let bad = try await running.outcome()
            expect(bad, .partial, "1 of 2 saved", "docker:\(world.stack.name("app")): failed:")
            #expect(bad.elapsed < .seconds(90), "\(bad)")
            #expect(try await world.state("app") == "running")
            try scratch.write("fixed", "")
            expect(try await dr.run("backup"), .done, "2 of 2 saved", "recovered")

            // A machine that is away for longer leaves a note, and the next night looks after it; it
            // takes its time until that is given up.
            guard TestEnvironment.isFull else { return }
            unlink(scratch.path("fixed"))
            unlink(scratch.path("begun"))
            let second = try dr.start("backup")
            try await wait(for: "begun", in: scratch)
            await server.stop()
            let away = try await second.outcome()
            expect(away, .partial, "do not run again", "hint: run: docker start")
            #expect(away.elapsed < .seconds(120), "\(away)")
            #expect(try await world.state("app") == "exited")
            try await server.start()
            try scratch.write("fixed", "")
            expect(try await dr.run("backup"), .done, "2 of 2 saved", "runs again", "recovered")
            #expect(try await world.state("app") == "running")
        }
    }

    // MARK: PostgreSQL

    /// Starts a server in the container `db`, with the database `app`.
    private func startServer(_ world: DockerNight) async throws {
        let name = world.stack.name("db")
        try await world.stack.docker(
            "run", "-d", "--name", name, "-e", "POSTGRES_PASSWORD=planted", "-e",
            "PGPASSWORD=planted", "-e", "POSTGRES_DB=app", "-v",
            "\(name)-data:/var/lib/postgresql/data", TestEnvironment.postgresImage ?? "")
        _ = try await sql("SELECT 1", world)
    }

    /// Asks the final server: an entrypoint's first one listens on no port.
    @discardableResult
    private func sql(_ text: String, _ world: DockerNight) async throws -> String {
        try await world.stack.eventually(
            in: world.stack.name("db"), "psql", "-h", "127.0.0.1", "-U", "postgres", "-d", "app",
            "-XAtq", "-c", text)
    }

    private func configure(_ world: DockerNight, _ engine: String) throws {
        try world.scratch.write(
            "dr.yaml",
            """
            repository: repo
            docker: {host: "\(engine)"}
            backup: {attempts: 1}
            services:
              db: {postgres: {container: \(world.stack.name("db"))}}
              safe: {command: {capture: echo x, restore: [sh, -c, 'cat >/dev/null']}}
            """)
    }

    @Test(
        "A PostgreSQL server in a container there is dumped and comes back",
        .enabled(if: TestEnvironment.hasDockerPostgres, "needs an image with PostgreSQL"))
    func postgres() async throws {
        try await with { world, engine, _ in
            let (dr, name) = (world.dr, world.stack.name("db"))
            try await startServer(world)
            try await sql("CREATE TABLE t AS SELECT generate_series(1, 4000) AS n", world)
            try configure(world, engine)
            expect(
                try await dr.run("backup"), .done,
                "volume \(name)-data: its definition only, the dump of its server holds it")
            try await world.stack.docker("rm", "-f", name)
            try await world.stack.docker("volume", "rm", "\(name)-data")
            expect(try await dr.run("restore", "--to", "here", "--yes"), .done)
            #expect(try await sql("SELECT count(*), sum(n) FROM t", world) == "4000|8002000")
        }
    }

    @Test(
        "Cut in the middle of a dump, nothing counts as saved and nothing goes on there",
        .enabled(if: TestEnvironment.hasDockerPostgres, "needs an image with PostgreSQL"))
    func cutDump() async throws {
        try await with { world, engine, server in
            let (scratch, dr, name) = (world.scratch, world.dr, world.stack.name("db"))
            try await startServer(world)
            try await sql(
                "CREATE TABLE t AS SELECT g AS n, md5(g::text) AS x FROM generate_series(1, 40000) g",
                world)
            // Comes before the server's own program, and stops after a part of what that says.
            try scratch.write(
                "pg_dump",
                """
                #!/bin/sh
                PATH=$(echo /usr/local/postgresql /usr/lib/postgresql/*/bin /usr/bin /bin | tr ' ' :)
                case "$*" in *custom*) test -e /fixed || {
                  pg_dump "$@" | { head -c 600000; touch /tmp/begun; sleep 611; }; exit; };; esac
                exec pg_dump "$@"
                """)
            chmod(scratch.path("pg_dump"), 0o755)
            try await world.stack.docker(
                "cp", scratch.path("pg_dump"), "\(name):/usr/local/bin/pg_dump")
            try configure(world, engine)
            let running = try dr.start("backup")
            _ = try await world.stack.eventually(in: name, "test", "-e", "/tmp/begun")
            let began = ContinuousClock.now
            await server.cutConnections()
            let bad = try await running.outcome()
            expect(bad, .partial, "of 3 saved", "db/postgres:\(name): failed:")
            #expect(ContinuousClock.now - began < .seconds(60), "\(bad)")
            #expect(try await !dr.run("snapshots").text.contains("db/postgres"))
            let left = try await world.stack.docker("top", name, "-eo", "pid,args")
            #expect(!left.contains("sleep 611") && !left.contains("pg_dump"), "\(left)")
            expect(try await dr.run("check", "--read-data"), .done)

            _ = try await world.stack.docker("exec", name, "touch", "/fixed")
            expect(
                try await dr.run("backup"), .done, "3 of 3 saved",
                "db/postgres:\(name): recovered")
            expect(try await dr.run("restore", "db", "--to", "./back", "--yes"), .done)
            let dumps = try await OutsideProgram.run(
                ["find", scratch.path("back"), "-name", "app.dump", "-size", "+1000k"])
            #expect(dumps.text.contains("app.dump"), "\(dumps)")
        }
    }
}
