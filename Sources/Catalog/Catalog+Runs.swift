import Engine
public import Model

extension Catalog {
    /// Remembers that a run has begun, and documents that belong to it: all or none.
    public func beginRun(_ run: RunRecord, documents: [String: [UInt8]] = [:]) async throws {
        let json = try StableJSON.encode(run)
        try await perform { database in
            try database.transaction { database in
                try database.run(
                    """
                    INSERT INTO runs (id, purpose, started, finished, result, record)
                    VALUES (?, ?, ?, NULL, NULL, ?)
                    """,
                    .text("\(run.id)"), .text(run.purpose.rawValue),
                    .integer(run.started.nanoseconds), .blob(json))
                for (name, content) in documents {
                    try Self.insert(document: name, content, of: run.id, database)
                }
            }
        }
    }

    /// Remembers how far a step of a run has come; replaces what was known of it.
    public func recordStep(_ step: StepRecord, of run: RunID) async throws {
        try await recordSteps([step], of: run)
    }

    /// Remembers many steps at once; their first recording decides their order.
    public func recordSteps(_ steps: [StepRecord], of run: RunID) async throws {
        let encoded = try steps.map { ($0, try StableJSON.encode($0)) }
        try await perform { database in
            try database.transaction { database in
                for (step, json) in encoded {
                    try database.run(
                        """
                        INSERT INTO steps (run, id, position, state, record)
                        VALUES (?1, ?2, (SELECT count(*) FROM steps WHERE run = ?1), ?3, ?4)
                        ON CONFLICT (run, id) DO UPDATE SET
                            state = excluded.state, record = excluded.record
                        """,
                        .text("\(run)"), .text(step.id), .text(step.state.rawValue), .blob(json))
                }
            }
        }
    }

    /// Remembers how a run ended, with its report, measured times and other documents: all or none.
    public func finishRun(
        _ run: RunRecord, documents: [String: [UInt8]] = [:], measurements: [Measurement] = []
    ) async throws {
        let json = try StableJSON.encode(run)
        try await perform { database in
            try database.transaction { database in
                try database.run(
                    "UPDATE runs SET finished = ?, result = ?, record = ? WHERE id = ?",
                    .optional(run.finished?.nanoseconds),
                    .optional(run.result.map { Int64($0.rawValue) }), .blob(json),
                    .text("\(run.id)"))
                for (name, content) in documents {
                    try Self.insert(document: name, content, of: run.id, database)
                }
                for measurement in measurements { try Self.insert(measurement, database) }
            }
        }
    }

    /// Keeps a document with a run that has begun, for example its plan.
    public func record(document name: String, _ content: [UInt8], of run: RunID) async throws {
        try await perform { try Self.insert(document: name, content, of: run, $0) }
    }

    private static func insert(
        document name: String, _ content: [UInt8], of run: RunID, _ database: Database
    ) throws {
        try database.run(
            "INSERT OR REPLACE INTO documents (run, name, content) VALUES (?, ?, ?)",
            .text("\(run)"), .text(name), .blob(content))
    }

    /// Remembers measured times that belong to no run.
    public func record(_ measurements: [Measurement]) async throws {
        try await perform { database in
            try database.transaction { database in
                for measurement in measurements { try Self.insert(measurement, database) }
            }
        }
    }

    private static func insert(_ measurement: Measurement, _ database: Database) throws {
        try database.run(
            """
            INSERT INTO measurements (subject, workload, kind, step, bytes, duration, at)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            """,
            .text(measurement.subject), .optional(measurement.workload?.text),
            .optional(measurement.kind?.rawValue), .optional(measurement.step),
            .integer(Int64(clamping: measurement.bytes.bytes)),
            .integer(measurement.duration.nanoseconds), .integer(measurement.at.nanoseconds))
    }

    /// Runs of one purpose, or of all, newest first.
    ///
    /// - Parameter idPrefix: First digits of the id; empty for all.
    public func runs(
        _ purpose: RunPurpose? = nil, idPrefix: String = "", limit: Int = 100
    ) async throws -> [RunRecord] {
        let found = try await perform { database in
            try database.rows(
                """
                SELECT record FROM runs WHERE (?1 IS NULL OR purpose = ?1)
                    AND substr(id, 1, \(idPrefix.utf8.count)) = ?2
                ORDER BY started DESC, rowid DESC LIMIT ?3
                """,
                [
                    .optional(purpose?.rawValue), .text(idPrefix.lowercased()),
                    .integer(Int64(limit)),
                ]
            ) { $0.blob(0) }
        }
        return try found.map { try StableJSON.decode(RunRecord.self, from: $0) }
    }

