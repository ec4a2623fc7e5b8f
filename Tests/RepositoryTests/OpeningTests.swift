import FoundationEssentials
import Model
import Repository
import Testing

@Suite struct OpeningTests {
    private let key = Credential.key([UInt8](repeating: 1, count: 32))

    private func failure(_ body: () async throws -> Void) async -> Failure? {
        do {
            try await body()
            return nil
        } catch {
            return error as? Failure
        }
    }

    @Test func aPasswordOpensWhatItClosed() async throws {
        let store = MemoryStore()
        let made = try await BackupRepository.create(
            in: store, credential: .password("correct horse"), label: "test", scryptCost: 1024)
        let opened = try await BackupRepository.open(
            in: store, credential: .password("correct horse"))
        #expect(opened.id == made.id)
    }

    @Test func theWrongPasswordIsRefused() async throws {
        let store = MemoryStore()
        _ = try await BackupRepository.create(
            in: store, credential: .password("correct horse"), label: "test", scryptCost: 1024)
        let objects = try await store.list("").count
        let failure = await failure {
            _ = try await BackupRepository.open(in: store, credential: .password("battery staple"))
        }
        #expect(failure?.code == .wrongKey)
        #expect(failure?.message == "the password does not open the repository at memory")
        #expect(try await store.list("").count == objects)
    }

    @Test func nothingThereIsNotAnEmptyRepository() async throws {
        let failure = await failure {
            _ = try await BackupRepository.open(in: MemoryStore(), credential: key)
        }
        #expect(failure?.code == .noRepository)
        #expect(failure?.message == "there is no repository at memory")
    }

    @Test func aSecondRepositoryIsNotMadeOverTheFirst() async throws {
        let store = MemoryStore()
        let first = try await BackupRepository.create(in: store, credential: key, label: "test")
        let failure = await failure {
            _ = try await BackupRepository.create(in: store, credential: key, label: "test")
        }
        #expect(failure?.message == "there is a repository at memory already")
        #expect(try await BackupRepository.open(in: store, credential: key).id == first.id)
    }

    @Test func aNewerFormatAndAnUnknownFeatureAreRefused() async throws {
        let store = MemoryStore()
        let made = try await BackupRepository.create(in: store, credential: key, label: "test")
        let config = ObjectKey("config")
        try await store.put(
            config, [Data(#"{"format": 2, "repository": "\#(made.id)", "shape": []}"#.utf8)])
        var refused = await failure {
            _ = try await BackupRepository.open(in: store, credential: key)
        }
        #expect(refused?.code == .unsupportedRepository)
        let one =
            #"{"format": 1, "repository": "\#(made.id)", "features": ["holographic"], "#
            + #""created": "2026-11-22T03:00:00Z"}"#
        try await store.put(config, [Data(one.utf8)])
        refused = await failure {
            _ = try await BackupRepository.open(in: store, credential: key)
        }
        #expect(refused?.code == .unsupportedRepository)
        #expect(refused?.message.contains("'holographic'") == true)
    }

    @Test func aListingWithoutKeySlotsIsNotAWrongPassword() async throws {
        let store = MemoryStore()
        _ = try await BackupRepository.create(in: store, credential: key, label: "test")
        for slot in try await store.list("keys") { try await store.delete(slot.key) }
        let failure = await failure {
            _ = try await BackupRepository.open(in: store, credential: key)
        }
        #expect(failure?.code == .damaged)
    }
}
