import Engine
public import Model

/// A link of the evidence's chain as it is kept: its very bytes count.
public struct KeptEvidence: Sendable {
    public var sequence: UInt64
    public var bytes: [UInt8]
}

// Each record names the one before by its hash; the newest is known beside them, so that none can
// be taken from the end either.
extension Catalog {
    private static let evidencePrefix = "evidence-"

    /// Adds a record to the evidence: all of it durable, or nothing.
    ///
    /// - Parameters:
    ///   - hash: The hash that links are made with, in hexadecimal.
    ///   - make: Gives the record's bytes, for its number and the hash of the one before.
    /// - Returns: The record's number and hash.
    @discardableResult
    public func append(
        evidenceOf run: RunID, hash: @escaping @Sendable ([UInt8]) -> String,
        _ make: @escaping @Sendable (_ sequence: UInt64, _ previous: String) throws -> [UInt8]
    ) async throws -> (sequence: UInt64, hash: String) {
        try await perform { database in
            try database.transaction { database in
                let head = try Self.newestEvidence(database)
                let sequence = (head?.sequence ?? 0) + 1
                let bytes = try make(sequence, head?.hash ?? "")
                let own = hash(bytes)
                try database.run(
                    "INSERT INTO documents (run, name, content) VALUES (?, ?, ?)",
                    .text("\(run)"), .text("\(Self.evidencePrefix)\(sequence)"), .blob(bytes))
                try database.run(
                    "INSERT OR REPLACE INTO facts (name, value) VALUES ('evidence head', ?)",
                    .text("\(sequence) \(own)"))
                return (sequence, own)
            }
        }
    }

    /// All evidence, oldest first.
    public func evidence() async throws -> [KeptEvidence] {
        let found = try await perform { database in
            try database.rows(
                "SELECT name, content FROM documents WHERE name LIKE 'evidence-%'", []
            ) { (name: $0.text(0), bytes: $0.blob(1)) }
        }
        return found.compactMap { row in
            UInt64(row.name.dropFirst(Self.evidencePrefix.count)).map {
                KeptEvidence(sequence: $0, bytes: row.bytes)
            }
        }.sorted { $0.sequence < $1.sequence }
    }

    /// The number and hash of the newest evidence; nil when there never was any.
    public func evidenceHead() async throws -> (sequence: UInt64, hash: String)? {
        try await perform { try Self.newestEvidence($0) }
    }

    private static func newestEvidence(_ database: Database) throws
        -> (sequence: UInt64, hash: String)?
    {
        let text = try database.first("SELECT value FROM facts WHERE name = 'evidence head'") {
            $0.text(0)
        }
        let words = text?.split(separator: " ") ?? []
        guard words.count == 2, let sequence = UInt64(words[0]) else { return nil }
        return (sequence, String(words[1]))
    }
}
