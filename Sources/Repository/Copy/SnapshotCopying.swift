import Engine
import FoundationEssentials
public import Model

/// Copies snapshots into another repository that cuts and names contents alike.
///
/// Frames are fetched, opened, compared with their chunks' names and sealed anew with the other
/// repository's keys; they are compressed only where most of one is there already. What is damaged is
/// not copied, and nothing is ever removed.
public struct SnapshotCopying: Sendable {
    private let source: BackupRepository
    private let index: any ChunkIndex
    private let target: BackupRepository
    private let run: WritingRun
    private let progress: @Sendable (ByteCount) -> Void

    /// - Parameters:
    ///   - index: Of `source`, up to date.
    ///   - run: Of `target`; what it has committed, and what it has flushed, is used.
    ///   - progress: Told bytes of plaintext as they are stored.
    public init(
        from source: BackupRepository, index: any ChunkIndex, to target: BackupRepository,
        run: WritingRun, progress: @escaping @Sendable (ByteCount) -> Void
    ) {
        self.source = source
        self.index = index
        self.target = target
        self.run = run
        self.progress = progress
    }

    /// Copies one snapshot; when this returns it exists there, and all that it needs has been found.
    ///
    /// - Throws: ``FormatError`` or ``ObjectMissing`` for what is damaged in the source, else what
    ///   went wrong on the way.
    public func copy(_ snapshot: SnapshotRecord) async throws {
        try await heal(snapshot)
        try await run.commit(snapshot)
    }

    /// Copies what the target lacks of a snapshot, without its record.
    public func heal(_ snapshot: SnapshotRecord) async throws {
        try await BlockingPool.shared.runCancellable { [self] check in
            let frames = FrameCopying(
                source: source, index: index, target: run, progress: progress)
            let reader = source.makeReader(index: index)
            try source.forEachReference(of: snapshot, reader: reader) { references in
                try check()
                try frames.copy(references)
            }
            try frames.finish()
            try run.session.flush()
        }
        guard try await target.isWhole(snapshot, index: run.index) else {
            // Of this snapshot alone: others are copied all the same.
            throw Failure(
                .damaged,
                "the copy of snapshot \(snapshot.id.short) at \(target.store.place) is not"
                    + " whole", hint: "run dr check --read-data --repair on it, then dr copy again",
                side: .repository)
        }
    }
}

/// Copies what one snapshot needs and the target lacks; owned by one thread. Calls block.
private final class FrameCopying {
    private let source: BackupRepository
    private let index: any ChunkIndex
    private let target: WritingRun
    private let namer: ChunkNamer
    private let writer: ContentWriter
    private let progress: @Sendable (ByteCount) -> Void
    /// Handed over already. One too many would be noticed when the snapshot is not whole.
    private var handed = NameSet()
    private var packs: [PackID: SourcePack] = [:]

    /// A pack's list, by frame.
    private struct SourcePack: Sendable {
        var opener: FrameOpener
        var chunks: [UInt32: [PackContents.Entry]]
    }

    /// Frames that stand next to one another, with what they hold.
    private struct Stretch: Sendable {
        var pack: PackID
        var opener: FrameOpener
        var frames: [(place: FrameLocation, chunks: [PackContents.Entry])]
    }

    /// Sealed bytes fetched at once, at most.
    private static let stretchLength: UInt64 = 4 << 20
    private static let packsKept = 16

    init(
        source: BackupRepository, index: any ChunkIndex, target: WritingRun,
        progress: @escaping @Sendable (ByteCount) -> Void
    ) {
        self.source = source
        self.index = index
        self.target = target
        self.progress = progress
        namer = ChunkNamer(secret: source.secrets.naming)
        writer = target.session.makeContentWriter()
        writer.begin()
    }

    /// Copies those of `references` that the target lacks, and what shares their frames.
    func copy(_ references: [ChunkReference]) throws {
        let known = try target.index.contains(references.map(\.id))
        let missing = zip(references, known).filter { !$1 }.map(\.0.id).filter {
            !handed.contains($0.words.0)
        }
        guard !missing.isEmpty else { return }
        var wanted: [PackID: [UInt32: FrameLocation]] = [:]
        for (id, place) in zip(missing, try index.locate(missing)) {
            guard let place else { throw FormatError("chunk \(id.short)", "it is in no pack") }
            wanted[place.pack, default: [:]][place.frame.number] = place.frame
        }
        var stretches: [Stretch] = []
        for (pack, frames) in wanted.sorted(by: { $0.key < $1.key }) {
            stretches += try self.stretches(pack, frames.values.sorted { $0.number < $1.number })
        }
        let worker = FrameCopyingWork(
            packs: source.packs, namer: namer, index: target.index, session: target.session,
            progress: progress)
        let atOnce = max(2, source.store.callsAtOnce / 2)
        let all = stretches
        let loose = try waitBlocking {
            try await sideBySide(all, atOnce: atOnce) { stretch in
                let sealed = try await worker.packs.sealedFrames(
                    stretch.pack, from: stretch.frames[0].place,
                    through: stretch.frames[stretch.frames.count - 1].place)
                return try await BlockingPool.shared.run {
                    try worker.copy(stretch.frames, sealed, stretch.opener)
                }
            }
        }
        for (id, bytes) in loose.joined() { try writer.store(id, bytes) }
    }

