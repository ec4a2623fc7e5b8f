import CLinux
import Engine
import Glibc
public import Model
public import Repository
import Synchronization
public import Workloads

/// Gives a snapshot's parts back from the repository.
public final class RepositoryReplaySource: ReplaySource {
    public let snapshot: SnapshotRecord
    private let repository: BackupRepository
    private let index: any ChunkIndex
    private let advance: @Sendable (ByteCount) -> Void
    private let cancelled = Atomic<Bool>(false)

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
        return try await blocking { source in
            try source.reader(8 << 20).bytes(content, limit: 64 << 20)
        }
    }

    public func stream(_ part: String, to descriptor: Int32) async throws -> UInt64 {
        let content = try self.part(part, [.document, .stream, .disk]).content
        return try await blocking { source in
            let zeros = [UInt8](repeating: 0, count: 1 << 16)
            try source.reader(32 << 20).stream(content) { bytes, length in
                try source.checkCancelled()
                if let bytes {
                    try Self.write(bytes, to: descriptor)
                } else {
                    var left = length
                    while left > 0 {
                        let count = Int(min(left, UInt64(zeros.count)))
                        try zeros.withUnsafeBytes {
                            try Self.write(
                                UnsafeRawBufferPointer(rebasing: $0[..<count]), to: descriptor)
                        }
                        left -= UInt64(count)
                    }
                }
                source.advance(ByteCount(length))
            }
            return content.length
        }
    }

    public func tree(_ part: String, to path: String, options: TreeReplayOptions) async throws
        -> TreeReplaySummary
    {
        let content = try self.part(part, [.tree]).content
        return try await blocking { source in
            let storage = source.repository.makeStorageOrderReader(index: source.index)
            defer { storage.close() }
            let replay = try TreeReplay(
                reader: source.reader(32 << 20), storage: storage, target: path, options: options,
                advance: source.advance)
            return try replay.replay(content) { try source.checkCancelled() }
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

    private func reader(_ cache: UInt64) -> ChunkReader {
        repository.makeReader(index: index, cache: ByteCount(cache))
    }

    private func checkCancelled() throws {
        if cancelled.load(ordering: .relaxed) { throw CancellationError() }
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count >= 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            } else if errno != EINTR {
                throw SystemError.last("write", "").failure(side: .target)
            }
        }
    }

    /// Runs `body` on a blocking thread; cancelling the task makes it stop at the next chunk.
    private func blocking<Value: Sendable>(
        _ body: @escaping @Sendable (RepositoryReplaySource) throws -> Value
    ) async throws -> Value {
        try await withTaskCancellationHandler {
            try Task.checkCancellation()
            return try await BlockingPool.shared.run {
                do {
                    return try body(self)
                } catch let error as FormatError {
                    throw error.failure
                } catch is ObjectMissing {
                    throw Failure(
                        .damaged, "a pack is missing from the repository",
                        hint: "run 'dr check' to see what is affected", side: .repository)
                }
            }
        } onCancel: {
            cancelled.store(true, ordering: .relaxed)
        }
    }
}
