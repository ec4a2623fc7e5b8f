import CLinux
public import Catalog
public import Engine
import FoundationEssentials
import Glibc
public import Model
public import Repository

/// What a run of `dr copy` came to, for one copy.
public struct CopyResult: Sendable, Codable, Hashable {
    /// As the configuration calls it.
    public var name: String
    /// For people; holds no secret.
    public var place: String
    public var at: Timestamp
    /// Snapshots that were copied now.
    public var copied: [SnapshotID] = []
    /// Snapshots that could not be copied, with the reason.
    public var failed: [String: String] = [:]
    /// Snapshots of the original that the copy holds now.
    public var held = 0
    /// Snapshots that the copy has forgotten by itself: they are not copied again.
    public var forgotten = 0
    /// Bytes that were added to the copy.
    public var stored = ByteCount(0)
    /// The newest moment that the copy can bring back.
    public var newest: Timestamp?
    /// What it holds of each workload of this machine's services; nil from programs before 0.2.
    public var workloads: [PlacedWorkload]?

    public init(name: String, place: String, at: Timestamp) {
        self.name = name
        self.place = place
        self.at = at
    }
}

/// Brings a copy of a repository up to date.
///
/// Only ever adds: neither damage nor the removal of snapshots is passed on. What an earlier run had
/// stored when it was cut off is used. Snapshots that the copy forgot by its own retention stay
/// forgotten.
public struct Copying: Sendable {
    /// A repository with what this machine knows of it.
    public struct Side: Sendable {
        public var repository: BackupRepository
        public var catalog: Catalog
        public var index: any ChunkIndex

        public init(repository: BackupRepository, catalog: Catalog, index: any ChunkIndex) {
            self.repository = repository
            self.catalog = catalog
            self.index = index
        }
    }

    private let source: Side
    private let target: Side
    private let timepiece: any Timepiece
    private let host: String
    private let version: String

    public init(
        from source: Side, to target: Side, timepiece: any Timepiece, host: String, version: String
    ) {
        self.source = source
        self.target = target
        self.timepiece = timepiece
        self.host = host
        self.version = version
    }

    /// Names of the snapshots that the copy lacks and should have.
    public func missing() async throws -> (missing: Set<SnapshotID>, forgotten: Int) {
        let chains = try await target.repository.readChains(
            known: try await target.catalog.chainHeads())
        let there = try await target.repository.listSnapshots()
        let lacking = try await source.repository.listSnapshots().subtracting(there)
        return (
            lacking.subtracting(chains.removed), lacking.intersection(chains.removed).count
        )
    }

    /// Copies what the copy lacks, the newest first.
    ///
    /// - Parameters:
    ///   - services: What the copy holds of them is told, and locked for longer where it has locks.
    ///   - progress: Told how many snapshots are done, of how many, and bytes of plaintext.
    /// - Throws: What keeps all of it from being copied; a damaged snapshot does not.
    public func carryOut(
        name: String, services: Set<ServiceName> = [], options: WriteOptions = WriteOptions(),
        progress: @escaping @Sendable (_ done: Int, _ total: Int, _ bytes: ByteCount) -> Void
    ) async throws -> CopyResult {
        guard source.repository.id != target.repository.id else {
            throw Failure(
                .usage, "\(target.repository.store.place) is the repository itself, not a copy",
                hint: "name another place for the copy")
        }
        guard target.repository.namesChunksLike(source.repository) else {
            throw Failure(
                .usage,
                "the repository at \(target.repository.store.place) was not made for copies of"
                    + " this one",
                hint: "make a new one with dr init --copy \(name)", side: .repository)
        }
        var result = CopyResult(
            name: name, place: target.repository.store.place, at: timepiece.wall)
        let (missing, forgotten) = try await missing()
        result.forgotten = forgotten
        let record = RunRecord(
            purpose: .copy, host: host, processID: getpid(), version: version,
            started: result.at)
        let run = try await target.repository.beginWriting(
            index: target.index, options: options, host: host, processID: getpid(),
            timepiece: timepiece, owner: try await SessionOwner.current(target.catalog))
        do {
            try await copy(missing, run, &result, progress)
            try await enter(record, services, &result)
        } catch {
            // What was copied until then is there, and is entered by the next run at the latest.
            try? await enter(record, [], &result)
            await run.end(error)
            throw error
        }
        result.stored = run.session.totals.stored
        await run.end()
        return result
    }

    private func copy(
        _ missing: Set<SnapshotID>, _ run: WritingRun, _ result: inout CopyResult,
        _ progress: @escaping @Sendable (Int, Int, ByteCount) -> Void
    ) async throws {
        var records: [SnapshotRecord] = []
        for id in missing.sorted() {
            do {
                records.append(try await source.repository.snapshot(id))
            } catch let error as FormatError {
                result.failed["\(id)"] = error.description
            } catch is ObjectMissing {
                continue
            }
        }
        records.sort { ($0.asOf, $0.id) > ($1.asOf, $1.id) }
        let (counter, total) = (Counter(), records.count)
        for (number, record) in records.enumerated() {
            try Task.checkCancellation()
            progress(number, total, counter.bytes)
            let copying = SnapshotCopying(
                from: source.repository, index: source.index, to: target.repository, run: run
            ) { bytes in progress(number, total, counter.add(bytes)) }
            do {
                try await attempt(copying, record)
                result.copied.append(record.id)
                try await target.catalog.record(snapshots: [record])
            } catch let error as FormatError {
                result.failed["\(record.id)"] = error.description
            } catch let failure as Failure where failure.code == .damaged {
                result.failed["\(record.id)"] = failure.description
            }
        }
        progress(total, total, counter.bytes)
    }

    /// A prune may move chunks, or the snapshot go, while it is copied: the second look tells.
    private func attempt(_ copying: SnapshotCopying, _ record: SnapshotRecord) async throws {
        do {
            return try await copying.copy(record)
        } catch let error where error is FormatError || error is ObjectMissing {
            _ = try await source.repository.refresh(source.index)
        } catch let failure as Failure where failure.code == .damaged {
            _ = try await source.repository.refresh(source.index)
        }
        do {
            try await copying.copy(record)
        } catch let missing as ObjectMissing {
            throw FormatError(missing.key.path, "it is missing")
        }
    }

    /// Enters what was copied into the chain of this machine there, and what an earlier run that was
    /// cut off left out.
    private func enter(
        _ record: RunRecord, _ services: Set<ServiceName>, _ result: inout CopyResult
    ) async throws {
        let listed = try await target.repository.listSnapshots()
        let chains = try await target.repository.readChains(
            known: try await target.catalog.chainHeads())
        let own = try await source.repository.listSnapshots()
        let unknown = listed.intersection(own).subtracting(chains.expected)
            .subtracting(chains.removed)
        if !unknown.isEmpty {
            try await ChainKeeping(repository: target.repository, catalog: target.catalog)
                .append(run: record, at: timepiece.wall, added: unknown.sorted())
        }
        result.held = listed.intersection(own).count
        result.newest = try await target.catalog.snapshots().filter { listed.contains($0.id) }
            .map(\.asOf).max()
        result.workloads = try await target.keepPlaced(services, among: listed).workloads
    }
}

/// Bytes that several threads count.
private final class Counter: Sendable {
    private let count = Monitor(ByteCount(0))

    var bytes: ByteCount { count.update { $0 } }

    func add(_ bytes: ByteCount) -> ByteCount {
        count.update {
            $0 += bytes
            return $0
        }
    }
}
