import Engine
import Model

/// Sums over the tables that decide what is listed, kept and restored.
///
/// Triggers keep them, whoever writes; they are compared whenever a catalog is opened. A catalog that
/// a disk has changed is never believed.
enum CatalogSums {
    /// A catalog whose file is larger is not read through whenever it is opened.
    private static let verifiedSize: UInt64 = 64 << 20

    private static let tables: KeyValuePairs<String, String> = [
        "facts": "name, value",
        "writers": "repository, writer",
        "snapshots": "id, workload, service, kind, host, run, as_of, finished, suspicious, partial,"
            + " bytes, bytes_stored, record",
        "marks": "snapshot, mark, reason, at",
    ]

    /// The second step of the schema. A table's sum is the exclusive or of its rows' sums, which
    /// SQLite writes as `(a | b) - (a & b)`.
    static let schema: String = {
        var steps = [
            "CREATE TABLE sums (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
        ]
        for (table, columns) in tables {
            func row(_ which: String) -> String {
                let names = columns.split(separator: ",").map { $0.filter { $0 != " " } }
                return "dr_sum(" + names.map { "\(which).\($0)" }.joined(separator: ", ") + ")"
            }
            func add(_ which: String) -> String {
                """
                UPDATE sums SET value = (value | \(row(which))) - (value & \(row(which)))
                    WHERE name = '\(table)';
                """
            }
            steps.append(
                """
                INSERT INTO sums VALUES ('\(table)', 0);
                CREATE TRIGGER sum_\(table)_insert AFTER INSERT ON \(table) BEGIN
                    \(add("NEW"))
                END;
                INSERT OR REPLACE INTO \(table) (\(columns)) SELECT \(columns) FROM \(table);
                CREATE TRIGGER sum_\(table)_delete AFTER DELETE ON \(table) BEGIN
                    \(add("OLD"))
                END;
                CREATE TRIGGER sum_\(table)_update AFTER UPDATE ON \(table) BEGIN
                    \(add("OLD"))
                    \(add("NEW"))
                END;
                """)
        }
        return steps.joined(separator: "\n")
    }()

    /// Throws ``DamagedDatabase`` when the file is malformed or a table does not give its sum.
    static func verify(_ database: Database) throws {
        guard (try FileSystem().size(of: database.path) ?? 0) <= verifiedSize else { return }
        try database.verifying(thoroughly: true) { database in
            for (table, columns) in tables {
                var sum: Int64 = 0
                let rows = try database.prepare("SELECT dr_sum(\(columns)) FROM \(table)")
                while try rows.step() { sum ^= rows.int64(0) }
                let known = try database.first(
                    "SELECT value FROM sums WHERE name = ?", .text(table)
                ) { $0.int64(0) }
                if known != sum { return false }
            }
            return true
        }
    }
}
