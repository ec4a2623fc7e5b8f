import Engine
import FoundationEssentials
import Model
import Repository
import RepositorySupport
import TestSupport
import Testing

/// A repository with snapshots of streams whose bytes are known.
struct UpkeepWorld: Sendable {
    static let credential = Credential.key([UInt8](repeating: 1, count: 32))

    var store: any ObjectStore
    var repository: BackupRepository
    var index: any ChunkIndex
    /// What each snapshot must give back.
    var truth: [SnapshotID: [UInt8]] = [:]

    init(_ store: any ObjectStore = MemoryStore()) async throws {
        self.store = store
        repository = try await BackupRepository.create(
            in: store, credential: Self.credential, label: "test")
        index = MemoryChunkIndex()
    }

    /// The same snapshots in another store, as another machine sees them.
    func moved(to store: any ObjectStore) async throws -> UpkeepWorld {
        var other = self
        other.store = store
        other.repository = try await BackupRepository.open(in: store, credential: Self.credential)
        other.index = MemoryChunkIndex()
        return other
    }

    /// Stores bytes as a snapshot of one stream.
    @discardableResult
    mutating func save(
        _ bytes: [UInt8], _ service: ServiceName = "site", night: Int = 0,
        options: WriteOptions = WriteOptions()
    ) async throws -> SnapshotID {
        let content = try await repository.store(bytes, index: index, options: options)
        let record = SnapshotRecord.ofStream(
            content, service: service, asOf: Timestamp(seconds: night * 86400, nanoseconds: 0))
        try await repository.put(record)
        truth[record.id] = bytes
        return record.id
    }

    mutating func remove(_ snapshot: SnapshotID) async throws {
        try await repository.remove(snapshot)
        truth[snapshot] = nil
    }

    /// Plans and carries out a prune.
    @discardableResult
    func prune(_ options: PruneOptions = PruneOptions()) async throws -> PruneResult {
        let plan = try await repository.prunePlan(index: index, options: options)
        return try await repository.prune(plan, index: index)
    }

    /// Everything is there and as it was, also for a machine that knows nothing yet.
    func expectWhole(_ place: SourceLocation = #_sourceLocation) async throws {
        let fresh = MemoryChunkIndex()
        _ = try await repository.refresh(fresh)
        let report = try await repository.check(index: fresh, options: CheckOptions(readData: true))
        #expect(report.findings.isEmpty, "\(report.findings.prefix(3))", sourceLocation: place)
        #expect(try await repository.listSnapshots() == Set(truth.keys), sourceLocation: place)
        for (id, bytes) in truth {
            let content = try await repository.snapshot(id).parts[0].content
            for index in [index, fresh] as [any ChunkIndex] {
                let reader = repository
                let back = try await BlockingPool.shared.run {
                    try reader.makeReader(index: index).bytes(content, limit: 1 << 30)
                }
                #expect(back == bytes, "snapshot \(id.short) differs", sourceLocation: place)
            }
        }
    }
}

extension SeededRandom {
    /// Replaces a share of the pieces of 64 KiB of `bytes`.
    mutating func change(_ bytes: inout [UInt8], share: Double) {
        for start in stride(from: 0, to: bytes.count, by: 65536)
        where Double.random(in: 0..<1, using: &self) < share {
            let end = min(start + 65536, bytes.count)
            bytes.replaceSubrange(start..<end, with: self.bytes(end - start))
        }
    }
}
