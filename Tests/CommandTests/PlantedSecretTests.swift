import Glibc
import Model
import Repository
import Synchronization
import TestSupport
import Testing

/// Passwords that are planted everywhere, and looked for everywhere else.
@Suite("Planted secrets", .enabled(if: TestEnvironment.hasPostgres, "needs PostgreSQL"))
struct PlantedSecretTests {
    @Test("They are in no process list, log, catalog, report, error, nor in the repository's names")
    func nowhere() async throws {
        let secrets = ["planted-server-1Xq9", "planted-repository-7Kd2", "planted-hook-5Zw4"]
        try await TemporaryDirectory.with("planted") { scratch in
            let server = try await TemporaryPostgres(in: scratch, password: secrets[0])
            try await server.sql(
                "CREATE TABLE t AS SELECT generate_series(1, 200) AS n", password: secrets[0])
            let file = try scratch.write("server-password", secrets[0] + "\n")
            chmod(file, 0o600)
            try scratch.write(
                "dr.yaml",
                """
                repository: repo
                services:
                  db: {postgres: {url: "\(server.uri)", password_file: server-password}}
                  lost: {postgres: {url: "\(server.uri)", password_env: WRONG}}
                  app:
                    command: {capture: [sh, -c, 'sleep 0.5; echo x'], restore: cat}
                    hooks: {after: [sh, -c, 'test -n "$TOKEN"']}
                """)
            var dr = try DrBinary(in: scratch)
            dr.environment["DR_CONFIG"] = "dr.yaml"
            dr.environment["DR_PASSWORD"] = secrets[1]
            dr.environment["WRONG"] = secrets[0] + "-not"
            dr.environment["TOKEN"] = secrets[2]
            _ = try await BackupRepository.create(
                in: DirectoryStore(root: scratch.path("repo")), credential: .password(secrets[1]),
                label: "test", scryptCost: 2)

            let watched = Watched(dr: dr, secrets: secrets)
            let saved = try await watched.run(["backup", "-v", "-v", "--json"])
            #expect(saved.status == ExitCode.partial.rawValue, "\(saved)")
            for words in [
                ["backup", "-v", "-v"], ["doctor"], ["snapshots", "--json"], ["config", "show"],
                ["check"], ["plan"], ["restore", "db", "--to", "./back", "--yes", "-v"],
                ["report"], ["report", "--json"],
            ] {
                try await watched.run(words)
            }
            let said = watched.said
            #expect(said[7].status == 0, "\(said[7])")
            try await watched.expectNothing(in: [scratch.path("state"), scratch.path("repo")])
            // What was looked through is what a secret would have been in.
            let state = try await OutsideProgram.run(
                ["grep", "-rlaF", "app/command:command", scratch.path("state")])
            #expect(state.text.contains("catalog.sqlite"))
        }
    }

