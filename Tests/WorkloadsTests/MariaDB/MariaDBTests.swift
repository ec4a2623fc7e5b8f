import Engine
import Glibc
import Model
import Synchronization
import TestSupport
import Testing

@testable import Workloads

@Suite("MariaDB", .enabled(if: TestEnvironment.hasMariaDB, "needs MariaDB's server"))
struct MariaDBTests {
    private let driver = MariaDBDriver(
        container: { name, _, _ in throw Failure(.usage, "no container \(name)") },
        patience: .seconds(2))

    // MARK: There and back

    @Test("Databases, users and what they may do come back to an empty server")
    func roundTrip() async throws {
        try await TemporaryDirectory.with("mariadb") { directory in
            let old = try await TemporaryMariaDB(in: directory, name: "old")
            try await fill(old)
            let before = try await state(of: old)
            let (source, outcome) = try await driver.captured(service(old))
            #expect(outcome.suspicions.isEmpty && outcome.omissions.isEmpty)
            #expect(outcome.consistency == .application)
            #expect(outcome.proof.rows["shop..order"] == 1000)
            #expect(outcome.proof.rows["shop..\"odd.`name\""] == 2)
            #expect(outcome.proof.rows["shop..empty"] == 0)
            #expect(outcome.proof.rows["größe..t"] == 1)
            #expect(outcome.notes.contains { $0.contains("old_engine") }, "\(outcome.notes)")
            // Two nights without a change are the same bytes.
            let (again, _) = try await driver.captured(service(old))
            for name in source.sink.names {
                #expect(source.sink.part(name)?.bytes == again.sink.part(name)?.bytes, "\(name)")
            }

            let new = try await TemporaryMariaDB(in: directory, name: "new")
            #expect(try await driver.preflighted(source, service(new)).isEmpty)
            try await driver.replayed(source, service(new))
            #expect(try await state(of: new) == before)
            // A user's own password still opens the door, and nothing more than it should.
            let clerk = try await OutsideProgram.run([
                "mariadb", "--no-defaults", "--socket=\(new.socket)", "--user=clerk",
                "--password=Pl4nted", "-e",
                "SELECT count(*) FROM shop.`order`; SELECT * FROM shop.empty",
            ])
            #expect(clerk.text.contains("1000") && clerk.errorText.contains("denied"), "\(clerk)")
        }
    }

