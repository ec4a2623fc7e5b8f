import CLinux
import Engine
import Glibc
import Model
import Synchronization
import TestSupport
import Testing

@testable import Workloads

@Suite struct SQLiteDriverTests {
    private let driver = SQLiteDriver()

    private final class WriterState: Sendable {
        let stop = Atomic<Bool>(false)
        let writes = Atomic<Int>(0)
    }

    @Test(.timeLimit(.minutes(2)), arguments: ["WAL", "DELETE"])
    func aBusyDatabaseIsCapturedAtOneMoment(mode: String) async throws {
        try await TemporaryDirectory.with("sqlite") { directory in
            let path = directory.path("app.db")
            try make(path, mode: mode, rows: 20_000)
            // Two tables that always hold the same number of rows, written as fast as it goes.
            let state = WriterState()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await BlockingPool.shared.run {
                        let writer = try SQLiteFile(path, .new)
                        try writer.run("PRAGMA busy_timeout = 60000")
                        while !state.stop.load(ordering: .relaxed) {
                            try writer.run(
                                "BEGIN IMMEDIATE; INSERT INTO a (t) VALUES ('x'); "
                                    + "INSERT INTO b (t) VALUES ('x'); COMMIT")
                            state.writes.add(1, ordering: .relaxed)
                        }
                    }
                }
                defer { state.stop.store(true, ordering: .relaxed) }
                while state.writes.load(ordering: .relaxed) < 10 {
                    try await Task.sleep(for: .milliseconds(1))
                }
                let (source, outcome) = try await driver.captured(service(path))
                #expect(outcome.suspicions.isEmpty)
                let rows = outcome.proof.rows
                #expect(rows["main.a"] == rows["main.b"])
                #expect(rows["main.a"] ?? 0 >= 20_010)
                let target = directory.path("out")
                let replayed = try await driver.replayed(
                    source, service(path), to: .directory(target))
                #expect(replayed.flatMap(\.problems).isEmpty)
            }
            let copy = try SQLiteFile(
                directory.path("out/app/\(directory.path)/app.db/app.db"), .live)
            #expect(try copy.damage().isEmpty)
            #expect(try copy.text("PRAGMA user_version") == "7")
        }
    }

    @Test func comesBackWithOwnerAndModeAndMovesTheOldAside() async throws {
        try await TemporaryDirectory.with("sqlite") { directory in
            let path = directory.path("app %20?.db")
            try make(path, mode: "WAL", rows: 10)
            chmod(path, 0o640)
            if TestEnvironment.isRoot { chown(path, 1234, 4321) }
            let (source, _) = try await driver.captured(service(path))
            let facts = try StableJSON.decode(
                SQLiteCopy.Facts.self, from: try await source.document("database.json"))
            #expect(facts.journalMode == "wal")
            #expect(facts.userVersion == 7)

            try SQLiteFile(path, .new).run("DELETE FROM a")
            await #expect(throws: Failure.self) {
                try await driver.replayed(source, service(path))
            }
            try directory.write("app %20?.db-wal", "stale")
            let outcome = try await driver.replayed(source, service(path), replace: true)
            #expect(outcome.flatMap(\.notes).count == 1)
            #expect(access("\(path)-wal", F_OK) != 0)
            #expect(try SQLiteFile(path, .live).rows(of: "a") == 10)
            var status = stat()
            #expect(stat(path, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o640)
            if TestEnvironment.isRoot { #expect(status.st_uid == 1234 && status.st_gid == 4321) }
            let names = try FileSystem().names(in: directory.path)
            #expect(names.filter { $0.contains("_before_") }.count == 2)
        }
    }

    @Test func aWrongCopyNeverGetsTheName() async throws {
        try await TemporaryDirectory.with("sqlite") { directory in
            let path = directory.path("app.db")
            try make(path, mode: "DELETE", rows: 1000)
            let (source, _) = try await driver.captured(service(path))
            unlink(path)
            var wrong = source
            wrong.snapshot.proof.rows["main.a"] = 999
            let other = wrong
            let failure = await #expect(throws: Failure.self) {
                try await driver.replayed(other, service(path))
            }
            #expect(failure?.code == .verificationFailed)
            wrong = source
            wrong.breaksAfter = 8192
            let cut = wrong
            await #expect(throws: Failure.self) { try await driver.replayed(cut, service(path)) }
            #expect(try FileSystem().names(in: directory.path).isEmpty)
            try await driver.replayed(source, service(path))
        }
    }

    @Test func whatIsNoDatabaseIsNoCapture() async throws {
        try await TemporaryDirectory.with("sqlite") { directory in
            for path in [
                directory.path("absent.db"), try directory.makeDirectory("directory.db"),
                try directory.write("empty.db", ""),
                try directory.write("text.db", String(repeating: "not a database ", count: 500)),
            ] {
                let failure = await #expect(throws: Failure.self) {
                    try await driver.captured(service(path))
                }
                #expect(failure?.side == .source)
                #expect(failure?.message.contains(path) == true)
            }
            #expect(access(directory.path("absent.db"), F_OK) != 0)
            // A damaged one is kept, and held against the snapshot.
            let path = directory.path("damaged.db")
            try make(path, mode: "DELETE", rows: 5000)
            let descriptor = open(path, O_WRONLY)
            _ = pwrite(descriptor, [UInt8](repeating: 0x55, count: 6000), 6000, 20480)
            close(descriptor)
            let (_, outcome) = try await driver.captured(service(path))
            #expect(outcome.suspicions.count == 1)
        }
    }

    private func make(_ path: String, mode: String, rows: Int) throws {
        let file = try SQLiteFile(path, .new)
        for sql in [
            "PRAGMA journal_mode = \(mode)", "PRAGMA user_version = 7",
            "CREATE TABLE a (id INTEGER PRIMARY KEY, t TEXT)",
            "CREATE TABLE b (id INTEGER PRIMARY KEY, t TEXT)", "BEGIN",
        ] { try file.run(sql) }
        for table in ["a", "b"] {
            try file.run(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT \(rows)) "
                    + "INSERT INTO \(table) (t) SELECT 'row ' || i FROM n")
        }
        try file.run("COMMIT")
    }

    private func service(_ path: String) -> Service {
        Service(name: "app", workloads: [.sqlite(SQLiteSpecification(path: path))])
    }
}
