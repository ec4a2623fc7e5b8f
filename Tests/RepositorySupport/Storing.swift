public import Model
public import Repository
import Engine

extension WriteSession {
    /// Stores contents, cut as streams or as a disk; durable on return. Blocks.
    public func store(_ contents: [[UInt8]], fixed: Bool = false) throws -> [ContentReference] {
        let writer = makeContentWriter()
        var references: [ContentReference] = []
        for content in contents {
            writer.begin(fixed ? .blocks : .standard)
            try content.withUnsafeBytes { try writer.append($0) }
            try writer.end()
            references += try writer.takeFinished()
        }
        try writer.drain()
        references += try writer.takeFinished()
        try flush()
        return references
    }
}

extension BackupRepository {
    /// Stores contents in a session of their own; durable on return.
    public func store(
        _ contents: [[UInt8]], index: any ChunkIndex = MemoryChunkIndex(),
        options: WriteOptions = WriteOptions(), fixed: Bool = false
    ) async throws -> [ContentReference] {
        let session = makeWriteSession(index: index, options: options)
        return try await BlockingPool.shared.run {
            defer { session.close() }
            return try session.store(contents, fixed: fixed)
        }
    }

    /// Stores one content in a session of its own; durable on return.
    public func store(
        _ bytes: [UInt8], index: any ChunkIndex = MemoryChunkIndex(),
        options: WriteOptions = WriteOptions()
    ) async throws -> ContentReference {
        try await store([bytes], index: index, options: options)[0]
    }
}

extension SnapshotRecord {
    /// A snapshot of one stream.
    public static func ofStream(
        _ content: ContentReference, service: ServiceName = "site",
        asOf: Timestamp = Timestamp(nanoseconds: 0)
    ) -> SnapshotRecord {
        var record = SnapshotRecord(
            id: .random(), workload: WorkloadID(service: service, kind: .files, name: "files"),
            service: service, kind: .files, host: "host", run: .random(), asOf: asOf)
        record.parts = [
            SnapshotPart(
                name: "part", kind: .stream, content: content, bytes: ByteCount(content.length))
        ]
        return record
    }
}