    @Test("What exists stays unless it is replaced, and then it is kept aside")
    func replaced() async throws {
        try await TemporaryDirectory.with("mariadb") { directory in
            let server = try await TemporaryMariaDB(in: directory)
            try await fill(server)
            let service = service(server)
            let (source, _) = try await driver.captured(service)
            try await server.sql("DELETE FROM `order` WHERE id > 10", database: "shop")
            let findings = try await driver.preflighted(source, service)
            #expect(findings.map(\.severity) == [.conflict, .conflict])
            await #expect(throws: Failure.self) { try await driver.replayed(source, service) }
            #expect(try await server.sql("SELECT count(*) FROM `order`", database: "shop") == "10")
            try await driver.replayed(source, service, replace: true)
            #expect(
                try await server.sql("SELECT count(*) FROM `order`", database: "shop") == "1000")
            let aside = try await server.sql("SHOW DATABASES LIKE 'shop_before_%'")
            #expect(try await server.sql("SELECT count(*) FROM `order`", database: aside) == "10")
            #expect(try await server.sql("SELECT count(*) FROM totals", database: aside) == "1")
        }
    }

    @Test("A restore that breaks off, or does not meet its proof, leaves nothing under the name")
    func broken() async throws {
        try await TemporaryDirectory.with("mariadb") { directory in
            let old = try await TemporaryMariaDB(in: directory, name: "old")
            try await fill(old)
            let (whole, _) = try await driver.captured(service(old))
            let new = try await TemporaryMariaDB(in: directory, name: "new")
            var source = whole
            source.breaksAfter = 20_000
            let broken = source
            let error = await #expect(throws: Failure.self) {
                try await driver.replayed(broken, service(new))
            }
            #expect(error?.side == .repository)
            source = whole
            source.snapshot.proof.rows["shop..order"] = 1001
            let wrong = source
            let refused = await #expect(throws: Failure.self) {
                try await driver.replayed(wrong, service(new))
            }
            #expect(refused?.code == .verificationFailed)
            #expect(refused?.message.contains("order has 1000 rows, its dump had 1001") == true)
            #expect(try await new.sql("SHOW DATABASES LIKE 'shop'") == "")
            try await driver.replayed(whole, service(new), replace: true)
            #expect(try await state(of: new) == state(of: old))
        }
    }

    @Test("Dumps come to a directory in a form that mariadb takes")
    func toDirectory() async throws {
        try await TemporaryDirectory.with("mariadb") { directory in
            let server = try await TemporaryMariaDB(in: directory)
            try await fill(server)
            let (source, _) = try await driver.captured(service(server))
            let target = directory.path("out")
            try await driver.replayed(source, service(server), to: .directory(target))
            try await server.sql("CREATE DATABASE other")
            let place = "\(target)/db/server"
            let loaded = try await OutsideProgram.run([
                "sh", "-c",
                "mariadb --no-defaults --socket='\(server.socket)' -u root other <'\(place)/shop.sql'",
            ])
            #expect(loaded.status == 0, "\(loaded)")
            #expect(
                try await server.sql("SELECT count(*) FROM `order`", database: "other") == "1000")
            #expect(access("\(place)/users.sql", F_OK) == 0)
        }
    }

    // MARK: Failures

    @Test(
        "A server that goes away while it is dumped is no capture",
        arguments: ["killed", "crashed", "dropped"])
    func goesAway(how: String) async throws {
        try await TemporaryDirectory.with("mariadb") { directory in
            let server = try await TemporaryMariaDB(in: directory)
            for name in ["aaa", "zzz"] {
                try await server.sql("CREATE DATABASE \(name)")
                try await server.sql(
                    "CREATE TABLE t AS SELECT seq, repeat('x', 900) AS x FROM seq_1_to_10000",
                    database: name)
            }
            let done = Mutex(false)
            let sink = ScriptedSink { name, count in
                guard name == "database/aaa.sql",
                    count > (how == "dropped" ? .max - 1 : 100_000),
                    done.withLock({ was in
                        defer { was = true }
                        return !was
                    })
                else { return }
                switch how {
                case "killed":
                    let ids = try await server.sql(
                        "SELECT id FROM information_schema.processlist WHERE info LIKE "
                            + "'SELECT /*!40001 SQL_NO_CACHE%' OR command = 'Query' "
                            + "AND id <> connection_id()")
                    for id in ids.split(separator: "\n") { try await server.sql("KILL \(id)") }
                case "crashed": server.crash()
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

    @Test("Passwords are asked for and never shown")
    func passwords() async throws {
        try await TemporaryDirectory.with("mariadb") { directory in
            let server = try await TemporaryMariaDB(in: directory, password: "Pl4nted-secret")
            var mariadb = MariaDBSpecification(server: .address(server.socket))
            let wrong = await #expect(throws: Failure.self) {
                try await driver.captured(.mariadb(mariadb), secret: nil)
            }
            #expect(wrong?.hint?.contains("password") == true)
            mariadb.password = .environment("secret")
            let other = await #expect(throws: Failure.self) {
                try await driver.captured(.mariadb(mariadb), secret: "0ther-secret")
            }
            #expect(other.map { "\($0)".contains("0ther-secret") } == false)
            // No database at all: whole, but nothing to rely on.
            let outcome = try await driver.captured(.mariadb(mariadb), secret: "Pl4nted-secret")
            #expect(outcome.suspicions.count == 1)

            let recorder = RecordedPrograms()
            let inContainer = MariaDBDriver(container: { _, _, _ in recorder })
            mariadb.server = .container("db", engine: nil)
            _ = try? await inContainer.captured(.mariadb(mariadb), secret: "Pl4nted-secret")
            let words = recorder.calls.withLock { $0.flatMap(\.words) }
            #expect(!words.isEmpty && !words.contains { $0.contains("Pl4nted") })
        }
    }

    @Test("What is missing is named, before anything is changed")
    func missing() async throws {
        try await TemporaryDirectory.with("mariadb") { directory in
            let server = try await TemporaryMariaDB(in: directory)
            try await fill(server)
            let failure = await #expect(throws: Failure.self) {
                try await driver.captured(
                    .mariadb(
                        MariaDBSpecification(
                            server: .address(server.socket), databases: ["shop", "nowhere"])),
                    secret: nil)
            }
            #expect(failure?.message.contains("nowhere") == true)
            let (source, _) = try await driver.captured(service(server))
            server.crash()
            #expect(
                try await driver.preflighted(source, service(server)).map(\.severity) == [.blocker])
            var later = service(server)
            later.after = ["database-container"]
            #expect(try await driver.preflighted(source, later).map(\.severity) == [.warning])
            let gone = await #expect(throws: Failure.self) {
                try await driver.replayed(source, service(server))
            }
            #expect(gone?.hint != nil)
        }
    }

    // MARK: What is saved

    private func fill(_ server: TemporaryMariaDB) async throws {
        try await server.sql("CREATE DATABASE shop CHARACTER SET latin1")
        try await server.sql("CREATE DATABASE `größe`")
        try await server.sql(
            "CREATE TABLE t (a text); INSERT INTO t VALUES ('ü')", database: "größe")
        try await server.sql(Self.schema, database: "shop")
    }

    private static let schema = """
        CREATE TABLE `order` (id int PRIMARY KEY AUTO_INCREMENT, who text CHARACTER SET utf8mb4,
            raw blob, at timestamp DEFAULT '2020-02-02 02:02:02', cents decimal(10,2));
        INSERT INTO `order` (who, raw, cents) SELECT concat('it''s (no. ', seq, ');\\n\\\\ 🐬'),
            unhex('00ff27225c0a'), seq / 7 FROM seq_1_to_1000;
        CREATE TABLE empty (a int);
        CREATE TABLE `odd.``name` (`values` varchar(9));
        INSERT INTO `odd.``name` VALUES (';'), (NULL);
        CREATE TABLE old_engine (a int) ENGINE=MyISAM;
        INSERT INTO old_engine VALUES (1);
        CREATE VIEW totals AS SELECT sum(cents) AS total FROM `order`;
        CREATE FUNCTION twice(x int) RETURNS int DETERMINISTIC RETURN 2 * x;
        CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM empty;
        CREATE TRIGGER guard BEFORE INSERT ON empty FOR EACH ROW SET NEW.a = twice(NEW.a);
        CREATE USER clerk@localhost IDENTIFIED BY 'Pl4nted';
        GRANT SELECT ON shop.`order` TO clerk@localhost;
        CREATE ROLE auditor;
        GRANT SELECT (a) ON shop.empty TO auditor;
        CREATE USER boss@`%` IDENTIFIED BY 'other' WITH MAX_USER_CONNECTIONS 3;
        GRANT auditor TO boss@`%` WITH ADMIN OPTION;
        """

    /// Everything that must be the same.
    private func state(of server: TemporaryMariaDB) async throws -> [String] {
        let queries = [
            "SELECT id, who, hex(raw), at, cents FROM shop.`order` ORDER BY id",
            "SELECT * FROM shop.`odd.``name` ORDER BY 1", "SELECT * FROM shop.totals",
            "SELECT shop.twice(21)", "SELECT * FROM `größe`.t", "SELECT * FROM shop.old_engine",
            "SELECT schema_name, default_character_set_name FROM information_schema.schemata "
                + "WHERE schema_name IN ('shop', 'größe') ORDER BY 1",
            "SELECT event_name, event_definition, definer FROM information_schema.events",
            "SELECT trigger_name, action_statement, definer FROM information_schema.triggers "
                + "WHERE trigger_schema = 'shop'",
            "SELECT user, host, is_role, max_user_connections, authentication_string "
                + "FROM mysql.user ORDER BY 1, 2",
            "SHOW GRANTS FOR clerk@localhost", "SHOW GRANTS FOR auditor",
            "SHOW GRANTS FOR boss@`%`",
            "SELECT auto_increment FROM information_schema.tables WHERE table_name = 'order'",
        ]
        var state: [String] = []
        for query in queries { state.append(try await server.sql(query)) }
        return state
    }

    private func service(_ server: TemporaryMariaDB) -> Service {
        Service(
            name: "db", workloads: [.mariadb(MariaDBSpecification(server: .address(server.socket)))]
        )
    }

    /// Remembers what "a container" was asked to run.
    private final class RecordedPrograms: ProgramRunner {
        let calls = Mutex<[ProgramCall]>([])

        func run(_ call: ProgramCall) async throws -> ProgramResult {
            calls.withLock { $0.append(call) }
            return try await LocalPrograms().run(call)
        }
    }
}
