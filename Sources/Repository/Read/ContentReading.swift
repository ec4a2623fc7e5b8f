public import Model

extension ChunkReader {
    /// Calls `body` with the bytes of a content from beginning to end, verified.
    ///
    /// Zero runs come as `nil` bytes and their length; everything else in pieces of a chunk.
    ///
    /// - Throws: ``FormatError`` for damage, and whatever `body` throws.
    public func stream(
        _ content: ContentReference,
        _ body: (UnsafeRawBufferPointer?, UInt64) throws -> Void
    ) throws {
        try forEachLeaf(content) { references in
            try read(references) { bytes, reference in
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
        for reference in references {
            try body(reference)
            if depth > 0 { try visitAll(try children(reference, depth), depth: depth - 1, body) }
        }
    }

    func children(_ node: ChunkReference, _ depth: UInt8) throws -> [ChunkReference] {
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
        for reference in references {
            try visit(try children(reference, depth), depth: depth - 1, body)
        }
    }

    /// All bytes of a content of at most `limit` bytes.
    public func bytes(_ content: ContentReference, limit: Int) throws -> [UInt8] {
        guard content.length <= UInt64(limit) else {
            throw FormatError("a document", "it is larger than \(limit) bytes")
        }
        var result: [UInt8] = []
        result.reserveCapacity(Int(content.length))
        try stream(content) { bytes, length in
            if let bytes {
                result.append(contentsOf: bytes)
            } else {
                result.append(contentsOf: repeatElement(0, count: Int(length)))
            }
        }
        return result
    }

    /// Calls `body` with every entry of a tree, in tree order.
    public func entries(_ tree: ContentReference, _ body: (TreeEntry) throws -> Void) throws {
        var decoder = TreeDecoder(object: "a tree")
        try stream(tree) { bytes, _ in
            guard let bytes else { throw FormatError("a tree", "its entry list has a hole") }
            decoder.feed(bytes)
            while let entry = try decoder.next() { try body(entry) }
        }
        try decoder.finish()
    }
}