    /// Waits for what was stored chunk by chunk.
    func finish() throws { try writer.drain() }

    private func stretches(_ pack: PackID, _ frames: [FrameLocation]) throws -> [Stretch] {
        let list = try contents(pack)
        var stretches: [Stretch] = []
        for frame in frames {
            let chunks = list.chunks[frame.number] ?? []
            for chunk in chunks { handed.insert(chunk.id.words.0) }
            if let last = stretches.last?.frames.last?.place, last.number + 1 == frame.number,
                let first = stretches.last?.frames.first?.place,
                frame.offset + UInt64(frame.storedLength) - first.offset <= Self.stretchLength
            {
                stretches[stretches.count - 1].frames.append((frame, chunks))
            } else {
                stretches.append(
                    Stretch(pack: pack, opener: list.opener, frames: [(frame, chunks)]))
            }
        }
        return stretches
    }

    private func contents(_ pack: PackID) throws -> SourcePack {
        if let known = packs[pack] { return known }
        let contents = try waitBlocking { [source] in
            let key = PackLayout.objectKey(pack)
            guard let size = try await source.store.size(key) else { throw ObjectMissing(key) }
            return try await source.packs.contents(of: pack, size: size)
        }
        if packs.count >= Self.packsKept { packs.removeAll() }
        let list = SourcePack(
            opener: try source.packs.opener(pack, epoch: contents.epoch),
            chunks: Dictionary(grouping: contents.chunks) {
                contents.frames[Int($0.frame)].number
            })
        packs[pack] = list
        return list
    }
}

/// What is done to each frame, on any thread.
private struct FrameCopyingWork: Sendable {
    var packs: PackReader
    var namer: ChunkNamer
    var index: any ChunkIndex
    var session: WriteSession
    var progress: @Sendable (ByteCount) -> Void

    /// - Returns: Chunks that are to be stored by themselves.
    func copy(
        _ frames: [(place: FrameLocation, chunks: [PackContents.Entry])], _ sealed: Data,
        _ opener: FrameOpener
    ) throws -> [(ChunkID, [UInt8])] {
        let decompressor = FrameDecompressor()
        var loose: [(ChunkID, [UInt8])] = []
        for (place, chunks) in frames {
            let start = Int(place.offset - frames[0].place.offset)
            let payload = try sealed.withUnsafeBytes {
                try opener.layout.openFrame(
                    place.number,
                    UnsafeRawBufferPointer(
                        rebasing: $0[start..<(start + Int(place.storedLength))]))
            }
            let plain = try opener.expand(payload, of: place, with: decompressor)
            try verify(chunks, in: plain, opener)
            let isKnown = try index.contains(chunks.map(\.id))
            let length = zip(chunks, isKnown).reduce(0) { $0 + ($1.1 ? 0 : Int($1.0.length)) }
            if length * 2 >= plain.count, chunks.count <= FrameBuilder.maximumChunks,
                let encoding = FrameEncoding(rawValue: place.encoding)
            {
                try session.storeFrame(
                    payload, plainLength: plain.count, encoding: encoding,
                    chunks: chunks.map { ($0.id, $0.length) })
            } else {
                for (chunk, isKnown) in zip(chunks, isKnown) where !isKnown {
                    loose.append((chunk.id, Array(Self.bytes(chunk, plain))))
                }
            }
            progress(ByteCount(UInt64(length)))
        }
        return loose
    }

    /// A chunk that is not what its name says is not copied, nor is anything that stands beside it.
    private func verify(
        _ chunks: [PackContents.Entry], in plain: FrameBytes, _ opener: FrameOpener
    ) throws {
        for chunk in chunks {
            let isInside = Int(chunk.offset) + Int(chunk.length) <= plain.count
            guard isInside,
                namer.name(Self.bytes(chunk, plain), role: .data) == chunk.id
                    || namer.name(Self.bytes(chunk, plain), role: .node) == chunk.id
            else {
                throw FormatError(
                    "pack \(opener.layout.pack)",
                    "chunk \(chunk.id.short) is not what its name says")
            }
        }
    }

    private static func bytes(
        _ chunk: PackContents.Entry, _ plain: FrameBytes
    ) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            rebasing: plain.bytes[Int(chunk.offset)..<(Int(chunk.offset) + Int(chunk.length))])
    }
}
