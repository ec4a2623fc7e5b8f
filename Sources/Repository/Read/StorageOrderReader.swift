import Engine
import FoundationEssentials
public import Model

/// A chunk that is wanted, and what for.
public struct WantedChunk: Sendable {
    public var id: ChunkID
    /// Bytes of plaintext.
    public var length: UInt32
    /// The caller's own number for the place that it goes to.
    public var token: Int

    public init(id: ChunkID, length: UInt32, token: Int) {
        self.id = id
        self.length = length
        self.token = token
    }
}

/// Takes chunks as they come out of the packs; called on several threads at once.
public protocol ChunkReceiver: AnyObject, Sendable {
    /// A verified chunk. What this throws counts as the failure of that one chunk.
    func receive(_ bytes: UnsafeRawBufferPointer, token: Int) throws
    /// A chunk that cannot be had. Each wanted chunk is received or failed exactly once.
    func failed(_ token: Int, _ error: any Error)
}

/// Reads many chunks in the order in which they are stored: each run of frames is fetched once, each
/// frame opened once, on several threads. Calls block.
public final class StorageOrderReader: Sendable {
    private struct Job: Sendable {
        var pack: PackID
        /// Frames that follow one another closely, in storage order.
        var frames: [FrameLocation]
        /// What is wanted of each of them, by offset.
        var wanted: [[(offset: UInt32, chunk: WantedChunk)]]
        var receiver: any ChunkReceiver
        var window: Window
    }

    /// Chunks asked for together.
    public final class Window: Sendable {
        private let left: Monitor<Int>
        fileprivate init(jobs: Int) { left = Monitor(jobs) }
        fileprivate func jobDone() { left.update { $0 -= 1 } }
        /// Waits until every chunk was received or failed.
        public func wait() { left.wait { $0 == 0 ? () : nil } }
    }

    private struct Queue {
        var jobs: [Job] = []
        var head = 0
        var stopping = false
    }

    /// Sealed bytes fetched at once, at most.
    private static let runLength: UInt64 = 4 << 20
    /// A gap of unwanted frames smaller than this is read over rather than skipped.
    private static let gap: UInt64 = 256 << 10

    private let packs: PackReader
    private let index: any ChunkIndex
    private let namer: ChunkNamer
    private let currentEpoch: UInt32
    private let relearn: IndexRelearning
    private let queue = Monitor(Queue())
    private let threads: Monitor<[WorkerThread.Handle]> = Monitor([])

    init(
        packs: PackReader, index: any ChunkIndex, namer: ChunkNamer, currentEpoch: UInt32,
        workers: Int, relearn: IndexRelearning
    ) {
        self.relearn = relearn
        self.packs = packs
        self.index = index
        self.namer = namer
        self.currentEpoch = currentEpoch
        threads.update { threads in
            for number in 0..<workers {
                threads.append(WorkerThread.start(name: "dr-open-\(number)") { [self] in work() })
            }
        }
    }

    /// Ends the threads after what was asked for.
    public func close() {
        queue.update { $0.stopping = true }
        for thread in threads.update({
            let all = $0; $0 = []; return all
        }) { thread.join() }
    }

    /// Begins to read `chunks`; returns before they have come.
    public func read(_ chunks: [WantedChunk], into receiver: any ChunkReceiver) throws -> Window {
        let found = try places(of: chunks, receiver)
        let jobs = Self.jobs(found)
        let window = Window(jobs: jobs.count)
        queue.update { queue in
            for job in jobs {
                queue.jobs.append(
                    Job(
                        pack: job.pack, frames: job.frames, wanted: job.wanted,
                        receiver: receiver, window: window))
            }
        }
        return window
    }

    /// Places of chunks in storage order; those that have none are failed.
    private func places(of chunks: [WantedChunk], _ receiver: any ChunkReceiver) throws
        -> [(place: ChunkLocation, chunk: WantedChunk)]
    {
        var places = try index.locate(chunks.map(\.id))
        if places.contains(where: { $0 == nil }), try relearn.again() {
            places = try index.locate(chunks.map(\.id))
        }
        var found: [(place: ChunkLocation, chunk: WantedChunk)] = []
        found.reserveCapacity(chunks.count)
        for (place, chunk) in zip(places, chunks) {
            if let place {
                found.append((place, chunk))
            } else {
                receiver.failed(
                    chunk.token, FormatError("chunk \(chunk.id.short)", "it is in no pack"))
            }
        }
        found.sort {
            ($0.place.pack, $0.place.frame.number, $0.place.offset)
                < ($1.place.pack, $1.place.frame.number, $1.place.offset)
        }
        return found
    }

    private typealias Plan = (
        pack: PackID, frames: [FrameLocation], wanted: [[(offset: UInt32, chunk: WantedChunk)]]
    )

