import Engine
public import Model

/// Which snapshots to list; what is nil restricts nothing.
public struct SnapshotFilter: Sendable, Hashable {
    public var services: [ServiceName]?
    public var workload: WorkloadID?
    public var run: RunID?
    /// The machine that took it.
    public var host: String?
    /// Stands for this moment or an earlier one.
    public var notAfter: Timestamp?
    /// First digits of the id, at least one, lower case.
    public var idPrefix: String?
    public var tag: String?
    /// Neither suspicious (unless accepted) nor partial.
    public var onlyGood: Bool
    /// At most so many, the newest.
    public var limit: Int?

    public init(
        services: [ServiceName]? = nil, workload: WorkloadID? = nil, run: RunID? = nil,
        host: String? = nil, notAfter: Timestamp? = nil, idPrefix: String? = nil,
        tag: String? = nil, onlyGood: Bool = false, limit: Int? = nil
    ) {
        self.services = services
        self.workload = workload
        self.run = run
        self.host = host
        self.notAfter = notAfter
        self.idPrefix = idPrefix
        self.tag = tag
        self.onlyGood = onlyGood
        self.limit = limit
    }
}

extension Catalog {
    /// Remembers a snapshot that is in the repository; the same one again replaces the first.
    public func record(snapshot: SnapshotRecord) async throws {
        try await record(snapshots: [snapshot])
    }

    /// Remembers many snapshots at once: all of them or none.
    public func record(snapshots: [SnapshotRecord]) async throws {
        let encoded = try snapshots.map { ($0, try StableJSON.encode($0)) }
        try await perform { database in
            try database.transaction { database in
                for (snapshot, json) in encoded { try Self.insert(snapshot, json, database) }
            }
        }
    }

    /// Puts what a repository itself says in the place of all that is known of its snapshots and
    /// chains. This machine takes a new name as a writer: it may have had a part in what is gone.
    /// Runs, times and what people said of snapshots stay.
    public func rebuild(snapshots: [SnapshotRecord], chainHeads: [ChainHead]) async throws {
        let encoded = try snapshots.map { ($0, try StableJSON.encode($0)) }
        let heads = String(decoding: try StableJSON.encode(chainHeads), as: UTF8.self)
        try await perform { [repository] database in
            try database.transaction { database in
                try database.execute("DELETE FROM snapshots")
                for (snapshot, json) in encoded { try Self.insert(snapshot, json, database) }
                try database.run(
                    "INSERT OR REPLACE INTO facts (name, value) VALUES ('chain heads', ?)",
                    .text(heads))
                try database.run(
                    "INSERT OR REPLACE INTO writers (repository, writer) VALUES (?, ?)",
                    .text("\(repository)"), .text("\(WriterID.random())"))
            }
        }
    }

    private static func insert(
        _ snapshot: SnapshotRecord, _ json: [UInt8], _ database: Database
    ) throws {
        try database.run(
            """
            INSERT OR REPLACE INTO snapshots (id, workload, service, kind, host, run,
                as_of, finished, suspicious, partial, bytes, bytes_stored, record)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            .text("\(snapshot.id)"), .text(snapshot.workload.text), .text(snapshot.service.text),
            .text(snapshot.kind.rawValue), .text(snapshot.host), .text("\(snapshot.run)"),
            .integer(snapshot.asOf.nanoseconds), .integer(snapshot.finished.nanoseconds),
            .integer(snapshot.suspicions.isEmpty ? 0 : 1),
            .integer(snapshot.omissions.isEmpty ? 0 : 1),
            .integer(Int64(clamping: snapshot.statistics.bytes.bytes)),
            .integer(Int64(clamping: snapshot.statistics.bytesStored.bytes)), .blob(json))
    }

    /// Snapshots that pass `filter`, newest first.
    public func snapshots(_ filter: SnapshotFilter = SnapshotFilter()) async throws
        -> [SnapshotRecord]
    {
        let found = try await perform { database in
            var conditions: [String] = []
            var values: [SQLValue] = []
            func require(_ condition: String, _ value: SQLValue) {
                conditions.append(condition)
                values.append(value)
            }
            if let services = filter.services {
                let places = services.map { _ in "?" }.joined(separator: ", ")
                conditions.append("service IN (\(places))")
                values += services.map { .text($0.text) }
            }
            if let workload = filter.workload { require("workload = ?", .text(workload.text)) }
            if let run = filter.run { require("run = ?", .text("\(run)")) }
            if let host = filter.host { require("host = ?", .text(host)) }
            if let notAfter = filter.notAfter {
                require("as_of <= ?", .integer(notAfter.nanoseconds))
            }
            if let prefix = filter.idPrefix {
                require("substr(id, 1, \(prefix.utf8.count)) = ?", .text(prefix))
            }
            if let tag = filter.tag {
                require(
                    "EXISTS (SELECT 1 FROM json_each(CAST(record AS TEXT), '$.tags')"
                        + " WHERE json_each.value = ?)", .text(tag))
            }
            if filter.onlyGood {
                conditions.append(
                    "partial = 0 AND (suspicious = 0 OR EXISTS (SELECT 1 FROM marks"
                        + " WHERE marks.snapshot = snapshots.id AND mark = 'accepted'))")
            }
            let condition =
                conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
            let limit = filter.limit.map { "LIMIT \($0)" } ?? ""
            return try database.rows(
                "SELECT record FROM snapshots \(condition) ORDER BY as_of DESC, id \(limit)",
                values
            ) { $0.blob(0) }
        }
        return try found.map { try StableJSON.decode(SnapshotRecord.self, from: $0) }
    }

    /// Forgets a snapshot that is no longer in the repository; an unknown one is no error.
    public func remove(snapshot: SnapshotID) async throws {
        try await perform { database in
            try database.transaction { database in
                try database.run("DELETE FROM snapshots WHERE id = ?", .text("\(snapshot)"))
                try database.run("DELETE FROM marks WHERE snapshot = ?", .text("\(snapshot)"))
            }
        }
    }

    /// This machine's name as a writer into the repository; made when first asked for.
    public func writer() async throws -> WriterID {
        let text = try await perform { [repository] database in
            try database.transaction { database in
                try database.run(
                    "INSERT OR IGNORE INTO writers (repository, writer) VALUES (?, ?)",
                    .text("\(repository)"), .text("\(WriterID.random())"))
                return try database.first(
                    "SELECT writer FROM writers WHERE repository = ?", .text("\(repository)")
                ) { $0.text(0) }
            }
        }
        guard let text, let writer = WriterID(text) else {
            throw Failure(.failed, "the catalog holds no writer name", side: .local)
        }
        return writer
    }

    /// Takes a new name as a writer: for a clone that finds its place in the chain taken.
    public func replaceWriter() async throws -> WriterID {
        let writer = WriterID.random()
        try await perform { [repository] database in
            try database.run(
                "INSERT OR REPLACE INTO writers (repository, writer) VALUES (?, ?)",
                .text("\(repository)"), .text("\(writer)"))
        }
        return writer
    }
}
