import Engine
import FoundationEssentials
public import Model
import Synchronization

/// How a session writes.
public struct WriteOptions: Sendable {
    /// zstd's level, 1 to 19.
    public var level: Int
    /// Threads that name, compress and seal; 0 for one a core.
    public var workers: Int
    /// Packs that are stored at once, each in memory as a whole; nil for what the store needs.
    public var packsInFlight: Int?
    /// Length at which a pack is full, in bytes.
    public var packTarget: Int
    /// Names packs: at random, but in a simulation that must run the same way again.
    public var makePackID: @Sendable () -> PackID = { .random() }
    /// Damages memory, in tests.
    public var memoryFault: MemoryFault?

    public init(level: Int = 3, workers: Int = 0, packsInFlight: Int? = nil) {
        self.level = level
        self.workers = workers
        self.packsInFlight = packsInFlight
        packTarget = PackLayout.targetLength
    }
}

/// Turns contents into chunks, frames and packs, on threads of its own.
///
/// One run of `dr` has one session; each capture has ``ContentWriter``s of it. What a session has
/// written may be referred to after ``flush()`` has returned, not before. All calls block: make them
/// on a thread, not on the cooperative pool.
public final class WriteSession: Sendable {
    private struct Queue {
        var batches: [Batch] = []
        var running = 0
        var paused = 0
        var stopping = false
        /// A flush has taken frames that are in no pack yet.
        var isSealing = false
        /// Frames that are not full, not being worked on.
        var builders: [FrameBuilder] = []
    }

    let namer: ChunkNamer
    private let standardCutter: ContentCutter
    private let fineCutter: ContentCutter
    let workers: Int
    private let options: WriteOptions
    private let index: any ChunkIndex
    private let assembler: PackAssembler
    private let claimed = ClaimedChunks()
    private let queue = Monitor(Queue())
    private let threads = Mutex<[WorkerThread.Handle]>([])
    private let newBytes = Atomic<UInt64>(0)

    init(
        secrets: MasterSecrets, store: any ObjectStore, index: any ChunkIndex,
        options: WriteOptions
    ) {
        self.options = options
        self.index = index
        namer = ChunkNamer(secret: secrets.naming)
        let table = GearTable(secret: secrets.chunker)
        standardCutter = ContentCutter(table: table)
        fineCutter = ContentCutter(table: table, parameters: .fine)
        workers = options.workers > 0 ? options.workers : processorCount()
        assembler = PackAssembler(
            secrets: secrets, store: store, index: index,
            limit: options.packsInFlight ?? (store.isRemote ? 3 : 2),
            target: options.packTarget, makePackID: options.makePackID)
        threads.withLock { threads in
            for number in 0..<workers {
                threads.append(WorkerThread.start(name: "dr-seal-\(number)") { [self] in work() })
            }
        }
    }

    /// Bytes of plaintext that were new, and bytes of packs stored for them, in this session.
    public var totals: (new: ByteCount, stored: ByteCount) {
        (ByteCount(newBytes.load(ordering: .relaxed)), ByteCount(assembler.stored.bytes))
    }

    /// Whether something has failed after which nothing more can be stored.
    public var hasFailed: Bool { assembler.failure != nil }

    /// Packs that this session stored, with their sizes.
    public var storedPacks: [PackID: UInt64] { assembler.stored.packs }

    /// Nil for blocks, which every content has at the same places.
    func cutter(_ cut: ContentCut) -> ContentCutter? {
        switch cut {
        case .standard: standardCutter
        case .fine: fineCutter
        case .blocks: nil
        }
    }

    /// A writer of contents; used by one thread at a time.
    public func makeContentWriter() -> ContentWriter { ContentWriter(session: self) }

    /// Ends the session early; every later call throws `error`.
    public func cancel(_ error: any Error) {
        assembler.fail(error)
        queue.update { _ in }
    }

    /// Waits until everything handed over so far is durable and in the index.
    ///
    /// Every content writer must have drained before; others may go on meanwhile.
    public func flush() throws {
        queue.update { $0.paused += 1 }
        defer { queue.update { $0.paused -= 1 } }
        // What another flush has taken may hold chunks of this one's captures.
        let rest: [FrameBuilder] = queue.wait { queue in
            guard queue.running == 0, !queue.isSealing else { return nil }
            let rest = queue.builders
            queue.builders = []
            queue.isSealing = true
            return rest
        }
        do {
            defer { queue.update { $0.isSealing = false } }
            if rest.contains(where: { !$0.isEmpty }) {
                let sealer = try FrameSealer(
                    level: options.level, assembler: assembler, fault: options.memoryFault)
                for builder in rest where !builder.isEmpty { try sealer.seal(builder) }
            }
        } catch {
            // Others' chunks are lost with it, and its place in a pack stays empty for ever.
            assembler.fail(error)
            throw error
        }
        try assembler.flush()
    }

