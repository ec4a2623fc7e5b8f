import Model

/// New chunks, one after the other, on their way to becoming a frame; owned by one thread at a time.
final class FrameBuilder {
    /// A frame is sealed when it holds this many bytes of plaintext, or more.
    static let target = 1 << 20
    /// It is sealed when it holds this many chunks, too: a pack lists them all.
    static let maximumChunks = 1 << 14
    static let capacity = target + CutParameters.standard.maximum

    struct Entry {
        var id: ChunkID
        var length: UInt32
        /// Taken before the chunk was named.
        var checksum: UInt64
    }

    private let buffer: UnsafeMutableRawBufferPointer
    private(set) var entries: [Entry] = []
    private(set) var count = 0

    init() { buffer = .allocate(byteCount: Self.capacity, alignment: 64) }
    deinit { buffer.deallocate() }

    /// The plaintext so far.
    var bytes: UnsafeMutableRawBufferPointer { .init(rebasing: buffer[..<count]) }
    var isFull: Bool { count >= Self.target || entries.count >= Self.maximumChunks }
    var isEmpty: Bool { entries.isEmpty }

    /// Whether a chunk of `length` bytes fits; always true while the frame is not full.
    func fits(_ length: Int) -> Bool { count + length <= Self.capacity }

    func append(_ id: ChunkID, _ bytes: UnsafeRawBufferPointer, checksum: UInt64) {
        UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).copyMemory(from: bytes)
        entries.append(Entry(id: id, length: UInt32(bytes.count), checksum: checksum))
        count += bytes.count
    }

    func clear() {
        entries.removeAll(keepingCapacity: true)
        count = 0
    }
}
