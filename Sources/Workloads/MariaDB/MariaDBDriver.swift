import Engine
public import Model

/// Captures a MariaDB or MySQL server with its own client programs: users with what they may do, and
/// every database.
public struct MariaDBDriver: WorkloadDriver {
    public let kind = WorkloadKind.mariadb
    static let users = "users.sql"
    static let grants = "grants.sql"
    static let server = "server.json"
    let place: MariaDBPlace
    /// How long a server may take to answer after its container was started.
    let patience: Duration

    /// - Parameters:
    ///   - container: Runs programs in containers.
    ///   - patience: How long a replay waits for the server to answer.
    public init(
        container: @escaping PostgresDriver.ContainerRunner = PostgresDriver.inContainer,
        patience: Duration = .seconds(180)
    ) {
        place = MariaDBPlace(container: container)
        self.patience = patience
    }

    /// What a dump of one database does not hold.
    struct Description: Sendable, Codable {
        struct Database: Sendable, Codable {
            var name: String
            var characterSet: String
            var collation: String
            /// Tables that have rows; the others are in `tables` alone.
            var tables: [String]
        }
        var version: String
        var databases: [Database]
        func database(_ name: String) -> Database? { databases.first { $0.name == name } }
    }

    static func part(_ database: String) -> String { "database/\(database).sql" }

    public func capture(
        _ workload: WorkloadSpecification, of service: Service, into sink: any CaptureSink,
        context: WorkloadContext
    ) async throws -> CaptureOutcome {
        guard case .mariadb(let specification) = workload else {
            throw Failure(.usage, "service \(service.name): no MariaDB server to capture")
        }
        let client = try await place.client(specification, context: context)
        var description = Description(version: try await client.version(), databases: [])
        let present = try await client.databases()
        let missing = specification.databases.filter { wanted in
            !present.contains { $0.name == wanted }
        }
        guard missing.isEmpty else {
            let names = missing.map { printable($0.utf8) }.joined(separator: ", ")
            throw Failure(
                .failed, "\(client.name) has no database \(names)",
                hint: "correct databases: of the service", side: .source)
        }
        let wanted = specification.databases
        description.databases = present.filter { wanted.isEmpty || wanted.contains($0.name) }
        var outcome = CaptureOutcome(consistency: .application)
        let accounts = try await client.accounts()
        try await sink.document(Self.users, Array(accounts.users.utf8), attributes: [:])
        try await sink.document(Self.grants, Array(accounts.grants.utf8), attributes: [:])
        let hasEscapes = try await client.hasEscapes()
        for database in description.databases {
            context.report("dumping database \(printable(database.name.utf8))")
            try await dump(database, client, hasEscapes, into: sink, outcome: &outcome)
        }
        try await sink.document(
            Self.server, try StableJSON.encodePretty(description), attributes: [:])
        if outcome.proof.rows.values.allSatisfy({ $0 == 0 }), !service.allowEmpty {
            outcome.suspicions.append("\(client.name): no table of any database has a row")
        }
        return outcome
    }

    private func dump(
        _ database: Description.Database, _ client: MariaDBClient, _ hasEscapes: Bool,
        into sink: any CaptureSink, outcome: inout CaptureOutcome
    ) async throws {
        let shown = printable(database.name.utf8)
        let inspector = MariaDBDumpInspector(hasEscapes: hasEscapes)
        let (bytes, result) = try await ProgramStreams(programs: client.programs).capture(
            client.call(client.dump, Self.dumpOptions + ["--", database.name]), into: sink,
            as: Self.part(database.name), of: .rows, attributes: ["database": database.name],
            observer: inspector)
        guard result.succeeded else {
            throw client.failure("\(client.dump) of database \(shown)", result, side: .source)
        }
        guard bytes > 0, inspector.isComplete else {
            throw Failure(
                .failed, "\(client.name): the dump of database \(shown) is cut", side: .source,
                isTransient: true)
        }
        let counted = inspector.rows
        for table in database.tables {
            let key = ProofKey(database: database.name, schema: "", name: table)
            outcome.proof.rows[key.text] = counted[table] ?? 0
        }
        let torn = try await client.tablesWithoutTransactions(of: database.name)
        if !torn.isEmpty {
            let names = torn.prefix(5).map { printable($0.utf8) }.joined(separator: ", ")
            outcome.notes.append(
                "database \(shown): \(names)\(torn.count > 5 ? "…" : "") know no transactions, and "
                    + "are not of the same moment as the others")
        }
    }

