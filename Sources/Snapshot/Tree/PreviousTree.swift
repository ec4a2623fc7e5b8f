import Model
import Repository

/// The last snapshot's entries of a tree, walked along beside the directory itself.
final class PreviousTree {
    /// When that snapshot began to read.
    let asOf: Timestamp
    private let cursor: TreeCursor
    private var current: TreeEntry?

    init(_ tree: ContentReference, asOf: Timestamp, reader: ChunkReader) throws {
        self.asOf = asOf
        cursor = try TreeCursor(tree, reader: reader)
        current = try cursor.next()
    }

    /// The entry at `path`, which must not stand before the last one asked for.
    ///
    /// From where the past is damaged on it is as if there were none: everything is read again.
    func entry(at path: [UInt8]) -> TreeEntry? {
        while let entry = current, TreeOrder.precedes(entry.path, path) {
            current = try? cursor.next()
        }
        guard let entry = current, entry.path == path else { return nil }
        return entry
    }
}
