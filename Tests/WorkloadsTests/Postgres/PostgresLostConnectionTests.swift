import Engine
import Model
import Synchronization
import TestSupport
import Testing

@testable import Workloads

/// A connection to the server is lost once, at each of the questions that a replay asks.
@Suite(.enabled(if: TestEnvironment.hasPostgres, "needs PostgreSQL's programs"))
struct PostgresLostConnectionTests {
    enum Loss: String, CaseIterable { case before, after }
    enum Existing: String, CaseIterable { case absent, empty, used }

    @Test(
        "A connection lost at any moment is made good by another attempt",
        arguments: Loss.allCases, TestEnvironment.isFull ? Existing.allCases : [.used])
    func lostOnce(loss: Loss, existing: Existing) async throws {
        try await TemporaryDirectory.with("pg") { directory in
            let server = try await TemporaryPostgres(in: directory)
            let service = Service(
                name: "db",
                workloads: [
                    .postgres(PostgresSpecification(server: .container("pg", engine: nil)))
                ])
            try await server.sql("CREATE DATABASE shop")
            try await server.sql("CREATE TABLE t AS SELECT 'night' AS a", database: "shop")
            let programs = LossyPrograms(socket: server.socket, loss: loss)
            let driver = PostgresDriver(container: { _, _, _ in programs })
            let (source, _) = try await driver.captured(service)

            var tried = 0
            while true {
                try await makeRoom(existing, on: server)
                let context = WorkloadContext(
                    secrets: FixedSecrets(), ledger: MemoryLedger())
                func attempt() async throws -> ReplayOutcome {
                    var context = context
                    context.replace = existing == .used
                    return try await driver.perform(
                        ReplayStep(id: "database:shop", title: "", phase: .data), from: source,
                        service: service, target: .here, context: context)
                }
                programs.lose(at: tried)
                do { _ = try await attempt() } catch let failure as Failure {
                    #expect(failure.isTransient, "\(tried): \(failure)")
                    try await expectOld(existing, on: server, "after loss \(tried)")
                    _ = try await attempt()
                }
                try await expectNew(existing, on: server, "\(tried)")
                guard programs.hasLost else { break }
                tried += 1
            }
            print("lostOnce(\(loss), \(existing)): \(tried) connections lost")
            #expect(tried >= 10)
        }
    }

