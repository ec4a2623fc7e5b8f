import Engine
import FoundationEssentials
import Model
import Repository
import RepositorySupport
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
        try await repository.store(contents, index: index, options: options, fixed: fixed)
    }

    /// Writes contents as part of a run; they are durable when this returns.
    static func write(_ contents: [[UInt8]], in run: WritingRun) async throws
        -> [ContentReference]
    {
        try await BlockingPool.shared.run { try run.session.store(contents) }
    }

    /// A run that writes into the repository; end it.
    func beginWriting() async throws -> WritingRun {
        try await repository.beginWriting(
            index: index, host: "host", processID: 1, timepiece: SystemTimepiece())
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
