import Engine
public import Model

/// Stores disks whose blocks come in any order; gives back what rebuilds each from beginning to end.
///
/// Blocks are those that a disk is cut into when it is read in order (``ContentWriter/begin(_:)``),
/// so that both ways give the same content. The names of the blocks go to files of 32 bytes a block
/// (0.05 % of the disk; its holes are holes there), not to memory. Owned by one thread.
public final class DiskBlockWriter {
    private static let nameLength = ChunkID.byteCount
    /// Names that are read back at once.
    private static let window = 4096

    private struct Disk {
        var length: UInt64
        var names: ScratchFile
        /// Bytes of the blocks that are not zero.
        var data: UInt64 = 0
    }

    private let writer: ContentWriter
    private var disks: [Disk] = []
    /// Blocks that were handed in and have no name yet, in their order.
    private var waiting: [(disk: Int, block: UInt64)] = []

    public init(session: WriteSession) { writer = session.makeContentWriter() }

    /// Bytes of plaintext that were new to the repository.
    public var newBytes: UInt64 { writer.newBytes }

    /// Begins a disk of `length` bytes.
    ///
    /// - Returns: Its number, counted from 0.
    /// - Throws: `SystemError` where no scratch file can be made.
    public func begin(length: UInt64) throws -> Int {
        disks.append(Disk(length: length, names: try ScratchFile()))
        return disks.count - 1
    }

    /// Stores one block; what is never put is a hole.
    ///
    /// - Parameters:
    ///   - block: Its number; no number may come twice.
    ///   - bytes: ``ContentWriter/blockLength``, or what is left of the disk in its last block.
    public func put(_ disk: Int, block: UInt64, _ bytes: UnsafeRawBufferPointer) throws {
        if isAllZeros(bytes) { return }
        writer.begin(.blocks)
        try writer.append(bytes)
        try writer.end()
        disks[disk].data += UInt64(bytes.count)
        waiting.append((disk, block))
        if waiting.count >= 1024 { try settle() }
    }

    /// Every disk, in the order of their numbers: what rebuilds it, and its bytes that are no holes.
    public func finish() throws -> [(content: ContentReference, data: UInt64)] {
        try writer.drain()
        try settle()
        let finished = try disks.map { (content: try rebuilt($0), data: $0.data) }
        try writer.drain()
        return finished
    }

    private func rebuilt(_ disk: Disk) throws -> ContentReference {
        var builder = ReferenceTreeBuilder()
        var nodes: [(id: ChunkID, bytes: [UInt8])] = []
        let namer = writer.namer
        func emit(_ bytes: [UInt8]) -> ChunkReference {
            let id = bytes.withUnsafeBytes { namer.name($0, role: .node) }
            nodes.append((id, bytes))
            return ChunkReference(id: id, length: UInt64(bytes.count))
        }
        func store() throws {
            for node in nodes { try writer.store(node.id, node.bytes) }
            nodes = []
        }
        let blockLength = UInt64(ContentWriter.blockLength)
        let blocks = (disk.length + blockLength - 1) / blockLength
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Self.window * Self.nameLength, alignment: 16)
        defer { buffer.deallocate() }
        var block: UInt64 = 0
        while block < blocks {
            let count = Int(min(UInt64(Self.window), blocks - block))
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(count * Self.nameLength)])
            try disk.names.read(into: part, at: block * UInt64(Self.nameLength))
            for index in 0..<count {
                let id = ChunkID(
                    UnsafeRawBufferPointer(rebasing: part[(index * Self.nameLength)...]))
                let size = min(blockLength, disk.length - (block + UInt64(index)) * blockLength)
                if id == .zero {
                    builder.appendZeros(size)
                } else {
                    builder.append(ChunkReference(id: id, length: size))
                }
                if builder.isLong { builder.shorten(emit: emit) }
            }
            try store()
            block += UInt64(count)
        }
        let content = builder.finish(emit: emit)
        try store()
        return content
    }

    /// Writes down the names of the blocks that have theirs by now.
    private func settle() throws {
        var named = 0
        for content in try writer.takeFinished() {
            // A block that is not zero is one chunk.
            guard content.depth == 0, content.references.count == 1, named < waiting.count else {
                throw Failure(.failed, "a block is missing after its capture", side: .local)
            }
            let (disk, block) = waiting[named]
            try content.references[0].id.withUnsafeBytes {
                try disks[disk].names.write($0, at: block * UInt64(Self.nameLength))
            }
            named += 1
        }
        waiting.removeFirst(named)
    }
}