    @Test("A database that nobody may connect to is in the way, and stays")
    func closedDatabase() async throws {
        try await TemporaryDirectory.with("pg") { directory in
            let server = try await TemporaryPostgres(in: directory)
            let service = Service(
                name: "db", workloads: [.postgres(PostgresSpecification(server: .url(server.uri)))])
            let driver = PostgresDriver(container: { name, _, _ in
                throw Failure(.usage, "no container \(name)")
            })
            try await server.sql("CREATE DATABASE shop")
            try await server.sql("CREATE TABLE t AS SELECT 'night' AS a", database: "shop")
            let (source, _) = try await driver.captured(service)
            try await server.sql("UPDATE t SET a = 'day'", database: "shop")
            try await server.sql("ALTER DATABASE shop WITH ALLOW_CONNECTIONS false")
            let steps = [ReplayStep(id: "database:shop", title: "", phase: .data)]
            let context = WorkloadContext(secrets: FixedSecrets())
            let findings = try await driver.preflight(
                steps, from: source, service: service, target: .here, context: context)
            #expect(findings.map(\.severity) == [.conflict])
            let refused = await #expect(throws: Failure.self) {
                try await driver.perform(
                    steps[0], from: source, service: service, target: .here, context: context)
            }
            #expect(refused?.message.contains("exists already") == true)
            var replacing = context
            replacing.replace = true
            _ = try await driver.perform(
                steps[0], from: source, service: service, target: .here, context: replacing)
            try await expectNew(.used, on: server, "replaced")
        }
    }

    // MARK: What is there

    private func makeRoom(_ existing: Existing, on server: TemporaryPostgres) async throws {
        for name in try await names(on: server) {
            try await server.sql("DROP DATABASE \"\(name)\"")
        }
        guard existing != .absent else { return }
        try await server.sql("CREATE DATABASE shop")
        guard existing == .used else { return }
        try await server.sql("CREATE TABLE t AS SELECT 'day' AS a", database: "shop")
    }

    private func names(on server: TemporaryPostgres) async throws -> [String] {
        try await server.sql(
            "SELECT datname FROM pg_database WHERE datname LIKE 'shop%' "
                + "OR datname LIKE 'dr_restore%' ORDER BY 1"
        ).split(separator: "\n").map(String.init)
    }

    /// Between the attempts nothing of the old database is lost, and it can be connected to.
    private func expectOld(_ existing: Existing, on server: TemporaryPostgres, _ what: String)
        async throws
    {
        guard existing == .used else { return }
        var found: [String] = []
        for name in try await names(on: server) where !name.hasPrefix("dr_restore") {
            found.append(try await server.sql("SELECT a FROM t", database: name))
        }
        #expect(found.filter { $0 == "day" }.count == 1, "\(what): \(found)")
    }

    /// The snapshot under its name, the old one beside it once, and nothing else.
    private func expectNew(_ existing: Existing, on server: TemporaryPostgres, _ what: String)
        async throws
    {
        let names = try await names(on: server)
        #expect(names.count == (existing == .used ? 2 : 1), "\(what): \(names)")
        #expect(names.first == "shop", "\(what): \(names)")
        #expect(try await server.sql("SELECT a FROM t", database: "shop") == "night", "\(what)")
        if existing == .used, let aside = names.last {
            #expect(aside.hasPrefix("shop_before_"), "\(what)")
            #expect(try await server.sql("SELECT a FROM t", database: aside) == "day", "\(what)")
        }
    }
}

/// Runs programs here as if in a container, and loses one connection of psql's.
private final class LossyPrograms: ProgramRunner {
    private struct State {
        var left: Int?
        var hasLost = false
    }

    private let socket: String
    private let loss: PostgresLostConnectionTests.Loss
    private let state = Mutex(State())

    init(socket: String, loss: PostgresLostConnectionTests.Loss) {
        self.socket = socket
        self.loss = loss
    }

    /// Loses the connection of the call after `count` others.
    func lose(at count: Int) { state.withLock { $0 = State(left: count) } }
    var hasLost: Bool { state.withLock { $0.hasLost } }

    func run(_ call: ProgramCall) async throws -> ProgramResult {
        var call = call
        call.environment["PGHOST"] = socket
        call.environment["PATH"] = "\(TestEnvironment.postgresBin ?? ""):/usr/bin:/bin"
        let isLost =
            call.words.first == "psql"
            && state.withLock { state in
                guard let left = state.left else { return false }
                state.left = left > 0 ? left - 1 : nil
                if left == 0 { state.hasLost = true }
                return left == 0
            }
        guard isLost else { return try await LocalPrograms().run(call) }
        if loss == .after { _ = try await LocalPrograms().run(call) }
        return ProgramResult(
            status: 2, errorText: "psql: error: server closed the connection unexpectedly")
    }
}

/// Keeps names as the journal of a run does.
private final class MemoryLedger: NameLedger {
    private let own = Mutex<Set<String>>([])
    private let asides = Mutex<[String: String]>([:])

    func isOwn(_ name: String) -> Bool { own.withLock { $0.contains(name) } }
    func aside(of name: String) -> String? { asides.withLock { $0[name] } }
    func claim(_ name: String) async { own.withLock { _ = $0.insert(name) } }
    func disclaim(_ name: String) async { own.withLock { _ = $0.remove(name) } }
    func moveAside(_ name: String, to place: String) async {
        own.withLock { _ = $0.remove(name) }
        asides.withLock { $0[name] = place }
    }
}
