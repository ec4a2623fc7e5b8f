import Engine
public import Model

extension Catalog {
    /// Up to when a person has found the times of all snapshots to be right; nil when never.
    public func confirmedTimes() async throws -> Timestamp? {
        let text = try await perform { database in
            try database.first("SELECT value FROM facts WHERE name = 'confirmed times'") {
                $0.text(0)
            }
        }
        return text.flatMap { Timestamp(rfc3339: $0) }
    }

    /// Remembers that a person has found the times of all snapshots up to `moment` to be right.
    public func confirmTimes(upTo moment: Timestamp) async throws {
        try await perform { database in
            try database.run(
                "INSERT OR REPLACE INTO facts (name, value) VALUES ('confirmed times', ?)",
                .text("\(moment)"))
        }
    }
}
