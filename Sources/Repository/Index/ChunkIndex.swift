public import Model

/// Knows where chunks are. The repository asks; the catalog answers.
///
/// An index may know less than the repository holds, never more for long: it can be lost and built
/// again from the packs. Calls come from several threads and block.
public protocol ChunkIndex: Sendable {
    /// Which of `ids` have a place. The result is as long as `ids`.
    func contains(_ ids: [ChunkID]) throws -> [Bool]

    /// The places of `ids`, nil where none is known. The result is as long as `ids`.
    ///
    /// Of a chunk that is in several packs, the place in the one that was recorded last.
    func locate(_ ids: [ChunkID]) throws -> [ChunkLocation?]

    /// Takes note of a durable pack. Every place is kept, also of chunks that have one already: when
    /// one of their packs goes, the others still hold them.
    func record(_ pack: PackContents) throws

    /// All packs known, with their sizes in bytes.
    func packs() throws -> [PackID: UInt64]

    /// Forgets packs and every place in them.
    func remove(_ packs: Set<PackID>) throws

    /// Counts, frame by frame, chunks that are still needed and chunks that are not. A chunk that is
    /// in several packs is needed in the place that ``locate(_:)`` gives, and not in the others.
    ///
    /// - Parameter isLive: Asked with the first 64 bits of a chunk's name.
    func usage(_ isLive: (UInt64) -> Bool) throws -> [PackID: PackUsage]

    /// A number that changes whenever packs are forgotten, and when the index is made anew: as long
    /// as it is the same, everything that had a place has one.
    func generation() throws -> UInt64
}
