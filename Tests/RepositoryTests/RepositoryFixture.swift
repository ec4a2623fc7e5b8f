import Engine
import FoundationEssentials
import Model
import Repository
import Testing

/// A repository in memory, with what is needed to write contents into it and read them back.
struct RepositoryFixture: Sendable {
    let store: MemoryStore
    let repository: BackupRepository
    let index: MemoryChunkIndex

    init(store: MemoryStore = MemoryStore()) async throws {
        self.store = store
        repository = try await BackupRepository.create(
            in: store, credential: .key([UInt8](repeating: 1, count: 32)), label: "test")
        index = MemoryChunkIndex()
    }

    /// Writes contents in one session; they are durable when this returns.
    func write(_ contents: [[UInt8]], options: WriteOptions = WriteOptions(), fixed: Bool = false)
        async throws -> [ContentReference]
    {
        let session = repository.makeWriteSession(index: index, options: options)
        return try await BlockingPool.shared.run {
            defer { session.close() }
            let writer = session.makeContentWriter()
            var references: [ContentReference] = []
            for content in contents {
                writer.begin(fixed: fixed)
                try content.withUnsafeBytes { try writer.append($0) }
                try writer.end()
                references += try writer.takeFinished()
            }
            try writer.drain()
            references += try writer.takeFinished()
            try session.flush()
            return references
        }
    }

    /// All bytes of a content.
    func read(_ content: ContentReference) async throws -> [UInt8] {
        let reader = repository
        let index = index
        return try await BlockingPool.shared.run {
            try reader.makeReader(index: index).bytes(content, limit: 1 << 30)
        }
    }

    /// Bytes of all objects below `prefix`.
    func storedBytes(_ prefix: String = "packs") async throws -> UInt64 {
        try await store.list(prefix).reduce(0) { $0 + $1.size }
    }
}

/// Bytes of some variety that compress a little.
func randomText(_ count: Int, using random: inout some RandomNumberGenerator) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: 97...112, using: &random) }
}
