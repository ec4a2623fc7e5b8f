import CLinux
import Engine
import Glibc
import Model
import Synchronization
import TestSupport
import Testing

@testable import Workloads

@Suite(.enabled(if: TestEnvironment.hasPostgres, "needs PostgreSQL's programs"))
struct PostgresFailureTests {
    /// Runs "a container's" programs on this machine and remembers their words.
    final class RecordingPrograms: ProgramRunner {
        let socket: String
        let pgDumpVersion: String?
        let calls = Mutex<[ProgramCall]>([])

        init(socket: String, pgDumpVersion: String? = nil) {
            self.socket = socket
            self.pgDumpVersion = pgDumpVersion
        }

        func run(_ call: ProgramCall) async throws -> ProgramResult {
            calls.withLock { $0.append(call) }
            if let pgDumpVersion, call.words == ["pg_dump", "--version"] {
                return ProgramResult(status: 0, output: Array(pgDumpVersion.utf8))
            }
            var call = call
            call.environment["PGHOST"] = socket
            call.environment["PATH"] = "\(TestEnvironment.postgresBin ?? ""):/usr/bin:/bin"
            return try await LocalPrograms().run(call)
        }
    }

    let driver = PostgresDriver(
        container: { name, _, _ in throw Failure(.usage, "no container \(name)") },
        patience: .seconds(1))

    @Test(arguments: ["terminated", "crashed", "dropped"])
    func aServerThatGoesAwayMidDumpIsNoCapture(how: String) async throws {
        try await TemporaryDirectory.with("pg") { directory in
            let server = try await TemporaryPostgres(in: directory)
            try await server.sql("CREATE DATABASE aaa")
            try await server.sql("CREATE DATABASE zzz")
            try await server.sql(
                "CREATE TABLE t AS SELECT repeat('x', 500) FROM generate_series(1, 40000)",
                database: "aaa")
            let done = Mutex(false)
            let sink = ScriptedSink { name, count in
                // A dropped database waits for dumps that are going on.
                guard name == "database/aaa.dump", count > (how == "dropped" ? .max - 1 : 100_000),
                    done.withLock({
                        let was = $0; $0 = true; return !was
                    })
                else { return }
                switch how {
                case "terminated":
                    try await server.sql(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                            + "WHERE application_name = 'dr'")
                case "crashed": try await server.stop()
                default: try await server.sql("DROP DATABASE zzz")
                }
            }
            let failure = await #expect(throws: Failure.self) {
                try await driver.captured(service(server), into: sink)
            }
            #expect(done.withLock { $0 })
            #expect(failure?.description.contains(how == "dropped" ? "zzz" : "aaa") == true)
            #expect(failure?.side == .source)
        }
    }

    @Test func passwordsAreAskedForAndNeverShown() async throws {
        try await TemporaryDirectory.with("pg") { directory in
            let server = try await TemporaryPostgres(in: directory, password: "Pl4nted-secret")
            var postgres = PostgresSpecification(server: .url(server.uri))
            let wrong = await #expect(throws: Failure.self) {
                try await driver.captured(.postgres(postgres), secret: nil)
            }
            #expect(wrong?.hint?.contains("password") == true)
            postgres.password = .environment("secret")
            let other = await #expect(throws: Failure.self) {
                try await driver.captured(.postgres(postgres), secret: "0ther-secret")
            }
            #expect(other?.hint?.contains("password") == true)
            #expect(other.map { "\($0)".contains("0ther-secret") } == false)
            _ = try await driver.captured(.postgres(postgres), secret: "Pl4nted-secret")

            let recorder = RecordingPrograms(socket: server.socket)
            let inContainer = PostgresDriver(container: { _, _, _ in recorder })
            postgres.server = .container("pg", engine: nil)
            _ = try await inContainer.captured(.postgres(postgres), secret: "Pl4nted-secret")
            let words = recorder.calls.withLock { $0.flatMap(\.words) }
            #expect(words.contains("--format=custom"))
            #expect(!words.contains { $0.contains("Pl4nted") })
        }
    }

    @Test func anOlderPgDumpIsRefusedBeforeAnything() async throws {
        try await TemporaryDirectory.with("pg") { directory in
            let server = try await TemporaryPostgres(in: directory)
            let recorder = RecordingPrograms(
                socket: server.socket, pgDumpVersion: "pg_dump (PostgreSQL) 9.6.24\n")
            let old = PostgresDriver(container: { _, _, _ in recorder })
            let failure = await #expect(throws: Failure.self) {
                try await old.captured(
                    .postgres(PostgresSpecification(server: .container("pg", engine: nil))),
                    secret: nil)
            }
            #expect(failure?.message.contains("9.6.24") == true)
            #expect(failure?.hint?.contains("install") == true)
            let words = recorder.calls.withLock { $0.flatMap(\.words) }
            #expect(!words.contains("--format=custom"))
        }
    }

    @Test func whatIsMissingIsNamed() async throws {
        try await TemporaryDirectory.with("pg") { directory in
            let server = try await TemporaryPostgres(in: directory)
            var postgres = PostgresSpecification(server: .url(server.uri))
            postgres.databases = ["postgres", "nowhere"]
            let failure = await #expect(throws: Failure.self) {
                try await driver.captured(.postgres(postgres), secret: nil)
            }
            #expect(failure?.message.contains("nowhere") == true)
            // Nothing but an empty database is captured, and not taken for good.
            postgres.databases = []
            #expect(
                try await driver.captured(.postgres(postgres), secret: nil).suspicions.count == 1)
        }
    }

    @Test func preflightFindsAllAtOnce() async throws {
        try await TemporaryDirectory.with("pg") { directory in
            let server = try await TemporaryPostgres(in: directory)
            try await server.sql("CREATE TABLE t ()")
            let (source, _) = try await driver.captured(service(server))
            var cluster = try StableJSON.decode(
                ClusterDescription.self, from: try await source.document("cluster.json"))
            cluster.versionNumber = 990_001
            cluster.databases[0].extensions = [
                ClusterDescription.Extension(name: "nosuch", version: "1", schema: "public")
            ]
            source.sink.set("cluster.json", try StableJSON.encode(cluster))
            let findings = try await driver.preflighted(source, service(server))
            #expect(findings.filter { $0.severity == .blocker }.count == 2)
            #expect(findings.filter { $0.severity == .conflict }.count == 1)
            #expect(findings.contains { $0.message.contains("nosuch") })

            try await server.stop()
            let gone = try await driver.preflighted(source, service(server))
            #expect(gone.map(\.severity) == [.blocker])
            var later = service(server)
            later.after = ["database-container"]
            #expect(try await driver.preflighted(source, later).map(\.severity) == [.warning])
            let failure = await #expect(throws: Failure.self) {
                try await driver.replayed(source, service(server))
            }
            #expect(failure?.hint != nil)
        }
    }

    // MARK: Calls

    private func service(_ server: TemporaryPostgres) -> Service {
        Service(name: "db", workloads: [.postgres(PostgresSpecification(server: .url(server.uri)))])
    }

}
