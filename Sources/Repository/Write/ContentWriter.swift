import Engine
public import Model

/// Cuts contents into chunks and hands them to a session's workers; gives back what rebuilds them.
///
/// Used by one thread at a time. Contents follow one another; their references come back from
/// ``takeFinished()`` in the same order, some time later. Reading happens straight into the
/// writer's buffer.
public final class ContentWriter {
    private let session: WriteSession
    private var current = Batch()
    private var spare: [Batch] = []
    private var inFlight: [Batch] = []
    /// Start of the bytes of `current` that are not cut yet.
    private var uncut = 0
    private var kind = ContentCut.standard
    private var builder = ReferenceTreeBuilder()
    private var finished: [ContentReference] = []
    private var namedBytes = 0
    /// Bytes of plaintext of this writer that were new to the repository.
    public private(set) var newBytes: UInt64 = 0

    /// Length of the blocks that a disk is cut into, in bytes.
    public static let blockLength = 65536

    init(session: WriteSession) { self.session = session }

    var namer: ChunkNamer { session.namer }

    /// Begins a content.
    ///
    /// - Parameter cut: Decides what of it is found again when it comes once more.
    public func begin(_ cut: ContentCut = .standard) {
        kind = cut
        uncut = current.filled
    }

    /// Room to read content into: at least 256 KiB.
    public func room() throws -> UnsafeMutableRawBufferPointer {
        if current.filled >= Batch.target { try handOver() }
        return UnsafeMutableRawBufferPointer(rebasing: current.buffer[current.filled...])
    }

    /// Takes the first `count` bytes of what ``room()`` gave.
    public func advance(_ count: Int) throws {
        current.filled += count
        cut(untilEnd: false)
    }

    /// Appends a copy of `bytes`.
    public func append(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let room = try room()
            let count = min(room.count, rest.count)
            room.copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            try advance(count)
        }
    }

    /// Appends a run of zeros that is stored nowhere and comes back as a hole.
    public func appendZeros(_ count: UInt64) {
        cut(untilEnd: true)
        if count > 0 { current.events.append(.zeros(count)) }
    }

    /// Ends the content.
    public func end() throws {
        cut(untilEnd: true)
        current.events.append(.end)
        if current.filled >= Batch.target || current.events.count >= 4096 { try handOver() }
    }

    /// Stores a chunk that has its name already, as it is.
    ///
    /// - Parameter bytes: Verified against `id` by whoever read them.
    func store(_ id: ChunkID, _ bytes: [UInt8]) throws {
        current.nodes.append((id, bytes))
        namedBytes += bytes.count
        if namedBytes >= Batch.target {
            namedBytes = 0
            try handOver()
        }
    }

    /// Stores a chunk although the index has a place for it: that place is about to go.
    func storeAgain(_ id: ChunkID, _ bytes: [UInt8]) throws {
        current.isForced = true
        try store(id, bytes)
    }

    /// References of contents that are complete, in the order of their ends. Does not wait.
    public func takeFinished() throws -> [ContentReference] {
        while let first = inFlight.first, first.done.isSignalled { try collect() }
        defer { finished.removeAll(keepingCapacity: true) }
        return finished
    }

    /// Waits for everything handed in so far; then all references can be taken.
    public func drain() throws {
        cut(untilEnd: true)
        repeat {
            if !current.events.isEmpty || !current.nodes.isEmpty { try handOver() }
            while !inFlight.isEmpty { try collect() }
        } while !current.nodes.isEmpty
    }

    private func cut(untilEnd: Bool) {
        while uncut < current.filled {
            let available = current.filled - uncut
            let length: Int
            if let cutter = session.cutter(kind) {
                guard untilEnd || available >= cutter.parameters.maximum else { return }
                length = cutter.cut(
                    UnsafeRawBufferPointer(rebasing: current.buffer[uncut..<current.filled]))
            } else {
                guard untilEnd || available >= Self.blockLength else { return }
                length = min(available, Self.blockLength)
            }
            let bytes = UnsafeRawBufferPointer(
                rebasing: current.buffer[uncut..<(uncut + length)])
            if kind == .blocks && isAllZeros(bytes) {
                current.events.append(.zeros(UInt64(length)))
            } else {
                current.events.append(.piece(current.pieces.count))
                current.pieces.append(Batch.Piece(offset: uncut, length: length))
            }
            uncut += length
        }
    }

    /// Gives the current batch to the workers; what is not cut yet moves to the next one.
    private func handOver() throws {
        try session.checkFailure()
        while inFlight.count > session.workers { try collect() }
        let next = spare.popLast() ?? Batch()
        let left = UnsafeRawBufferPointer(rebasing: current.buffer[uncut..<current.filled])
        next.buffer.copyMemory(from: left)
        next.filled = left.count
        uncut = 0
        inFlight.append(current)
        session.submit(current)
        current = next
    }

    /// Waits for the oldest batch and follows its events.
    private func collect() throws {
        let batch = inFlight.removeFirst()
        batch.done.wait()
        try session.checkFailure()
        newBytes += batch.newBytes
        for event in batch.events {
            switch event {
            case .piece(let number):
                let piece = batch.pieces[number]
                builder.append(ChunkReference(id: piece.id, length: UInt64(piece.length)))
            case .zeros(let count):
                builder.appendZeros(count)
            case .end:
                finished.append(builder.finish(emit: emit))
            }
            if builder.isLong { builder.shorten(emit: emit) }
        }
        batch.clear()
        spare.append(batch)
    }

    /// Names a node and sends it on its way.
    private func emit(_ bytes: [UInt8]) -> ChunkReference {
        let id = bytes.withUnsafeBytes { session.namer.name($0, role: .node) }
        current.nodes.append((id, bytes))
        return ChunkReference(id: id, length: UInt64(bytes.count))
    }
}
