import Engine
import Model

/// A few MiB of content on its way from the reading thread to a worker and back.
///
/// Proof of the unchecked conformance: a batch has one owner at a time. The content writer fills it
/// and hands it to the queue; the worker that takes it from there is the only one to touch it until
/// it signals `done`; after that the content writer reads the result.
final class Batch: @unchecked Sendable {
    /// Bytes at which a batch is handed over.
    static let target = 2 << 20
    /// Room for a chunk that is not cut yet, and for one read, behind the target.
    static let capacity = target + 2 * CutParameters.standard.maximum

    /// A chunk of content.
    struct Piece {
        var offset: Int
        var length: Int
        var id = ChunkID.zero
    }

    /// What happens to the content, in order.
    enum Event {
        case piece(Int)
        case zeros(UInt64)
        case end
    }

    let buffer: UnsafeMutableRawBufferPointer
    var filled = 0
    var pieces: [Piece] = []
    var events: [Event] = []
    /// Nodes of reference trees; they are named already.
    var nodes: [(id: ChunkID, bytes: [UInt8])] = []
    /// Store the nodes whether or not they are known.
    var isForced = false

    // Set by the worker, which then raises `done`.
    var newBytes: UInt64 = 0
    let done = Completion()

    init() { buffer = .allocate(byteCount: Self.capacity, alignment: 64) }
    deinit { buffer.deallocate() }

    func bytes(of piece: Piece) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: buffer[piece.offset..<(piece.offset + piece.length)])
    }

    func clear() {
        filled = 0
        pieces.removeAll(keepingCapacity: true)
        events.removeAll(keepingCapacity: true)
        nodes.removeAll()
        isForced = false
        newBytes = 0
    }
}
