import Engine
import FoundationEssentials
import Model
import Repository
import RepositorySupport
import TestSupport
import Testing

/// A repository that is made for copies of another.
@Suite struct CopySecretTests {
    private func fixture(copyOf original: BackupRepository?, _ password: UInt8) async throws
        -> (BackupRepository, MemoryStore)
    {
        let store = MemoryStore()
        let repository = try await BackupRepository.create(
            in: store, credential: .key([UInt8](repeating: password, count: 32)), label: "test",
            copyOf: original)
        return (repository, store)
    }

    @Test func equalContentHasEqualNamesAndCutsAndNothingElseIsShared() async throws {
        var random = SeededRandom.announced()
        let (original, _) = try await fixture(copyOf: nil, 1)
        let (copy, copyStore) = try await fixture(copyOf: original, 2)
        let (foreign, _) = try await fixture(copyOf: nil, 3)
        #expect(copy.id != original.id)
        #expect(copy.namesChunksLike(original) && !foreign.namesChunksLike(original))
        let bytes = random.bytes(3 << 20)
        let one = try await original.store(bytes)
        #expect(try await copy.store(bytes) == one)
        let other = try await foreign.store(bytes)
        #expect(other != one)
        #expect(Set(other.references.map(\.id)).isDisjoint(with: one.references.map(\.id)))

        // A pack of the copy does not open with the original's keys, even under its own name.
        for object in try await copyStore.list("packs") {
            try await original.store.put(
                object.key, [try await copyStore.get(object.key, .whole)])
        }
        let change = try await original.refresh(MemoryChunkIndex())
        #expect(change.learned == 1 && change.unreadable.count == 1)
        // Nor does one's password open the other.
        let failure = await #expect(throws: Failure.self) {
            try await BackupRepository.open(
                in: copyStore, credential: .key([UInt8](repeating: 1, count: 32)))
        }
        #expect(failure?.code == .wrongKey)
    }
}
