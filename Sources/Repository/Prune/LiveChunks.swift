import Model

/// The chunks that snapshots need.
///
/// Two chunks whose names share 48 bits keep each other: some garbage may stay, nothing needed goes.
struct LiveChunks: Sendable {
    private var names = NameSet()
    /// Contents and nodes that were followed; what a night shares with the one before is followed
    /// once. Whole names: a mistake here would lose what is needed.
    private var contents: Set<ContentReference> = []
    private var nodes: Set<ChunkID> = []

    /// How many different chunks.
    var count: Int { names.count }

    /// - Parameter name: The first 64 bits of a chunk's name.
    func contains(_ name: UInt64) -> Bool { names.contains(name) }

    /// Gathers references in the order in which a restore reads them.
    private final class Gatherer {
        private var batch: [ChunkReference] = []
        private let check: () throws -> Void
        private let measure: (([ChunkReference]) throws -> Void)?
        private var added = 0

        init(check: @escaping () throws -> Void, measure: (([ChunkReference]) throws -> Void)?) {
            self.check = check
            self.measure = measure
        }

        /// Whether everything is asked for, also what was met before.
        var wantsAll: Bool { measure != nil }

        func add(_ reference: ChunkReference) throws {
            added += 1
            if added & 4095 == 0 { try check() }
            guard measure != nil else { return }
            batch.append(reference)
            if batch.count >= 4096 { try flush() }
        }

        func flush() throws {
            try check()
            try measure?(batch)
            batch.removeAll(keepingCapacity: true)
        }
    }

    /// Adds everything that `record` refers to; blocks.
    ///
    /// - Parameters:
    ///   - check: Throws when the work should end early.
    ///   - measure: Called with all references to stored chunks, in the order in which a restore
    ///     reads them, also those that were met before. Without it these are passed over.
    /// - Throws: For damage too: what cannot be followed must not be pruned.
    mutating func add(
        _ record: SnapshotRecord, reader: ChunkReader, check: () throws -> Void = {},
        measure: (([ChunkReference]) throws -> Void)? = nil
    ) throws {
        try withoutActuallyEscaping(check) { check in
            let gatherer = Gatherer(check: check, measure: measure)
            do {
                try add(record, reader, gatherer)
                try gatherer.flush()
            } catch let error as FormatError {
                throw error.failure.during("snapshot \(record.id.short) of \(record.workload)")
            } catch let failure as Failure where failure.code == .damaged {
                throw failure.during("snapshot \(record.id.short) of \(record.workload)")
            }
        }
    }

    private mutating func add(
        _ record: SnapshotRecord, _ reader: ChunkReader, _ gatherer: Gatherer
    ) throws {
        for part in record.parts {
            guard contents.insert(part.content).inserted || gatherer.wantsAll else { continue }
            try follow(part.content.references, part.content.depth, reader, gatherer)
            guard part.kind == .tree else { continue }
            let entries = try TreeCursor(part.content, reader: reader)
            while let entry = try entries.next(
                contentsOf: { $0.content.references.contains { wants($0, gatherer) } })
            {
                try follow(entry.content.references, entry.content.depth, reader, gatherer)
            }
        }
    }

    /// Whether a node has to be read.
    private func wants(_ node: ChunkReference, _ gatherer: Gatherer) -> Bool {
        !node.isZeros && (gatherer.wantsAll || !nodes.contains(node.id))
    }

    private mutating func follow(
        _ references: [ChunkReference], _ depth: UInt8, _ reader: ChunkReader,
        _ gatherer: Gatherer
    ) throws {
        for (number, reference) in references.enumerated() where !reference.isZeros {
            if depth > 0 {
                reader.fetchAhead(references, from: number) { wants($0, gatherer) }
            }
            names.insert(reference.id.words.0)
            try gatherer.add(reference)
            guard depth > 0 else { continue }
            guard nodes.insert(reference.id).inserted || gatherer.wantsAll else { continue }
            try follow(try reader.children(reference, depth), depth - 1, reader, gatherer)
        }
    }
}
