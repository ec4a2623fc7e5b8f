import Engine
public import Model

extension Catalog {
    /// A note of a container that was brought to rest and, as far as is known, not set going again.
    public struct OpenRest: Sendable, Hashable {
        public var run: RunID
        public var entry: JournalEntry
    }

    /// Notes without an end, oldest first: left by a process that was killed, or by a release that
    /// failed. Meaningful only while nobody else holds the run lock.
    public func openRests() async throws -> [OpenRest] {
        try await perform { database in
            try database.rows(
                """
                SELECT run, name, detail, at FROM journal AS noted WHERE kind = ? AND NOT EXISTS (
                    SELECT 1 FROM journal AS later WHERE later.kind = ? AND later.run = noted.run
                        AND later.name = noted.name AND later.sequence > noted.sequence)
                ORDER BY sequence
                """,
                [
                    .text(JournalEntry.Kind.resting.rawValue),
                    .text(JournalEntry.Kind.released.rawValue),
                ]
            ) { row -> OpenRest? in
                guard let run = RunID(row.text(0)) else { return nil }
                return OpenRest(
                    run: run,
                    entry: JournalEntry(
                        .resting, step: "", name: row.text(1),
                        detail: row.isNull(2) ? nil : row.text(2),
                        at: Timestamp(nanoseconds: row.int64(3))))
            }.compactMap { $0 }
        }
    }
}
