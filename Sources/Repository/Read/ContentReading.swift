public import Model

extension ChunkReader {
    /// Calls `body` with the bytes of a content from beginning to end, verified.
    ///
    /// Zero runs come as `nil` bytes and their length; everything else in pieces of a chunk.
    ///
    /// - Parameter role: Of what is no ``Role/data`` a copy may be kept on this machine.
    /// - Throws: ``FormatError`` for damage, and whatever `body` throws.
    public func stream(
        _ content: ContentReference, role: Role = .data,
        _ body: (UnsafeRawBufferPointer?, UInt64) throws -> Void
    ) throws {
        try forEachLeaf(content) { references in
            try read(references, role: role) { bytes, reference in
                try body(reference.isZeros ? nil : bytes, reference.length)
            }
        }
    }

    /// Calls `body` with runs of references to data, in order, without reading the data.
    ///
    /// - Throws: ``FormatError`` when their lengths do not add up to that of the content, before
    ///   `body` gets a reference beyond it.
    public func forEachLeaf(
        _ content: ContentReference, _ body: ([ChunkReference]) throws -> Void
    ) throws {
        var total: UInt64 = 0
        try visit(content.references, depth: content.depth) { references in
            for reference in references {
                let (sum, overflow) = total.addingReportingOverflow(reference.length)
                // Nothing is written of no length: a content of such references would never end.
                guard !overflow, sum <= content.length, reference.length > 0 else {
                    throw FormatError("a content", "it is not \(content.length) bytes long")
                }
                guard reference.isZeros || reference.length <= UInt64(PackLayout.maximumFrame)
                else { throw FormatError("a content", "one of its chunks is too large") }
                total = sum
            }
            try body(references)
        }
        guard total == content.length else {
            throw FormatError("a content", "it is \(total) bytes long instead of \(content.length)")
        }
    }

    /// Calls `body` with every reference that a content is made of, nodes before what they list.
    func forEachReference(
        _ content: ContentReference, _ body: (ChunkReference) throws -> Void
    ) throws {
        try visitAll(content.references, depth: content.depth, body)
    }

    private func visitAll(
        _ references: [ChunkReference], depth: UInt8, _ body: (ChunkReference) throws -> Void
    ) throws {
        for (number, reference) in references.enumerated() {
            try body(reference)
            if depth > 0 { fetchAhead(references, from: number) }
            if depth > 0 { try visitAll(try children(reference, depth), depth: depth - 1, body) }
        }
    }

    /// What a node lists.
    func children(_ node: ChunkReference, _ depth: UInt8) throws -> [ChunkReference] {
        if let fetched = takeFetched(node) {
            return try NodeFormat.decode(
                fetched[...], depth: depth - 1, object: "node \(node.id.short)")
        }
        var children: [ChunkReference] = []
        try read([node], role: .node) { bytes, _ in
            children = try NodeFormat.decode(
                Array(bytes)[...], depth: depth - 1, object: "node \(node.id.short)")
        }
        return children
    }

    private func visit(
        _ references: [ChunkReference], depth: UInt8, _ body: ([ChunkReference]) throws -> Void
    ) throws {
        guard depth > 0 else { return try body(references) }
        for (number, reference) in references.enumerated() {
            fetchAhead(references, from: number)
            try visit(try children(reference, depth), depth: depth - 1, body)
        }
    }

    /// Fetches the next nodes of a list, some at a time, when the first of them is about to be read.
    ///
    /// - Parameter isWanted: Which of them will be read.
    func fetchAhead(
        _ nodes: [ChunkReference], from number: Int,
        where isWanted: (ChunkReference) -> Bool = { _ in true }
    ) {
        guard number.isMultiple(of: Self.nodesAhead) else { return }
        fetchAhead(nodes[number..<min(number + Self.nodesAhead, nodes.count)].filter(isWanted))
    }

    /// Nodes that are fetched together; each is at most some hundred kilobytes.
    static var nodesAhead: Int { 64 }

    /// What is no longer than this is read whenever somebody looks at its snapshot.
    private static var smallDocument: UInt64 { 1 << 20 }

    /// All bytes of a content of at most `limit` bytes.
    public func bytes(_ content: ContentReference, limit: Int) throws -> [UInt8] {
        guard content.length <= UInt64(limit) else {
            throw FormatError("a document", "it is larger than \(limit) bytes")
        }
        var result: [UInt8] = []
        result.reserveCapacity(Int(content.length))
        let isSmall = content.length <= Self.smallDocument
        try stream(content, role: isSmall ? .listing : .data) { bytes, length in
            if let bytes {
                result.append(contentsOf: bytes)
            } else {
                result.append(contentsOf: repeatElement(0, count: Int(length)))
            }
        }
        return result
    }

    /// Calls `body` with every entry of a tree, in tree order.
    ///
    /// - Parameter reads: Whether `body` reads the list of an entry's chunks.
    public func entries(
        _ tree: ContentReference, reads: Bool = false, _ body: (TreeEntry) throws -> Void
    ) throws {
        let cursor = try TreeCursor(tree, reader: self, contentsOf: reads ? { _ in true } : nil)
        while let entry = try cursor.next() { try body(entry) }
    }
}
