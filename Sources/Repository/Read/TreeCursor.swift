public import Model

/// Gives a tree's entries one by one, reading the list a chunk at a time; owned by one thread.
public final class TreeCursor {
    private let reader: ChunkReader
    private let chunks: [ChunkReference]
    private var nextChunk = 0
    private var decoder: TreeDecoder

    /// - Parameter tree: The content of a tree part: its entry list.
    public init(_ tree: ContentReference, reader: ChunkReader) throws {
        self.reader = reader
        var chunks: [ChunkReference] = []
        try reader.forEachLeaf(tree) { chunks += $0 }
        self.chunks = chunks
        decoder = TreeDecoder(object: "a tree")
    }

    /// The next entry in tree order; nil after the last.
    public func next() throws -> TreeEntry? {
        while true {
            if let entry = try decoder.next() { return entry }
            guard nextChunk < chunks.count else {
                try decoder.finish()
                return nil
            }
            // A few chunks at once, so that frames that follow one another are fetched together.
            let end = min(nextChunk + 16, chunks.count)
            try reader.read(Array(chunks[nextChunk..<end])) { bytes, reference in
                guard !reference.isZeros else {
                    throw FormatError("a tree", "its entry list has a hole")
                }
                decoder.feed(bytes)
            }
            nextChunk = end
        }
    }
}
