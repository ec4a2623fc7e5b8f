import Model

/// The chunks that snapshots need, by the first 64 bits of their names.
///
/// Two chunks whose names share 64 bits keep each other: some garbage may stay, nothing needed goes.
struct LiveChunks: Sendable {
    private(set) var names: Set<UInt64> = []
    private var seen: Set<ContentReference> = []

    func contains(_ name: UInt64) -> Bool { names.contains(name) }

    /// Adds everything that `record` refers to; blocks.
    ///
    /// - Throws: For damage too: what cannot be followed must not be pruned.
    mutating func add(_ record: SnapshotRecord, reader: ChunkReader) throws {
        for part in record.parts where seen.insert(part.content).inserted {
            try add(part.content, reader: reader)
            guard part.kind == .tree else { continue }
            try reader.entries(part.content) { entry in
                try add(entry.content, reader: reader)
            }
        }
    }

    private mutating func add(_ content: ContentReference, reader: ChunkReader) throws {
        try reader.forEachReference(content) { reference in
            if !reference.isZeros { names.insert(reference.id.words.0) }
        }
    }
}
