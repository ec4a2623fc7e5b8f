import Engine
import FoundationEssentials
import Model
import Repository
import RepositorySupport
import Synchronization
import TestSupport

/// What really happened, which no process can see.
final class Truth: Sendable {
    struct State {
        /// Contents of each snapshot that anybody tried to write, part by part.
        var contents: [SnapshotID: [[UInt8]]] = [:]
        /// Snapshots that somebody was told are saved.
        var acknowledged: Set<SnapshotID> = []
        /// Snapshots whose removal has begun.
        var forgotten: Set<SnapshotID> = []
        /// What should never be.
        var wrong: [String] = []
        var finished: [Purpose: Int] = [:]
        var failed: [Purpose: Int] = [:]
        /// Runs that got into another's way, said so, and may be repeated.
        var transient = 0
    }
    let state = Mutex(State())
    /// Marks errors that the simulation made.
    static let injected = "injected"

    func wrong(_ text: String) { state.withLock { $0.wrong.append(text) } }

    /// Whether an error may come up in this weather.
    func judge(_ error: any Error, of purpose: Purpose, in weather: Simulation.Weather) {
        if error is StoreCrash || weather == .hostile { return }
        let failure = error as? Failure
        if failure?.cause == Self.injected { return }
        if let failure, failure.isTransient, failure.code != .damaged {
            state.withLock { $0.transient += 1 }
            return
        }
        wrong("\(purpose) fails: \(error)")
    }
}

/// A machine: what of it survives a crash, and what it does.
final class SimulatedHost: Sendable {
    /// What the machine keeps on its own disk.
    struct Memory {
        var writer: WriterID
        var heads: [ChainHead] = []
        /// How an append ended is not known.
        var isAppending = false
        var known: [SnapshotID: SnapshotRecord] = [:]
        /// Generations of the index in which snapshots were whole.
        var whole: [SnapshotID: UInt64] = [:]
    }

    /// Contents that all machines have pieces of.
    struct Source: Sendable {
        var blobs: [[UInt8]]
    }

    let name: String
    let index = MemoryChunkIndex()
    let memory: Mutex<Memory>
    private let source: Source
    private let truth: Truth
    private let random: Mutex<SeededRandom>
    /// Says of a session whose it is, where a process that is gone has no requests under way.
    private let owner: String?
    static let credential = Credential.key([UInt8](repeating: 1, count: 32))

    init(_ name: String, source: Source, truth: Truth, seed: UInt64, hasOwner: Bool) {
        self.name = name
        owner = hasOwner ? name : nil
        self.source = source
        self.truth = truth
        var random = SeededRandom(seed: seed)
        memory = Mutex(Memory(writer: Self.identifier(&random)))
        self.random = Mutex(random)
    }

    static func identifier<Kind>(_ random: inout SeededRandom) -> Identifier<Kind> {
        Identifier(words: (random.next(), random.next(), random.next(), random.next()))
    }

    func pick(_ range: Range<Int>) -> Int {
        random.withLock { Int.random(in: range, using: &$0) }
    }
    private func newName<Kind>() -> Identifier<Kind> { random.withLock { Self.identifier(&$0) } }

    private var options: WriteOptions {
        var options = WriteOptions(level: 1, workers: 1)
        let seed = random.withLock { $0.next() }
        let names = Mutex(SeededRandom(seed: seed))
        options.makePackID = { names.withLock { Self.identifier(&$0) } }
        return options
    }

    /// Does one thing as one process, from its start to its end.
    func run(_ purpose: Purpose, _ store: SimulatedStore) async throws {
        let repository = try await BackupRepository.open(in: store, credential: Self.credential)
        switch purpose {
        case .backup: try await backup(repository, store)
        case .forget: try await forget(repository, store)
        case .prune: try await prune(repository, store)
        case .check:
            // Now and then on a machine that has never been here.
            let index = pick(0..<3) == 0 ? MemoryChunkIndex() : index
            let report = try await repository.check(
                index: index, options: CheckOptions(readData: pick(0..<2) == 0),
                known: memory.withLock { $0.heads })
            if !report.findings.isEmpty || !report.affected.isEmpty {
                throw Failure(.damaged, "\(report.findings) \(report.affected)")
            }
        case .restore: try await restore(repository)
        }
    }

    private func bringUpToDate(_ repository: BackupRepository) async throws {
        let listed = try await repository.listSnapshots()
        let unknown = memory.withLock { memory in
            memory.known = memory.known.filter { listed.contains($0.key) }
            return listed.filter { memory.known[$0] == nil }
        }
        for id in unknown.sorted() {
            do {
                let record = try await repository.snapshot(id)
                memory.withLock { $0.known[id] = record }
            } catch is ObjectMissing {
                continue
            }
        }
    }

    private func appendToChain(
        _ repository: BackupRepository, added: [SnapshotID], removed: [SnapshotID] = []
    ) async throws {
        memory.withLock { memory in
            if memory.isAppending { memory.writer = newName() }
            memory.isAppending = true
        }
        for _ in 0..<3 {
            let (writer, known) = memory.withLock { ($0.writer, $0.heads) }
            if let heads = try await repository.appendToChain(
                writer: writer, run: newName(), host: name, at: Timestamp(nanoseconds: 0),
                added: added, removed: removed, known: known)
            {
                return memory.withLock { memory in
                    memory.heads = heads
                    memory.isAppending = false
                }
            }
            memory.withLock { $0.writer = newName() }
        }
        throw Failure(.failed, "the run cannot be recorded", side: .repository)
    }

