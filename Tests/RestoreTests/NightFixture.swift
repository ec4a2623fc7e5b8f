import Catalog
import Engine
import Model
import Repository
import Restore
import Snapshot
import TestSupport
import Workloads

/// A repository in memory with nights and incidents around it, for trees of this machine.
struct NightFixture {
    let scratch: TemporaryDirectory
    let store: MemoryStore
    let repository: BackupRepository
    let index = MemoryChunkIndex()
    let catalog: Catalog
    let clock: ManualTimepiece

    /// - Parameter wall: The time of day of the first night.
    init(
        in scratch: TemporaryDirectory,
        wall: Timestamp = Timestamp(rfc3339: "2040-01-01T00:00:00Z")
            ?? Timestamp(nanoseconds: 0)
    ) async throws {
        self.scratch = scratch
        store = MemoryStore()
        repository = try await BackupRepository.create(
            in: store, credential: .key([UInt8](repeating: 1, count: 32)), label: "test")
        catalog = try await Catalog.open(at: scratch.path("catalog"), repository: repository.id)
        clock = ManualTimepiece(wall: wall)
    }

    /// Captures paths as the service `site`, an hour after the night before.
    func backup(_ paths: String..., options: WriteOptions = WriteOptions()) async throws
        -> SnapshotRecord
    {
        try await backup(
            Service(name: "site", workloads: [.files(FilesSpecification(paths: paths))]),
            with: FilesDriver(), options: options)
    }

    /// Captures the one workload of a service, an hour after the night before.
    func backup(
        _ service: Service, with driver: any WorkloadDriver, options: WriteOptions = WriteOptions()
    ) async throws -> SnapshotRecord {
        let run = BackupRun(
            BackupRun.Parts(
                repository: repository, index: index, catalog: catalog,
                driverFor: { _ in driver },
                context: WorkloadContext(secrets: NoSecrets()), timepiece: clock, host: "test",
                version: "test"), options: options)
        let summary = try await run.run([service])
        clock.advance(by: TimeSpan(seconds: 3600))
        if let failure = summary.items.first?.failure { throw failure }
        guard let id = summary.items.first?.snapshot else {
            throw Failure(.failed, "no snapshot was written")
        }
        return try await repository.snapshot(id)
    }

    func source(_ snapshot: SnapshotRecord) -> RepositoryReplaySource {
        RepositoryReplaySource(snapshot: snapshot, repository: repository, index: index)
    }

    /// Brings a tree of a snapshot back.
    @discardableResult
    func restore(
        _ snapshot: SnapshotRecord, part: String = "tree/0", to target: String,
        options: TreeReplayOptions = TreeReplayOptions()
    ) async throws -> TreeReplaySummary {
        try await source(snapshot).tree(part, to: target, options: options)
    }

    /// Writes the snapshot's first part to `descriptor` as an archive.
    func export(_ snapshot: SnapshotRecord, to descriptor: Int32) throws -> ExportSummary {
        try TreeExport(repository: repository, index: index).write(
            [TreeExport.Item(SnapshotPlace(part: snapshot.parts[0]))], asOf: snapshot.asOf,
            to: descriptor)
    }

    /// Writes a snapshot whose tree is made of these very entries, whatever they say.
    func snapshot(of entries: [TreeEntry]) async throws -> SnapshotRecord {
        let content = try await write { writer in
            var encoder = TreeEncoder()
            writer.begin()
            for entry in entries {
                encoder.append(entry)
                try encoder.flush { try writer.append($0) }
            }
            try writer.end()
        }
        var record = SnapshotRecord(
            id: .random(), workload: WorkloadID(text: "site/files:files"), service: "site",
            kind: .files, host: "test", run: .random(), asOf: clock.wall)
        record.parts = [
            SnapshotPart(
                name: "tree/0", kind: .tree, content: content, bytes: ByteCount(content.length),
                entries: UInt64(entries.count), attributes: ["path": "/srv/www"])
        ]
        try await repository.put(record)
        return record
    }

    /// Writes one content.
    func write(_ body: @escaping @Sendable (ContentWriter) throws -> Void) async throws
        -> ContentReference
    {
        let session = repository.makeWriteSession(index: index)
        return try await BlockingPool.shared.run {
            defer { session.close() }
            let writer = session.makeContentWriter()
            try body(writer)
            try writer.drain()
            try session.flush()
            guard let content = try writer.takeFinished().first else {
                throw Failure(.failed, "no content was written")
            }
            return content
        }
    }

    func content(_ bytes: [UInt8]) async throws -> ContentReference {
        try await write { writer in
            writer.begin()
            try bytes.withUnsafeBytes { try writer.append($0) }
            try writer.end()
        }
    }
}
