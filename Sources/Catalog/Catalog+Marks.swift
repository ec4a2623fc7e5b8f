import Engine
public import Model

// Marks are the repository's, kept in the writers' chains: the catalog holds what they come to.
extension Catalog {
    /// The snapshots that have a mark.
    public func snapshots(marked mark: SnapshotMark) async throws -> Set<SnapshotID> {
        Set(try await marks().filter { $0.mark == mark }.map(\.snapshot))
    }

    /// All marks that hold, by snapshot.
    public func marks() async throws -> [MarkedSnapshot] {
        try await perform { database in
            try database.rows(
                "SELECT snapshot, mark, reason, at FROM marks ORDER BY snapshot, mark", []
            ) { row -> MarkedSnapshot? in
                guard let snapshot = SnapshotID(row.text(0)),
                    let mark = SnapshotMark(rawValue: row.text(1))
                else { return nil }
                return MarkedSnapshot(
                    snapshot: snapshot, mark: mark, reason: row.text(2),
                    at: Timestamp(nanoseconds: row.int64(3)))
            }.compactMap { $0 }
        }
    }

    /// Makes the marks those that the chains tell; all others are gone.
    ///
    /// - Parameter read: How far each writer's chain was read; see ``markedUpTo()``.
    public func replace(marks: [MarkedSnapshot], read: [WriterID: UInt64]) async throws {
        let json = try Self.encode(read)
        try await perform { database in
            try database.transaction { database in
                try database.run("DELETE FROM marks")
                for mark in marks { try Self.insert(mark, database) }
                try Self.remember(json, database)
            }
        }
    }

    /// Remembers that the chains were read so far, and say nothing new of marks.
    public func rememberMarks(read: [WriterID: UInt64]) async throws {
        let json = try Self.encode(read)
        try await perform { try Self.remember(json, $0) }
    }

    /// How far each writer's chain was read for marks; empty when it never was.
    public func markedUpTo() async throws -> [WriterID: UInt64] {
        let text = try await perform { database in
            try database.first("SELECT value FROM facts WHERE name = 'marks read'") { $0.text(0) }
        }
        guard let text else { return [:] }
        let read = try StableJSON.decode([String: UInt64].self, from: Array(text.utf8))
        return Dictionary(
            read.compactMap { name, sequence in WriterID(name).map { ($0, sequence) } },
            uniquingKeysWith: max)
    }

    private static func encode(_ read: [WriterID: UInt64]) throws -> String {
        let named = Dictionary(read.map { ("\($0)", $1) }, uniquingKeysWith: max)
        return String(decoding: try StableJSON.encode(named), as: UTF8.self)
    }

    private static func insert(_ mark: MarkedSnapshot, _ database: Database) throws {
        try database.run(
            "INSERT OR REPLACE INTO marks (snapshot, mark, reason, at) VALUES (?, ?, ?, ?)",
            .text("\(mark.snapshot)"), .text(mark.mark.rawValue), .text(mark.reason),
            .integer(mark.at.nanoseconds))
    }

    private static func remember(_ read: String, _ database: Database) throws {
        try database.run(
            "INSERT OR REPLACE INTO facts (name, value) VALUES ('marks read', ?)", .text(read))
    }
}
