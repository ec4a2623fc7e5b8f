import Model

/// Builds the tree of references of one content after the other.
///
/// A level is cut behind a reference whose name has ten given bits zero, at least 256 and at most
/// 4,096 references after the last cut; so two nights of a content share the nodes of what they share.
struct ReferenceTreeBuilder {
    static let minimum = 256
    static let maximum = 4096
    /// A content of no more references than this keeps them itself.
    static let inline = 32

    /// Level 0 is the content's chunks; level *d* the nodes over level *d* - 1.
    private var levels: [[ChunkReference]] = [[]]
    private var length: UInt64 = 0

    /// Whether level 0 holds enough to cut nodes off.
    var isLong: Bool { levels[0].count >= 2 * Self.maximum }

    mutating func append(_ reference: ChunkReference) {
        levels[0].append(reference)
        length += reference.length
    }

    mutating func appendZeros(_ count: UInt64) {
        length += count
        if let last = levels[0].last, last.isZeros {
            levels[0][levels[0].count - 1].length += count
        } else {
            levels[0].append(.zeros(count))
        }
    }

    /// Cuts nodes off the front of what has been appended.
    mutating func shorten(emit: ([UInt8]) -> ChunkReference) {
        var level = 0
        while level < levels.count, levels[level].count >= 2 * Self.maximum {
            cut(level, final: false, emit: emit)
            level += 1
        }
    }

    /// The whole content; the builder is ready for the next one.
    mutating func finish(emit: ([UInt8]) -> ChunkReference) -> ContentReference {
        defer {
            levels = [[]]
            length = 0
        }
        var level = 0
        while level + 1 < levels.count || levels[level].count > Self.inline {
            cut(level, final: true, emit: emit)
            level += 1
        }
        return ContentReference(length: length, depth: UInt8(level), references: levels[level])
    }

    private mutating func cut(_ level: Int, final: Bool, emit: ([UInt8]) -> ChunkReference) {
        if levels.count == level + 1 { levels.append([]) }
        let references = levels[level]
        var start = 0
        var position = 0
        while position < references.count {
            position += 1
            let count = position - start
            let isCut =
                count >= Self.maximum
                || (count >= Self.minimum && references[position - 1].id.words.3 & 1023 == 0)
                || (final && position == references.count)
            // A zero run may still grow while the content goes on.
            if isCut, final || position < references.count {
                let node = NodeFormat.encode(references[start..<position], depth: UInt8(level))
                levels[level + 1].append(emit(node))
                start = position
            }
        }
        levels[level] = Array(references[start...])
    }
}

/// The plaintext of a node: version 1 (1 byte), depth of what it lists (1), then for each reference
/// its length as a variable number doubled, plus 1 for a run of zeros, and, unless it is one, its
/// name (32).
enum NodeFormat {
    static func encode(_ references: ArraySlice<ChunkReference>, depth: UInt8) -> [UInt8] {
        var writer = ByteWriter()
        writer.append(UInt8(1))
        writer.append(depth)
        for reference in references { append(reference, to: &writer) }
        return writer.bytes
    }

    static func append(_ reference: ChunkReference, to writer: inout ByteWriter) {
        writer.appendVariable(reference.length << 1 | (reference.isZeros ? 1 : 0))
        if !reference.isZeros { writer.append(reference.id) }
    }

    static func decode(_ bytes: ArraySlice<UInt8>, depth: UInt8, object: String)
        throws(FormatError) -> [ChunkReference]
    {
        var reader = ByteReader(bytes, in: object)
        guard try reader.readByte() == 1, try reader.readByte() == depth else {
            throw FormatError(object, "it is not the node that its parent names")
        }
        var references: [ChunkReference] = []
        while !reader.isAtEnd { references.append(try read(&reader)) }
        // A tree of nodes that list nothing would never end.
        guard !references.isEmpty else { throw FormatError(object, "it lists nothing") }
        return references
    }

    static func read(_ reader: inout ByteReader) throws(FormatError) -> ChunkReference {
        let number = try reader.readVariable()
        return number & 1 == 1
            ? .zeros(number >> 1)
            : ChunkReference(id: try reader.readIdentifier(), length: number >> 1)
    }
}
