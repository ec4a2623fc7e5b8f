import CLinux
import Engine
import Glibc
public import Model
public import Repository
public import Workloads

/// Gives a snapshot's parts back from the repository.
public final class RepositoryReplaySource: ReplaySource {
    public let snapshot: SnapshotRecord
    private let repository: BackupRepository
    let index: any ChunkIndex
    private let advance: @Sendable (ByteCount) -> Void

    /// - Parameter advance: Told the bytes that were written, now and then, from any thread.
    public init(
        snapshot: SnapshotRecord, repository: BackupRepository, index: any ChunkIndex,
        advance: @escaping @Sendable (ByteCount) -> Void = { _ in }
    ) {
        self.snapshot = snapshot
        self.repository = repository
        self.index = index
        self.advance = advance
    }

    public func document(_ part: String) async throws -> [UInt8] {
        let content = try self.part(part, [.document, .stream]).content
        return try await blocking { source, _ in
            try source.reader(8 << 20).bytes(content, limit: 64 << 20)
        }
    }

    public func stream(_ part: String, to descriptor: Int32) async throws -> UInt64 {
        try await write(try self.part(part, [.document, .stream, .disk]).content, to: descriptor)
    }

    /// Writes a content of the snapshot to `descriptor` from beginning to end, verified as it goes:
    /// a part, or a file of a tree.
    ///
    /// Holes are written as zeros, except into a regular file that was empty.
    ///
    /// - Returns: The number of bytes.
    public func write(_ content: ContentReference, to descriptor: Int32) async throws -> UInt64 {
        try await blocking { source, check in
            let output = ContentOutput(descriptor)
            try source.reader(32 << 20).stream(content) { bytes, length in
                try check()
                try output.write(bytes, length)
                source.advance(ByteCount(length))
            }
            try output.finish()
            return content.length
        }
    }

    public func tree(_ part: String, to path: String, options: TreeReplayOptions) async throws
        -> TreeReplaySummary
    {
        let content = try self.part(part, [.tree]).content
        return try await blocking { source, check in
            let storage = source.repository.makeStorageOrderReader(index: source.index)
            defer { storage.close() }
            let replay = try TreeReplay(
                reader: source.reader(32 << 20), storage: storage, target: path, options: options,
                advance: source.advance)
            return try replay.replay(content, cancelled: check)
        }
    }

    public func read(_ part: String, into receiver: any PieceReceiver) async throws -> UInt64 {
        let content = try self.part(part, [.document, .stream, .disk]).content
        return try await blocking { source, check in
            try source.reader(32 << 20).stream(content) { bytes, length in
                try check()
                if let bytes {
                    try receiver.receive(bytes)
                } else {
                    try receiver.receiveZeros(length)
                }
                source.advance(ByteCount(length))
            }
            return content.length
        }
    }

    public func archive(_ part: String, called name: String, to descriptor: Int32) async throws
        -> TreeReplaySummary
    {
        let part = try self.part(part, [.tree])
        return try await blocking { source, check in
            let written = try withoutBrokenPipeSignal {
                try TreeExport(repository: source.repository, index: source.index).write(
                    [TreeExport.Item(SnapshotPlace(part: part), prefix: Array(name.utf8))],
                    asOf: source.snapshot.asOf, to: descriptor, advance: source.advance,
                    cancelled: check)
            }
            var summary = TreeReplaySummary()
            summary.files = written.files
            summary.entries = written.entries
            summary.bytes = written.bytes
            summary.problems = written.problems
            summary.damaged = written.problems.count
            return summary
        }
    }

    private func part(_ name: String, _ kinds: [PartKind]) throws -> SnapshotPart {
        guard let part = snapshot.part(name),
            kinds.contains(part.kind) || (kinds.contains(.stream) && !part.kind.isKnown)
        else {
            throw Failure(
                .damaged, "snapshot \(snapshot.id.short) has no part '\(name)' of that kind",
                hint: "list its parts with 'dr ls \(snapshot.id.short)'", side: .repository)
        }
        return part
    }

    func reader(_ cache: UInt64) -> ChunkReader {
        repository.makeReader(index: index, cache: ByteCount(cache))
    }

    /// Runs `body` on a blocking thread; its check throws when the task was cancelled.
    func blocking<Value: Sendable>(
        _ body:
            @escaping @Sendable (
                _ source: RepositoryReplaySource, _ check: @escaping @Sendable () throws -> Void
            ) throws -> Value
    ) async throws -> Value {
        try await BlockingPool.shared.runCancellable { check in
            try damageAsFailure { try body(self, check) }
        }
    }
}