    @Test(
        "Those of containers, roles and servers neither, here or on another machine",
        .enabled(
            if: TestEnvironment.hasDockerPostgres && TemporarySSHServer.isPossible,
            "needs root, Docker with PostgreSQL, sshd"))
    func containers() async throws {
        let secrets = ["planted-variable-3Rt6", "planted-server-9Bn1", "planted-role-4Mx8"]
        try await DockerNight.with { world in
            let (scratch, name) = (world.scratch, world.stack.name("db"))
            let server = try await TemporarySSHServer(in: scratch)
            try scratch.write(
                "variables",
                "TOKEN=\(secrets[0])\nPOSTGRES_PASSWORD=\(secrets[1])\nPOSTGRES_DB=app\n")
            try await world.stack.docker(
                "run", "-d", "--name", name, "--env-file", scratch.path("variables"),
                TestEnvironment.postgresImage ?? "")
            func sql(_ text: String) async throws -> String {
                try scratch.write("query.sql", text)
                try await world.stack.docker("cp", scratch.path("query.sql"), "\(name):/query.sql")
                return try await world.stack.eventually(
                    in: name, "psql", "-U", "postgres", "-d", "app", "-XAtq", "-f", "/query.sql")
            }
            _ = try await world.stack.eventually(in: name, "pg_isready", "-h", "127.0.0.1")
            _ = try await sql("CREATE ROLE reader LOGIN PASSWORD '\(secrets[2])'")
            let verifier = try await sql(
                "SELECT rolpassword FROM pg_authid WHERE rolname = 'reader'")
            #expect(verifier.hasPrefix("SCRAM-SHA-256$"))
            let socket = (TestEnvironment.dockerHost ?? "").replacing("unix://", with: "")
            let host = "ssh://root@127.0.0.1:\(server.port)"
            try scratch.write(
                "dr.yaml",
                """
                repository: repo
                services:
                  db:
                    postgres: {container: \(name), host: "\(host)\(socket)", password_env: SERVER}
                  near: {docker: {container: \(name)}}
                  lost:
                    postgres:
                      {container: \(name), host: "\(host)\(socket)", user: reader, password_env: VERIFIER}
                  far: {command: {capture: [sh, -c, 'sleep 0.3; echo x'], host: "\(host)"}}
                """)
            var dr = world.dr
            dr.environment["DR_SSH_COMMAND"] = server.command
            dr.environment["SERVER"] = secrets[1]
            dr.environment["VERIFIER"] = verifier
            let watched = Watched(dr: dr, secrets: secrets + [verifier])
            for words in [
                ["backup", "-v", "-v"], ["backup", "--json"], ["doctor"], ["plan", "--json"],
                ["restore", "db", "near", "--to", "./back", "--yes", "-v"], ["report", "--json"],
            ] {
                try await watched.run(words)
            }
            let list = try await watched.run(["snapshots", "--json"]).text
            #expect(
                list.contains("db/postgres:") && list.contains("near/docker:"), "\(watched.said)")
            try await watched.expectNothing(in: [scratch.path("state"), scratch.path("repo")])
            // What was saved holds them, and is sealed.
            let back = try await OutsideProgram.run(
                ["grep", "-rlF", secrets[0], scratch.path("back")])
            #expect(back.text.contains("container/"), "\(back)")
        }
    }
}

/// Runs of the program during which the process list is looked at.
private final class Watched: Sendable {
    private let dr: DrBinary
    private let secrets: [String]
    private let state = Mutex((said: [OutsideProgram.Outcome](), seen: Set<String>(), looks: 0))

    init(dr: DrBinary, secrets: [String]) {
        self.dr = dr
        self.secrets = secrets
    }

    var said: [OutsideProgram.Outcome] { state.withLock { $0.said } }

    @discardableResult
    func run(_ words: [String]) async throws -> OutsideProgram.Outcome {
        let watching = Task {
            while !Task.isCancelled {
                let list = try? await OutsideProgram.run(["ps", "-eww", "-o", "args"]).text
                state.withLock { state in
                    state.looks += 1
                    for secret in secrets where list?.contains(secret) ?? false {
                        state.seen.insert(secret)
                    }
                }
            }
        }
        let outcome = try await dr.program(words).run()
        watching.cancel()
        await watching.value
        state.withLock { $0.said.append(outcome) }
        return outcome
    }

    /// Nothing was in a process list, in what was said, nor in the files of these directories.
    func expectNothing(in directories: [String]) async throws {
        let (said, seen, looks) = state.withLock { $0 }
        #expect(seen.isEmpty && looks > 5)
        for outcome in said {
            for secret in secrets {
                #expect(!outcome.text.contains(secret) && !outcome.errorText.contains(secret))
            }
        }
        for secret in secrets {
            let found = try await OutsideProgram.run(["grep", "-rlaF", secret] + directories)
            #expect(found.text == "", "\(secret) is in \(found.text)")
        }
    }
}
