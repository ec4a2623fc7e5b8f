import Model

/// The tables of `catalog.sqlite`, one step a version. A step that was released is never edited.
enum CatalogSchema {
    static let steps: [String] = [
        """
        CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

        CREATE TABLE writers (repository TEXT PRIMARY KEY, writer TEXT NOT NULL) WITHOUT ROWID;

        CREATE TABLE snapshots (
            id TEXT PRIMARY KEY, workload TEXT NOT NULL, service TEXT NOT NULL,
            kind TEXT NOT NULL, host TEXT NOT NULL, run TEXT NOT NULL,
            as_of INTEGER NOT NULL, finished INTEGER NOT NULL,
            suspicious INTEGER NOT NULL, partial INTEGER NOT NULL,
            bytes INTEGER NOT NULL, bytes_stored INTEGER NOT NULL, record BLOB NOT NULL);
        CREATE INDEX snapshots_workload ON snapshots (workload, as_of);
        CREATE INDEX snapshots_service ON snapshots (service, as_of);
        CREATE INDEX snapshots_time ON snapshots (as_of);
        CREATE INDEX snapshots_run ON snapshots (run);

        CREATE TABLE marks (
            snapshot TEXT NOT NULL, mark TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,
            PRIMARY KEY (snapshot, mark)) WITHOUT ROWID;

        CREATE TABLE runs (
            id TEXT PRIMARY KEY, purpose TEXT NOT NULL, started INTEGER NOT NULL,
            finished INTEGER, result INTEGER, record BLOB NOT NULL);
        CREATE INDEX runs_time ON runs (started);

        CREATE TABLE steps (
            run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, id TEXT NOT NULL,
            position INTEGER NOT NULL, state TEXT NOT NULL, record BLOB NOT NULL,
            PRIMARY KEY (run, id)) WITHOUT ROWID;

        CREATE TABLE documents (
            run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, name TEXT NOT NULL,
            content BLOB NOT NULL, PRIMARY KEY (run, name));

        CREATE TABLE journal (
            sequence INTEGER PRIMARY KEY,
            run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, kind TEXT NOT NULL,
            step TEXT NOT NULL, name TEXT NOT NULL, detail TEXT, at INTEGER NOT NULL);
        CREATE INDEX journal_run ON journal (run, sequence);

        CREATE TABLE measurements (
            sequence INTEGER PRIMARY KEY, subject TEXT NOT NULL, workload TEXT, kind TEXT,
            step TEXT, bytes INTEGER NOT NULL, duration INTEGER NOT NULL, at INTEGER NOT NULL);
        CREATE INDEX measurements_subject ON measurements (subject, at);
        """,
        CatalogSums.schema,
    ]

    /// Brings the file to the newest version, each step in a transaction of its own.
    static func migrate(_ database: Database) throws {
        var version = try database.userVersion()
        guard version <= Int64(steps.count) else {
            throw Failure(
                .unsupportedRepository,
                "catalog \(printable(database.path.utf8)) was written by a newer dr",
                hint: "use that version, or move the file away: it is rebuilt from the repository",
                cause: "schema \(version), known up to \(steps.count)", side: .local)
        }
        while version < Int64(steps.count) {
            try database.transaction { database in
                // Another process may have been faster.
                version = try database.userVersion()
                guard version < Int64(steps.count) else { return }
                try database.execute(steps[Int(version)])
                version += 1
                try database.setUserVersion(version)
            }
        }
    }
}
