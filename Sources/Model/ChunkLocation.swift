/// A frame within its pack.
public struct FrameLocation: Hashable, Sendable {
    /// Position among the pack's frames; also the nonce it is sealed with.
    public var number: UInt32
    /// Offset of the sealed bytes in the pack.
    public var offset: UInt64
    /// Length of the sealed bytes, the tag included.
    public var storedLength: UInt32
    /// Length of the plaintext.
    public var plainLength: UInt32
    /// How the plaintext is stored: 0 as it is, 1 zstd.
    public var encoding: UInt8

    public init(
        number: UInt32, offset: UInt64, storedLength: UInt32, plainLength: UInt32, encoding: UInt8
    ) {
        self.number = number
        self.offset = offset
        self.storedLength = storedLength
        self.plainLength = plainLength
        self.encoding = encoding
    }
}

/// Where a chunk is: a hint, which the chunk's name proves or disproves.
public struct ChunkLocation: Hashable, Sendable {
    public var pack: PackID
    public var frame: FrameLocation
    /// Offset of the chunk in the frame's plaintext.
    public var offset: UInt32

    public init(pack: PackID, frame: FrameLocation, offset: UInt32) {
        self.pack = pack
        self.frame = frame
        self.offset = offset
    }
}

/// What a pack says that it holds.
public struct PackContents: Hashable, Sendable {
    public var pack: PackID
    /// Size of the whole object.
    public var size: UInt64
    /// Which of the repository's data keys sealed it.
    public var epoch: UInt32
    public var frames: [FrameLocation]
    /// Every chunk: name, index into `frames`, offset in the frame, length. In storage order.
    public var chunks: [Entry]

    public struct Entry: Hashable, Sendable {
        public var id: ChunkID
        public var frame: UInt32
        public var offset: UInt32
        public var length: UInt32

        public init(id: ChunkID, frame: UInt32, offset: UInt32, length: UInt32) {
            self.id = id
            self.frame = frame
            self.offset = offset
            self.length = length
        }
    }

    public init(
        pack: PackID, size: UInt64, epoch: UInt32, frames: [FrameLocation], chunks: [Entry]
    ) {
        self.pack = pack
        self.size = size
        self.epoch = epoch
        self.frames = frames
        self.chunks = chunks
    }
}

/// How much of a pack is still needed.
public struct PackUsage: Hashable, Sendable {
    public struct Frame: Hashable, Sendable {
        public var location: FrameLocation
        /// Chunks that are needed, and chunks that are not.
        public var live = 0
        public var dead = 0

        public init(location: FrameLocation) { self.location = location }

        /// Counts one chunk.
        public mutating func count(_ isNeeded: Bool) {
            if isNeeded { live += 1 } else { dead += 1 }
        }
    }

    /// Size of the whole object.
    public var size: UInt64
    /// By number.
    public var frames: [UInt32: Frame]

    public init(size: UInt64, frames: [UInt32: Frame] = [:]) {
        self.size = size
        self.frames = frames
    }

    public var live: Int { frames.values.reduce(0) { $0 + $1.live } }

    /// Stored bytes of all its frames.
    public var frameBytes: UInt64 {
        frames.values.reduce(0) { $0 + UInt64($1.location.storedLength) }
    }

    /// Stored bytes that are needed: of each frame the share of its chunks that are.
    public var liveBytes: UInt64 {
        frames.values.reduce(0) { sum, frame in
            let count = frame.live + frame.dead
            guard count > 0 else { return sum }
            return sum + UInt64(frame.location.storedLength) * UInt64(frame.live) / UInt64(count)
        }
    }
}