    /// The steps of a run, in their order.
    public func steps(of run: RunID) async throws -> [StepRecord] {
        let found = try await perform { database in
            try database.rows(
                "SELECT record FROM steps WHERE run = ? ORDER BY position", [.text("\(run)")]
            ) { $0.blob(0) }
        }
        return try found.map { try StableJSON.decode(StepRecord.self, from: $0) }
    }

    /// A document kept with a run; nil when there is none of that name.
    public func document(_ name: String, of run: RunID) async throws -> [UInt8]? {
        try await perform { database in
            try database.first(
                "SELECT content FROM documents WHERE run = ? AND name = ?", .text("\(run)"),
                .text(name)
            ) { $0.blob(0) }
        }
    }

    /// The report of a restore or drill; nil while it goes on, and when it was killed.
    public func report(of run: RunID) async throws -> RecoveryReport? {
        try await document(Self.reportName, of: run).map {
            try StableJSON.decode(RecoveryReport.self, from: $0)
        }
    }

    /// The reports of restores and drills that can be read, newest first of each purpose.
    public func reports() async throws -> [RecoveryReport] {
        var reports: [RecoveryReport] = []
        for purpose in [RunPurpose.restore, .drill] {
            for record in try await runs(purpose, limit: 1000) {
                if let report = try? await report(of: record.id) { reports.append(report) }
            }
        }
        return reports
    }

    /// The name under which a run's report is kept.
    public static let reportName = "report.json"
    /// The name under which a run's plan is kept.
    public static let planName = "plan.json"

    /// Adds to the journal of a run; durable when this returns.
    public func journal(_ entries: [JournalEntry], of run: RunID) async throws {
        guard !entries.isEmpty else { return }
        try await perform { database in
            try database.transaction { database in
                for entry in entries {
                    try database.run(
                        """
                        INSERT INTO journal (run, kind, step, name, detail, at)
                        VALUES (?, ?, ?, ?, ?, ?)
                        """,
                        .text("\(run)"), .text(entry.kind.rawValue), .text(entry.step),
                        .text(entry.name), .optional(entry.detail),
                        .integer(entry.at.nanoseconds))
                }
            }
        }
    }

    /// The journal of a run, oldest entry first.
    public func journal(of run: RunID) async throws -> [JournalEntry] {
        try await perform { database in
            try database.rows(
                """
                SELECT kind, step, name, detail, at FROM journal WHERE run = ? ORDER BY sequence
                """, [.text("\(run)")]
            ) { row in
                guard let kind = JournalEntry.Kind(rawValue: row.text(0)) else {
                    throw Failure(
                        .unsupportedRepository, "the run's journal was written by a newer dr",
                        hint: "go on with that version", cause: row.text(0), side: .local)
                }
                return JournalEntry(
                    kind, step: row.text(1), name: row.text(2),
                    detail: row.isNull(3) ? nil : row.text(3),
                    at: Timestamp(nanoseconds: row.int64(4)))
            }
        }
    }

    /// Measured times of one subject, newest first.
    public func measurements(of subject: String, limit: Int = 1000) async throws -> [Measurement] {
        try await perform { database in
            try database.rows(
                """
                SELECT subject, workload, kind, step, bytes, duration, at FROM measurements
                WHERE subject = ? ORDER BY at DESC, sequence DESC LIMIT ?
                """, [.text(subject), .integer(Int64(limit))]
            ) { row in
                Measurement(
                    subject: row.text(0),
                    workload: row.isNull(1) ? nil : WorkloadID(text: row.text(1)),
                    kind: row.isNull(2) ? nil : WorkloadKind(rawValue: row.text(2)),
                    step: row.isNull(3) ? nil : row.text(3),
                    bytes: ByteCount(UInt64(max(0, row.int64(4)))),
                    duration: TimeSpan(nanoseconds: row.int64(5)),
                    at: Timestamp(nanoseconds: row.int64(6)))
            }
        }
    }
}
