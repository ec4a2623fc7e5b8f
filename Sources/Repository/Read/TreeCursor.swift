public import Model

/// Gives a tree's entries one by one, reading the list a chunk at a time; owned by one thread.
public final class TreeCursor {
    private let reader: ChunkReader
    private let chunks: [ChunkReference]
    private var nextChunk = 0
    private var decoder: TreeDecoder
    private let isWanted: ((TreeEntry) -> Bool)?
    /// Entries that were decoded ahead, the next one last; and what stopped that.
    private var ready: [TreeEntry] = []
    private var failure: (any Error)?

    /// - Parameters:
    ///   - tree: The content of a tree part: its entry list.
    ///   - isWanted: Of which files the contents will be read: what lists their chunks is fetched some
    ///     files ahead. nil for none.
    public init(
        _ tree: ContentReference, reader: ChunkReader,
        contentsOf isWanted: ((TreeEntry) -> Bool)? = nil
    ) throws {
        self.reader = reader
        self.isWanted = isWanted
        var chunks: [ChunkReference] = []
        try reader.forEachLeaf(tree) { chunks += $0 }
        self.chunks = chunks
        decoder = TreeDecoder(object: "a tree")
    }

    /// The next entry in tree order; nil after the last.
    public func next() throws -> TreeEntry? {
        guard let isWanted else { return try decoded() }
        return try next(contentsOf: isWanted)
    }

    /// The next entry, where what is wanted changes on the way; one cursor is asked in one way only.
    func next(contentsOf isWanted: (TreeEntry) -> Bool) throws -> TreeEntry? {
        if ready.isEmpty { try lookAhead(isWanted) }
        return ready.popLast()
    }

    private func lookAhead(_ isWanted: (TreeEntry) -> Bool) throws {
        if let failure { throw failure }
        var nodes: [ChunkReference] = []
        do {
            while ready.count < 512, nodes.count < ChunkReader.nodesAhead,
                let entry = try decoded()
            {
                ready.append(entry)
                if entry.content.depth > 0, isWanted(entry) { nodes += entry.content.references }
            }
        } catch {
            // What came before it is still given out.
            failure = error
            if ready.isEmpty { throw error }
        }
        ready.reverse()
        reader.fetchAhead(nodes)
    }

    private func decoded() throws -> TreeEntry? {
        while true {
            if let entry = try decoder.next() { return entry }
            guard nextChunk < chunks.count else {
                try decoder.finish()
                return nil
            }
            // A few chunks at once, so that frames that follow one another are fetched together.
            let end = min(nextChunk + 16, chunks.count)
            try reader.read(Array(chunks[nextChunk..<end]), role: .listing) { bytes, reference in
                guard !reference.isZeros else {
                    throw FormatError("a tree", "its entry list has a hole")
                }
                decoder.feed(bytes)
            }
            nextChunk = end
        }
    }
}
