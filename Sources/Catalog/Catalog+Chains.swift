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

    /// Remembers chain heads; they replace those of before.
    public func remember(chainHeads heads: [ChainHead]) async throws {
        let json = String(decoding: try StableJSON.encode(heads), as: UTF8.self)
        try await perform { database in
            try database.run(
                "INSERT OR REPLACE INTO facts (name, value) VALUES ('chain heads', ?)", .text(json))
        }
    }
}
