/// One chunk of a content, or a run of zeros that is stored nowhere.
public struct ChunkReference: Hashable, Sendable {
    /// The chunk's name; all zero bits for a run of zeros, which comes back as a hole.
    public var id: ChunkID
    /// Bytes of plaintext.
    public var length: UInt64

    public init(id: ChunkID, length: UInt64) {
        self.id = id
        self.length = length
    }

    /// A run of `length` zero bytes.
    public static func zeros(_ length: UInt64) -> Self { Self(id: .zero, length: length) }

    /// Whether this stands for zeros rather than for a stored chunk.
    public var isZeros: Bool { id == .zero }

    /// No chunk has more bytes of plaintext than this.
    public static let maximumChunk: UInt64 = 262_144

    /// Whether a writer can have made this: a chunk or a run of zeros of a length it may have.
    public var isPlausible: Bool {
        length >= 1 && length <= (isZeros ? ContentReference.maximumLength : Self.maximumChunk)
    }
}

/// What rebuilds a run of bytes: its chunks in order, or the root of a tree of them.
///
/// With `depth` 0 the references are the content itself. With `depth` *d* each reference names a node
/// chunk that lists about 1,024 references of depth *d* - 1; its `length` is that of the node's own
/// plaintext.
public struct ContentReference: Hashable, Sendable {
    /// Bytes of content.
    public var length: UInt64
    /// Levels of nodes between the references and the content.
    public var depth: UInt8
    public var references: [ChunkReference]

    public init(length: UInt64, depth: UInt8, references: [ChunkReference]) {
        self.length = length
        self.depth = depth
        self.references = references
    }

    /// No content is longer, in bytes: offsets in it are file offsets.
    public static let maximumLength = UInt64(Int64.max)
    /// No content is deeper.
    public static let maximumDepth: UInt8 = 7
    /// No node lists more references, and no entry holds more itself.
    public static let maximumReferences = 4096

    /// No bytes at all.
    public static let empty = ContentReference(length: 0, depth: 0, references: [])
}
