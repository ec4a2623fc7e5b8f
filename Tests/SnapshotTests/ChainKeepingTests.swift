import Catalog
import Model
import Repository
import RepositorySupport
import Snapshot
import TestSupport
import Testing

/// What a machine says in its chain stays said.
@Suite struct ChainKeepingTests {
    @Test("A call of a dead process that is carried out late replaces nothing")
    func lateCall() async throws {
        try await TemporaryDirectory.with("chain") { scratch in
            let store = MemoryStore()
            let key = Credential.key([UInt8](repeating: 1, count: 32))
            let repository = try await BackupRepository.create(
                in: store, credential: key, label: "test")
            let catalog = try await Catalog.open(
                at: scratch.path("state"), repository: repository.id)
            @Sendable func append(
                to repository: BackupRepository, _ added: SnapshotID, _ removed: [SnapshotID] = []
            ) async throws {
                let at = try await store.now()
                try await ChainKeeping(repository: repository, catalog: catalog).append(
                    run: RunRecord(
                        purpose: .backup, host: "host", processID: 1, version: "0", started: at),
                    at: at, added: [added], removed: removed)
            }
            let first: [SnapshotID] = [.random(), .random(), .random()]
            try await append(to: repository, first[0])
            // Its record is on its way when it dies.
            let gate = StoreGate()
            let dying = try await BackupRepository.open(
                in: FaultyStore(
                    store,
                    [
                        StoreRule(.hold(gate), on: .put, "writers"),
                        StoreRule(.crashBefore, on: .get, "writers"),
                    ]), credential: key)
            let dead = Task { try await append(to: dying, first[1]) }
            gate.awaitWaiting(1)
            try await append(to: repository, first[2], [first[0]])
            gate.open()
            _ = await dead.result
            let chains = try await repository.readChains(known: try await catalog.chainHeads())
            #expect(chains.findings.isEmpty)
            #expect(chains.removed == [first[0]])
            #expect(chains.expected == [first[1], first[2]])
            // From then on it goes on as ever, with one more writer and no third.
            try await append(to: repository, .random())
            #expect(try await repository.chainLengths().count == 2)
        }
    }
}