    /// As the command does it.
    private func prune(_ repository: BackupRepository, _ store: SimulatedStore) async throws {
        let lease = try await repository.beginSession(
            host: name, processID: 1, timepiece: store.timepiece, owner: owner, usesReserve: true)
        do {
            var choice = PruneOptions()
            choice.manySmallPacks = 4
            let plan = try await repository.prunePlan(index: index, options: choice)
            _ = try await repository.prune(
                plan, index: index, options: options, lease: lease, owner: owner)
        } catch {
            await lease.end()
            throw error
        }
        await lease.end()
    }

    // MARK: Writing

    private func backup(_ repository: BackupRepository, _ store: SimulatedStore) async throws {
        try await bringUpToDate(repository)
        let previous = memory.withLock {
            $0.known.values.max { ($0.asOf, $0.id) < ($1.asOf, $1.id) }
        }
        let run = try await repository.beginWriting(
            index: index, options: options, host: name, processID: 1, timepiece: store.timepiece,
            owner: owner)
        var saved: [SnapshotID] = []
        do {
            for _ in 0..<pick(1..<4) {
                let generation = try index.generation()
                let record = try await capture(repository, run, previous, store)
                store.setCommitting(true)
                try await run.commit(record)
                store.setCommitting(false)
                truth.state.withLock { _ = $0.acknowledged.insert(record.id) }
                store.world.note("acknowledged \(record.id.short)")
                memory.withLock { memory in
                    memory.known[record.id] = record
                    memory.whole[record.id] = generation
                }
                saved.append(record.id)
            }
            try await appendToChain(repository, added: saved)
        } catch {
            if !saved.isEmpty { try? await appendToChain(repository, added: saved) }
            await run.end(error)
            throw error
        }
        await run.end()
    }

    /// A snapshot of a few parts: some new, some as they were in the previous snapshot.
    private func capture(
        _ repository: BackupRepository, _ run: WritingRun, _ previous: SnapshotRecord?,
        _ store: SimulatedStore
    ) async throws -> SnapshotRecord {
        var record = SnapshotRecord(
            id: newName(), workload: WorkloadID(text: "\(name)/files:files"), service: "files",
            kind: .files, host: name, run: newName(), asOf: store.world.clock)
        var contents: [[UInt8]] = []
        var parts: [SnapshotPart] = []
        func add(_ content: ContentReference, _ bytes: [UInt8]) {
            parts.append(
                SnapshotPart(
                    name: "part \(parts.count)", kind: .stream, content: content,
                    bytes: ByteCount(content.length)))
            contents.append(bytes)
        }
        if let previous, let known = truth.state.withLock({ $0.contents[previous.id] }),
            pick(0..<2) == 0
        {
            let generation = memory.withLock { $0.whole[previous.id] }
            if try await run.holds(previous, known: generation) {
                for (part, bytes) in zip(previous.parts, known) where pick(0..<3) > 0 {
                    add(part.content, bytes)
                }
            }
        }
        let new = (0..<pick(parts.isEmpty ? 1..<4 : 0..<3)).map { _ in
            source.blobs[pick(0..<source.blobs.count)]
        }
        let references = try await BlockingPool.shared.run { try run.session.store(new) }
        for (reference, bytes) in zip(references, new) { add(reference, bytes) }
        record.parts = parts
        truth.state.withLock { [contents, id = record.id] in $0.contents[id] = contents }
        return record
    }

    private func forget(_ repository: BackupRepository, _ store: SimulatedStore) async throws {
        try await bringUpToDate(repository)
        // Nobody removes what is just being written.
        let saved = truth.state.withLock { $0.acknowledged }
        let all = memory.withLock { $0.known.keys.filter { saved.contains($0) }.sorted() }
        guard all.count > 1 else { return }
        let chosen = Set((0..<pick(1..<4)).map { _ in all[pick(0..<all.count)] }).sorted()
        truth.state.withLock { $0.forgotten.formUnion(chosen) }
        store.world.note("forgets \(chosen.map(\.short))")
        try await appendToChain(repository, added: [], removed: chosen)
        for id in chosen {
            try await repository.remove(id)
            memory.withLock { $0.known[id] = nil }
        }
    }

    // MARK: Reading

    private func restore(_ repository: BackupRepository) async throws {
        let index = pick(0..<4) == 0 ? MemoryChunkIndex() : index
        let listed = try await repository.listSnapshots()
        let candidates = truth.state.withLock { state in
            listed.filter { state.contents[$0] != nil && !state.forgotten.contains($0) }.sorted()
        }
        guard !candidates.isEmpty else { return }
        let id = candidates[pick(0..<candidates.count)]
        do {
            try await Self.restore(id, repository, index, truth)
        } catch {
            // What somebody removes meanwhile need not come back.
            if truth.state.withLock({ $0.forgotten.contains(id) }) { return }
            // A writer that was not told that it is saved may have taken it back.
            if !truth.state.withLock({ $0.acknowledged.contains(id) }) { return }
            throw error
        }
    }

    /// Reads all of a snapshot and compares it with what was written.
    static func restore(
        _ id: SnapshotID, _ repository: BackupRepository, _ index: any ChunkIndex, _ truth: Truth
    ) async throws {
        let record = try await repository.snapshot(id)
        let back = try await BlockingPool.shared.run {
            let reader = repository.makeReader(index: index)
            return try record.parts.map { try reader.bytes($0.content, limit: 1 << 20) }
        }
        if back != truth.state.withLock({ $0.contents[id] }) {
            truth.wrong("\(id.short) came back with other bytes, and no error")
        }
    }
}