    /// One moment, nothing that changes by itself from night to night, bytes as hexadecimal digits.
    static let dumpOptions = [
        "--single-transaction", "--quick", "--routines", "--events", "--triggers", "--hex-blob",
        "--skip-dump-date", "--no-tablespaces", "--default-character-set=utf8mb4",
        "--max-allowed-packet=1G", "--skip-lock-tables",
    ]
}

extension MariaDBClient {
    /// For example `10.11.6-MariaDB-0+deb12u1`.
    func version() async throws -> String { try await value("SELECT VERSION()") }

    /// Whether texts in dumps have backslashes that escape.
    func hasEscapes() async throws -> Bool {
        try await !value("SELECT @@GLOBAL.sql_mode").contains("NO_BACKSLASH_ESCAPES")
    }

    /// All databases but the server's own, with their tables.
    func databases() async throws -> [MariaDBDriver.Description.Database] {
        let own = "('information_schema', 'performance_schema', 'mysql', 'sys')"
        let tables = try await rows(
            "SELECT table_schema, table_name FROM information_schema.tables "
                + "WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') "
                + "AND table_schema NOT IN \(own) ORDER BY 1, 2")
        return try await rows(
            "SELECT schema_name, default_character_set_name, default_collation_name "
                + "FROM information_schema.schemata WHERE schema_name NOT IN \(own) ORDER BY 1"
        ).map { row in
            guard row.count == 3 else {
                throw Failure(
                    .failed, "\(name): an answer is not understood", side: .source)
            }
            return MariaDBDriver.Description.Database(
                name: row[0], characterSet: row[1], collation: row[2],
                tables: tables.filter { $0.first == row[0] }.compactMap { $0.dropFirst().first })
        }
    }

    /// Tables whose rows are read while others may write them.
    func tablesWithoutTransactions(of database: String) async throws -> [String] {
        try await rows(
            "SELECT t.table_name FROM information_schema.tables t "
                + "JOIN information_schema.engines e ON e.engine = t.engine "
                + "WHERE t.table_schema = \(MariaDBText.literal(database)) "
                + "AND t.table_type = 'BASE TABLE' AND e.transactions <> 'YES' ORDER BY 1"
        ).compactMap(\.first)
    }

    /// Statements that make users and roles again, and that give them what they may do.
    ///
    /// The two users that the server itself needs are left out.
    func accounts() async throws -> (users: String, grants: String) {
        let isMariaDB = try await version().contains("MariaDB")
        let list = try await rows(
            isMariaDB
                ? "SELECT user, host, is_role FROM mysql.user ORDER BY 3 DESC, 1, 2"
                : "SELECT user, host, 'N' FROM mysql.user ORDER BY 1, 2")
        var users: [String] = []
        var grants: [String] = []
        for row in list where row.count == 3 {
            let (user, host) = (row[0], row[1])
            if ["mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "PUBLIC"]
                .contains(user)
            {
                continue
            }
            let isRole = row[2] == "Y"
            let account =
                isRole
                ? MariaDBText.literal(user)
                : "\(MariaDBText.literal(user))@\(MariaDBText.literal(host))"
            if isRole {
                users.append("CREATE ROLE IF NOT EXISTS \(account);")
            } else {
                let made = try await value("SHOW CREATE USER \(account)")
                guard made.hasPrefix("CREATE USER ") else { continue }
                let rest = made.dropFirst("CREATE USER ".count)
                // One that is there already, such as the first user, gets the same properties.
                users.append("CREATE USER IF NOT EXISTS \(rest);")
                users.append("ALTER USER \(rest);")
            }
            for grant in try await rows("SHOW GRANTS FOR \(account)") {
                if let text = grant.first { grants.append("\(text);") }
            }
        }
        return (users.joined(separator: "\n") + "\n", grants.joined(separator: "\n") + "\n")
    }
}
