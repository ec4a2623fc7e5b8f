import Engine
public import Model

extension Catalog {
    /// The newest chain records that this machine has seen, one a writer.
    public func chainHeads() async throws -> [ChainHead] {
        let text = try await perform { database in
            try database.first("SELECT value FROM facts WHERE name = 'chain heads'") { $0.text(0) }
        }
        guard let text else { return [] }
        return try StableJSON.decode([ChainHead].self, from: Array(text.utf8))
    }

    /// Notes that a record is about to be appended to this machine's chain.
    ///
    /// - Returns: Whether the one before was noted and its end never came to be known.
    public func beginChainRecord() async throws -> Bool {
        try await perform { database in
            try database.transaction { database in
                let isOpen = try database.first(
                    "SELECT value FROM facts WHERE name = 'chain record begun'"
                ) { _ in true }
                try database.run(
                    "INSERT OR REPLACE INTO facts VALUES ('chain record begun', '1')")
                return isOpen ?? false
            }
        }
    }

    /// Remembers chain heads; they replace those of before.
    public func remember(chainHeads heads: [ChainHead]) async throws {
        try await perform { try Self.remember(heads, in: $0) }
    }

    /// Remembers that the record that was begun is there, and the heads with it.
    public func endChainRecord(_ heads: [ChainHead]) async throws {
        try await perform { database in
            try database.transaction { database in
                try database.run("DELETE FROM facts WHERE name = 'chain record begun'")
                try Self.remember(heads, in: database)
            }
        }
    }

    private static func remember(_ heads: [ChainHead], in database: Database) throws {
        let json = String(decoding: try StableJSON.encode(heads), as: UTF8.self)
        try database.run(
            "INSERT OR REPLACE INTO facts (name, value) VALUES ('chain heads', ?)", .text(json))
    }
}
