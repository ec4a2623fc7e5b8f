import Engine
public import Model

extension Catalog {
    /// The group of packs that was read last when packs were divided into `count`; nil for none.
    public func checkedGroup(of count: Int) async throws -> Int? {
        try await perform { database in
            try database.first(
                "SELECT value FROM facts WHERE name = ?", .text("checked group of \(count)")
            ) { Int($0.text(0)) } ?? nil
        }
    }

    /// Remembers which group of packs was read.
    public func remember(checkedGroup number: Int, of count: Int) async throws {
        try await perform { database in
            try database.run(
                "INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)",
                .text("checked group of \(count)"), .text("\(number)"))
        }
    }

    /// Where the last sample of packs ended; nil before the first.
    public func sampleMark() async throws -> SampleMark? {
        let text = try await perform { database in
            try database.first("SELECT value FROM facts WHERE name = 'sample mark'") { $0.text(0) }
        }
        return try text.map { try StableJSON.decode(SampleMark.self, from: Array($0.utf8)) }
    }

    /// Remembers where a sample of packs ended.
    public func remember(_ mark: SampleMark) async throws {
        let json = String(decoding: try StableJSON.encode(mark), as: UTF8.self)
        try await perform { database in
            try database.run(
                "INSERT OR REPLACE INTO facts (name, value) VALUES ('sample mark', ?)", .text(json))
        }
    }
}

/// Where a sample of packs ended.
public struct SampleMark: Sendable, Hashable, Codable {
    /// The pack that was read last.
    public var last: PackID?
    /// How much longer than they might samples have taken: what later ones have less.
    public var owed: TimeSpan

    public init(last: PackID?, owed: TimeSpan) {
        self.last = last
        self.owed = owed
    }
}
