import Engine
public import Model

/// A snapshot all of whose chunks had a place, and the chunk table's generation in which they had.
public struct Wholeness: Sendable, Hashable, Codable {
    public var snapshot: SnapshotID
    public var generation: UInt64

    public init(snapshot: SnapshotID, generation: UInt64) {
        self.snapshot = snapshot
        self.generation = generation
    }
}

extension Catalog {
    /// What is known of the wholeness of a workload's newest snapshot; nil when nothing is.
    public func wholeness(of workload: WorkloadID) async throws -> Wholeness? {
        let text = try await perform { database in
            try database.first(
                "SELECT value FROM facts WHERE name = ?", .text(Self.wholenessFact(workload))
            ) { $0.text(0) }
        }
        return try text.map { try StableJSON.decode(Wholeness.self, from: $0.utf8) }
    }

    /// Remembers that everything that the newest snapshot of a workload needs has a place.
    public func remember(_ wholeness: Wholeness, of workload: WorkloadID) async throws {
        let json = String(decoding: try StableJSON.encode(wholeness), as: UTF8.self)
        try await perform { database in
            try database.run(
                "INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)",
                .text(Self.wholenessFact(workload)), .text(json))
        }
    }

    private static func wholenessFact(_ workload: WorkloadID) -> String {
        "whole: \(workload.text)"
    }
}
