import Engine
import FoundationEssentials
import Model
import Repository
import Synchronization
import TestSupport
import Testing

/// Keeps what must never repeat - names of packs, salts of records - and forgets the rest.
private final class SealCollector: ObjectStore {
    private struct State {
        var salts: Set<Data> = []
        var records = 0
        var packs: Set<ObjectKey> = []
        var packPuts = 0
        var last: [String: Data] = [:]
    }
    private let state = Mutex(State())

    var place: String { "a collector" }
    var counts: (records: Int, salts: Int, packPuts: Int, packs: Int) {
        state.withLock { ($0.records, $0.salts.count, $0.packPuts, $0.packs.count) }
    }

    func put(_ key: ObjectKey, _ parts: [Data]) async throws {
        let whole = parts.reduce(into: Data()) { $0.append($1) }
        let kind = key.path.split(separator: "/").first.map(String.init) ?? ""
        state.withLock { state in
            state.last[kind == "config" || kind == "keys" ? key.path : kind] = whole
            if kind == "packs" {
                state.packPuts += 1
                state.packs.insert(key)
            } else if whole.starts(with: Data("dr-rec".utf8)) {
                state.records += 1
                state.salts.insert(Data(whole[8..<40]))
            }
        }
    }

    func get(_ key: ObjectKey, _ range: ObjectRange) async throws -> Data {
        let kind = key.path.split(separator: "/").first.map(String.init) ?? ""
        guard let data = state.withLock({ $0.last[key.path] ?? $0.last[kind] }) else {
            throw ObjectMissing(key)
        }
        return data
    }

    func size(_ key: ObjectKey) async throws -> UInt64? { nil }
    func list(_ prefix: String) async throws -> [StoredObject] { [] }
    func delete(_ key: ObjectKey) async throws {}
    func now() async throws -> Timestamp { Timestamp(nanoseconds: 0) }
}

/// One key and one nonce are never used twice. A pack's key comes from its random name, and its
/// nonces from the frames' numbers; a record's key from its random salt.
@Suite struct SealUniquenessTests {
    private func record() -> SnapshotRecord {
        SnapshotRecord(
            id: .random(), workload: WorkloadID(text: "a/files:a"), service: "a", kind: .files,
            host: "host", run: .random(), asOf: Timestamp(nanoseconds: 0))
    }

    @Test("No salt of a record repeats", .timeLimit(.minutes(20)))
    func records() async throws {
        let count = TestEnvironment.isFull ? 1_000_000 : 10_000
        let store = SealCollector()
        let repository = try await BackupRepository.create(
            in: store, credential: .key([UInt8](repeating: 1, count: 32)), label: "test")
        // Equal plaintexts, sealed by several threads.
        let same = record()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<(count / 4) {
                        // Another thread's may be what is read back.
                        do { try await repository.put(same) } catch is Failure {}
                    }
                }
            }
            try await group.waitForAll()
        }
        let counts = store.counts
        print("\(counts.records) records sealed, \(counts.salts) salts")
        #expect(counts.records == count && counts.salts == count)
    }

    @Test("No pack's name repeats, and no frame's number in a pack", .timeLimit(.minutes(20)))
    func packs() async throws {
        let sessions = TestEnvironment.isFull ? 10_000 : 100
        let store = SealCollector()
        let repository = try await BackupRepository.create(
            in: store, credential: .key([UInt8](repeating: 1, count: 32)), label: "test")
        var frames = 0
        for _ in 0..<sessions {
            let index = MemoryChunkIndex()
            var options = WriteOptions(level: 1, workers: 2)
            options.packTarget = 2000
            let session = repository.makeWriteSession(index: index, options: options)
            let stored = try await BlockingPool.shared.run {
                defer { session.close() }
                // The same bytes in every session, as after a restart.
                for number in 0..<5 {
                    let writer = session.makeContentWriter()
                    writer.begin()
                    let bytes = [UInt8](repeating: UInt8(number), count: 3000)
                    try bytes.withUnsafeBytes { try writer.append($0) }
                    try writer.end()
                    try writer.drain()
                    if number % 2 == 0 { try session.flush() }
                }
                try session.flush()
                return session.storedPacks.count
            }
            frames += stored
        }
        let counts = store.counts
        print("\(counts.packPuts) packs of \(sessions) sessions, \(counts.packs) names")
        #expect(counts.packs == counts.packPuts && counts.packPuts == frames)
        // Within one pack the numbers are the frames' positions.
        let fixture = try await RepositoryFixture()
        var random = SeededRandom.announced()
        _ = try await fixture.write([random.bytes(12 << 20)])
        for (pack, size) in try await fixture.repository.listPacks() {
            let contents = try await fixture.repository.packs.contents(of: pack, size: size)
            #expect(contents.frames.map(\.number) == Array(0..<UInt32(contents.frames.count)))
        }
    }
}