    private static func jobs(_ found: [(place: ChunkLocation, chunk: WantedChunk)]) -> [Plan] {
        var jobs: [Plan] = []
        for (place, chunk) in found {
            if var job = jobs.last, job.pack == place.pack, let last = job.frames.last {
                if last.number == place.frame.number {
                    jobs[jobs.count - 1].wanted[job.wanted.count - 1].append((place.offset, chunk))
                    continue
                }
                let end = place.frame.offset + UInt64(place.frame.storedLength)
                let lastEnd = last.offset + UInt64(last.storedLength)
                if end - job.frames[0].offset <= runLength, place.frame.offset - lastEnd <= gap {
                    job.frames.append(place.frame)
                    job.wanted.append([(place.offset, chunk)])
                    jobs[jobs.count - 1] = job
                    continue
                }
            }
            jobs.append((place.pack, [place.frame], [[(place.offset, chunk)]]))
        }
        return jobs
    }

    private func work() {
        let decompressor = FrameDecompressor()
        while let job = nextJob() {
            carryOut(job, decompressor, mayRelearn: true)
            job.window.jobDone()
        }
    }

    private func nextJob() -> Job? {
        let next: Job?? = queue.wait { queue -> Job?? in
            guard queue.head < queue.jobs.count else {
                queue.jobs.removeAll(keepingCapacity: true)
                queue.head = 0
                return queue.stopping ? .some(nil) : nil
            }
            queue.head += 1
            return queue.jobs[queue.head - 1]
        }
        return next ?? nil
    }

    private func carryOut(_ job: Job, _ decompressor: FrameDecompressor, mayRelearn: Bool) {
        let sealed: Data
        let opener: FrameOpener
        do {
            sealed = try waitBlocking { [packs] in
                try await packs.sealedFrames(
                    job.pack, from: job.frames[0], through: job.frames[job.frames.count - 1])
            }
            opener = try packs.opener(job.pack, epoch: epoch(of: job.pack))
        } catch is ObjectMissing where mayRelearn {
            return carryOutElsewhere(job, decompressor)
        } catch {
            for (_, chunk) in job.wanted.joined() { job.receiver.failed(chunk.token, error) }
            return
        }
        for (frame, wanted) in zip(job.frames, job.wanted) {
            do {
                let start = Int(frame.offset - job.frames[0].offset)
                let plain = try sealed.withUnsafeBytes {
                    try packs.open(
                        frame,
                        UnsafeRawBufferPointer(
                            rebasing: $0[start..<(start + Int(frame.storedLength))]),
                        opener, with: decompressor)
                }
                deliver(wanted, plain, job)
            } catch {
                for (_, chunk) in wanted { job.receiver.failed(chunk.token, error) }
            }
        }
    }

    /// The pack was pruned since the index was brought up to date: what is needed is elsewhere.
    private func carryOutElsewhere(_ job: Job, _ decompressor: FrameDecompressor) {
        let chunks = job.wanted.joined().map(\.chunk)
        do {
            _ = try relearn.again()
            for other in Self.jobs(try places(of: chunks, job.receiver)) {
                carryOut(
                    Job(
                        pack: other.pack, frames: other.frames, wanted: other.wanted,
                        receiver: job.receiver, window: job.window),
                    decompressor, mayRelearn: false)
            }
        } catch {
            for chunk in chunks { job.receiver.failed(chunk.token, error) }
        }
    }

    private func deliver(
        _ wanted: [(offset: UInt32, chunk: WantedChunk)], _ plain: FrameBytes, _ job: Job
    ) {
        var verified: ChunkID?
        for (offset, chunk) in wanted {
            do {
                let start = Int(offset)
                guard start + Int(chunk.length) <= plain.count else {
                    throw FormatError("pack \(job.pack)", "chunk \(chunk.id.short) is cut short")
                }
                let bytes = UnsafeRawBufferPointer(
                    rebasing: plain.bytes[start..<(start + Int(chunk.length))])
                if verified != chunk.id {
                    guard namer.name(bytes, role: .data) == chunk.id else {
                        throw FormatError(
                            "pack \(job.pack)", "chunk \(chunk.id.short) is not what its name says")
                    }
                    verified = chunk.id
                }
                try job.receiver.receive(bytes, token: chunk.token)
            } catch {
                job.receiver.failed(chunk.token, error)
            }
        }
    }

    private func epoch(of pack: PackID) throws -> UInt32 {
        if currentEpoch == 1 { return 1 }
        return try waitBlocking { [packs] in try await packs.epoch(of: pack) }
    }
}

extension BackupRepository {
    /// A reader in storage order, on `workers` threads; close it.
    ///
    /// Without a number there is one a core, and where fetching is a journey some more.
    public func makeStorageOrderReader(index: any ChunkIndex, workers: Int? = nil)
        -> StorageOrderReader
    {
        StorageOrderReader(
            packs: packs, index: index, namer: ChunkNamer(secret: secrets.naming),
            currentEpoch: secrets.currentEpoch,
            workers: workers ?? max(processorCount(), store.isRemote ? 8 : 1),
            relearn: IndexRelearning(repository: self, index: index))
    }
}