    /// Ends the threads. What was not flushed is given up.
    public func close() {
        queue.update { $0.stopping = true }
        for thread in threads.withLock({
            let all = $0; $0 = []; return all
        }) { thread.join() }
    }

    /// Why the session has failed, if it has.
    func checkFailure() throws { if let failure = assembler.failure { throw failure } }

    /// Stores a frame that was compressed before; sealed anew, and opened again before anything
    /// points at it.
    ///
    /// - Parameter payload: As it was under its old seal; its chunks have been verified.
    func storeFrame(
        _ payload: Data, plainLength: Int, encoding: FrameEncoding,
        chunks: [(id: ChunkID, length: UInt32)]
    ) throws {
        let slot = try assembler.reserve(
            payload.count + PackLayout.tagLength, chunks: chunks.count)
        do {
            try payload.withUnsafeBytes { try slot.layout.sealFrame(slot.number, $0) }
                .withUnsafeBytes {
                    slot.bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[12...]))
                }
            let again = try slot.layout.openFrame(
                slot.number, UnsafeRawBufferPointer(slot.bytes))
            guard again == payload else { throw FormatError("frame", "it has changed") }
        } catch {
            // Its place stays empty for ever.
            assembler.fail(error)
            throw error
        }
        assembler.deposit(slot, plainLength: plainLength, encoding: encoding, chunks: chunks)
    }

    // MARK: Between content writers and workers

    func submit(_ batch: Batch) { queue.update { $0.batches.append(batch) } }

    private func work() {
        let sealer: FrameSealer
        do {
            sealer = try FrameSealer(
                level: options.level, assembler: assembler, fault: options.memoryFault)
        } catch {
            assembler.fail(error)
            return
        }
        while let batch = nextBatch() {
            do {
                if assembler.failure == nil { try process(batch, sealer) }
            } catch {
                assembler.fail(error)
            }
            queue.update { $0.running -= 1 }
            batch.done.signal()
        }
    }

    private func nextBatch() -> Batch? {
        let next: Batch?? = queue.wait { queue -> Batch?? in
            if queue.stopping { return .some(nil) }
            guard queue.paused == 0, !queue.batches.isEmpty else { return nil }
            queue.running += 1
            return queue.batches.removeFirst()
        }
        return next ?? nil
    }

    private func process(_ batch: Batch, _ sealer: FrameSealer) throws {
        var ids: [ChunkID] = []
        var checksums: [UInt64] = []
        ids.reserveCapacity(batch.pieces.count + batch.nodes.count)
        checksums.reserveCapacity(ids.capacity)
        for number in batch.pieces.indices {
            let bytes = batch.bytes(of: batch.pieces[number])
            checksums.append(MemoryChecksum.of(bytes))
            batch.pieces[number].id = namer.name(bytes, role: .data)
            ids.append(batch.pieces[number].id)
        }
        for node in batch.nodes {
            checksums.append(node.bytes.withUnsafeBytes { MemoryChecksum.of($0) })
            ids.append(node.id)
        }
        if let fault = options.memoryFault { fault(.afterNaming, batch.buffer) }
        var isNew = try newOnes(of: ids)
        if batch.isForced {
            for number in batch.pieces.count..<ids.count { isNew[number] = true }
        }
        var builder: FrameBuilder?
        defer { if let builder { queue.update { $0.builders.append(builder) } } }
        func add(_ number: Int, _ bytes: UnsafeRawBufferPointer) throws {
            let current =
                builder ?? queue.update { $0.builders.popLast() } ?? FrameBuilder()
            builder = current
            current.append(ids[number], bytes, checksum: checksums[number])
            batch.newBytes += UInt64(bytes.count)
            if current.isFull { try sealer.seal(current) }
        }
        for number in ids.indices where isNew[number] {
            if number < batch.pieces.count {
                try add(number, batch.bytes(of: batch.pieces[number]))
            } else {
                try batch.nodes[number - batch.pieces.count].bytes.withUnsafeBytes {
                    try add(number, $0)
                }
            }
        }
        newBytes.add(batch.newBytes, ordering: .relaxed)
    }

    /// Which chunks neither this session nor the index has.
    private func newOnes(of ids: [ChunkID]) throws -> [Bool] {
        var isNew = claimed.claim(ids)
        let asked = isNew.indices.filter { isNew[$0] }
        guard !asked.isEmpty else { return isNew }
        let known = try index.contains(asked.map { ids[$0] })
        for (position, number) in asked.enumerated() where known[position] {
            isNew[number] = false
        }
        return isNew
    }
}
