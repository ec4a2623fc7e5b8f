public import Model

/// Knows where chunks are. The repository asks; the catalog answers.
///
/// An index may know less than the repository holds, never more for long: it can be lost and built
/// again from the packs. Calls come from several threads and block.
public protocol ChunkIndex: Sendable {
    /// Which of `ids` have a place. The result is as long as `ids`.
    func contains(_ ids: [ChunkID]) throws -> [Bool]

    /// The places of `ids`, nil where none is known. The result is as long as `ids`.
    func locate(_ ids: [ChunkID]) throws -> [ChunkLocation?]

    /// Takes note of a durable pack. Chunks that have a place already may keep it or change it.
    func record(_ pack: PackContents) throws

    /// All packs known, with their sizes in bytes.
    func packs() throws -> [PackID: UInt64]

    /// Forgets packs and every place in them.
    func remove(_ packs: Set<PackID>) throws

    /// Counts, frame by frame, chunks that are still needed and chunks that are not.
    ///
    /// - Parameter isLive: Asked with the first 64 bits of a chunk's name.
    func usage(_ isLive: (UInt64) -> Bool) throws -> [PackID: PackUsage]
}
