import Crypto
import Engine
import FoundationEssentials
import Model
import Repository
import RepositorySupport
import TestSupport
import Testing

/// Ways into a repository: adding, removing, renewing, and being cut off while doing so.
@Suite struct KeyTests {
    private static let cost = 1024
    private let old = Credential.password("correct horse")
    private let new = Credential.password("battery staple")
    private let key = Credential.key([UInt8](repeating: 7, count: 32))

    private func made() async throws -> (store: MemoryStore, repository: BackupRepository) {
        let store = MemoryStore()
        let repository = try await BackupRepository.create(
            in: store, credential: old, label: "first", scryptCost: Self.cost)
        return (store, repository)
    }

    private func opens(_ store: any ObjectStore, _ credential: Credential) async -> Bool {
        (try? await BackupRepository.open(in: store, credential: credential)) != nil
    }

    private func write(_ bytes: [UInt8], to repository: BackupRepository) async throws
        -> ContentReference
    {
        let index = MemoryChunkIndex()
        _ = try await repository.refresh(index)
        return try await repository.store(bytes, index: index)
    }

    private func read(_ content: ContentReference, from repository: BackupRepository) async throws
        -> [UInt8]
    {
        let index = MemoryChunkIndex()
        let change = try await repository.refresh(index)
        if let reason = change.unreadable.values.first { throw Failure(.damaged, reason) }
        return try await BlockingPool.shared.run {
            try repository.makeReader(index: index).bytes(content, limit: 1 << 30)
        }
    }

    @Test func everySlotOpensAndIsListed() async throws {
        let (store, repository) = try await made()
        let password = try await repository.addKeySlot(
            new, label: "laptop", scryptCost: Self.cost)
        let random = try await repository.addKeySlot(key, label: "server")
        for credential in [old, new, key] { #expect(await opens(store, credential)) }
        #expect(await !opens(store, .password("wrong")))
        #expect(await !opens(store, .key([UInt8](repeating: 8, count: 32))))
        let slots = try await repository.keySlots()
        #expect(slots.map(\.label) == ["first", "laptop", "server"])
        #expect(slots.map(\.kind) == ["password", "password", "key"])
        #expect(slots.map(\.isUsed) == [true, false, false])
        #expect(slots.allSatisfy { $0.isGenuine && !$0.isDamaged })
        #expect(slots[1].id == password && slots[2].id == random)
    }

    @Test func theLastOneAndTheOneInUseStay() async throws {
        let (store, repository) = try await made()
        let first = try #require(try await repository.keySlots().first?.id)
        var failure = await #expect(throws: Failure.self) {
            try await repository.removeKeySlot(first, force: true)
        }
        #expect(failure?.message.contains("is the last one") == true)
        _ = try await repository.addKeySlot(new, label: "second", scryptCost: Self.cost)
        failure = await #expect(throws: Failure.self) {
            try await repository.removeKeySlot(first)
        }
        #expect(failure?.message.contains("is the one that opened") == true)
        let other = try await BackupRepository.open(in: store, credential: new)
        try await other.removeKeySlot(first)
        #expect(await !opens(store, old))
        #expect(await opens(store, new))
        // What somebody else put there is no other way in.
        let foreign = try KeySlot.wrap(
            .generate(for: repository.id), under: key, label: "x",
            created: Timestamp(nanoseconds: 0))
        try await store.put(foreign.objectKey, [Data(try StableJSON.encode(foreign))])
        let left = try #require(
            try await other.keySlots().first { $0.isUsed }?.id)
        await #expect(throws: Failure.self) { try await other.removeKeySlot(left, force: true) }
    }

    @Test func aRenewedDataKeyIsForEverySlotThatIsLeft() async throws {
        var random = SeededRandom.announced()
        let (store, repository) = try await made()
        let leaving = Credential.password("somebody who leaves")
        let gone = try await repository.addKeySlot(leaving, label: "x", scryptCost: Self.cost)
        _ = try await repository.addKeySlot(new, label: "stays", scryptCost: Self.cost)
        _ = try await repository.addKeySlot(key, label: "machine")
        let before = random.bytes(300_000)
        let oldContent = try await write(before, to: repository)
        let kept = try await store.get(ObjectKey("keys/\(gone)"), .whole)

        try await repository.removeKeySlot(gone)
        let epoch = try await repository.renewDataKey()
        #expect(epoch > 1 << 16)
        let after = random.bytes(300_000)
        let newContent = try await write(
            after, to: try await BackupRepository.open(in: store, credential: new))
        // Nobody had to type the other passwords.
        for credential in [old, new, key] {
            let opened = try await BackupRepository.open(in: store, credential: credential)
            #expect(try await opened.dataKeys().map(\.epoch) == [1, epoch])
            #expect(try await read(oldContent, from: opened) == before)
            #expect(try await read(newContent, from: opened) == after)
        }
        // Who kept a copy of the removed slot gets no further than to what was there.
        try await store.put(ObjectKey("keys/\(gone)"), [kept])
        let failure = await #expect(throws: Failure.self) {
            try await BackupRepository.open(in: store, credential: leaving)
        }
        #expect(failure?.code == .wrongKey)
        // A slot that is added later has all data keys in it.
        let opened = try await BackupRepository.open(in: store, credential: new)
        try await store.delete(ObjectKey("keys/\(gone)"))
        let late = Credential.password("who comes later")
        _ = try await opened.addKeySlot(late, label: "late", scryptCost: Self.cost)
        let second = try await opened.renewDataKey()
        let all = try await BackupRepository.open(in: store, credential: late)
        #expect(try await all.dataKeys().map(\.epoch) == [1, epoch, second])
        #expect(try await read(newContent, from: all) == after)
    }

    @Test func aPublicKeyThatSomebodyPutThereGetsNothing() async throws {
        let (store, repository) = try await made()
        _ = try await repository.addKeySlot(new, label: "second", scryptCost: Self.cost)
        // The store swaps in a public key of its own.
        let stranger = Curve25519.KeyAgreement.PrivateKey().publicKey.rawRepresentation
        let id = try #require(try await repository.keySlots().last?.id)
        let place = ObjectKey("keys/\(id)")
        var slot = try StableJSON.decode(
            KeySlot.self, from: try await store.get(place, .whole))
        slot.publicKey = Hexadecimal.encode(stranger)
        slot.sum = nil
        try await store.put(place, [Data(try StableJSON.encode(slot))])
        #expect(try await repository.keySlots().last?.isGenuine == false)
        let epoch = try await repository.renewDataKey()
        let name = String(epoch, radix: 16)
        let object = ObjectKey(
            "keys/epochs/\(String(repeating: "0", count: 8 - name.count))\(name)")
        let text = String(
            decoding: try await store.get(object, .whole), as: UTF8.self)
        #expect(!text.contains(id))
    }

    @Test func damageIsNotAWrongPassword() async throws {
        var random = SeededRandom.announced()
        let (store, repository) = try await made()
        _ = try await repository.renewDataKey()
        var tried = 0
        for object in try await store.list("keys")
            + store.list("").filter({
                $0.key == ObjectKey("config")
            })
        {
            let good = try await store.get(object.key, .whole)
            for _ in 0..<40 {
                var bad = good
                let place = Int.random(in: 0..<bad.count, using: &random)
                bad[place] ^= UInt8(1) << UInt8.random(in: 0...7, using: &random)
                try await store.put(object.key, [bad])
                tried += 1
                do {
                    let opened = try await BackupRepository.open(in: store, credential: old)
                    // What it is for people may change; who it is may not.
                    #expect(opened.id == repository.id)
                } catch let failure as Failure {
                    #expect(
                        [.damaged, .unsupportedRepository].contains(failure.code),
                        "\(object.key): \(failure)")
                }
            }
            try await store.put(object.key, [good])
        }
        print("\(tried) flips in keys and config")
        #expect(await opens(store, old))
    }

    @Test(arguments: [false, true])
    func cutOffAnywhereOneOfThePasswordsOpens(appliesLast: Bool) async throws {
        let (original, _) = try await made()
        var tried = 0
        for changes in 0..<20 {
            let store = try await original.copy()
            let cut = CuttingStore(store, after: changes, appliesLast: appliesLast)
            // Changes the password and renews the data key.
            do {
                let repository = try await BackupRepository.open(in: cut, credential: old)
                _ = try await repository.addKeySlot(new, label: "new", scryptCost: Self.cost)
                let first = try #require(try await repository.keySlots().first { $0.isUsed }?.id)
                try await repository.removeKeySlot(first, force: true)
                _ = try await repository.renewDataKey()
            } catch is CuttingStore.Cut {}
            tried += 1
            var isOpen = false
            for credential in [old, new] {
                guard
                    let opened = try? await BackupRepository.open(in: store, credential: credential)
                else { continue }
                isOpen = true
                let content = try await write([1, 2, 3], to: opened)
                #expect(try await read(content, from: opened) == [1, 2, 3])
            }
            #expect(isOpen, "neither password opens, cut off after \(changes) changes")
            if !cut.isCut { break }
        }
        print("cut off at \(tried) places")
        #expect(tried == 4)
    }

    @Test func oldPacksCanBeWrittenAnew() async throws {
        var random = SeededRandom.announced()
        var world = try await UpkeepWorld()
        try await world.save(random.bytes(1 << 20))
        try await world.save(random.bytes(1 << 20), "other")
        _ = try await world.repository.renewDataKey()
        world = try await world.moved(to: world.store)
        try await world.save(random.bytes(1 << 20), "third")
        var options = PruneOptions()
        options.rewriteOldKeys = true
        let plan = try await world.repository.prunePlan(index: world.index, options: options)
        #expect(plan.rewrites.map(\.reason) == [.oldKey, .oldKey])
        _ = try await world.repository.prune(plan, index: world.index)
        #expect(
            try await world.repository.prunePlan(index: world.index, options: options).rewrites
                .isEmpty)
        try await world.expectWhole()
    }

    @Test func aDataKeyThatDisappearsIsMissed() async throws {
        let (store, repository) = try await made()
        let epoch = try await repository.renewDataKey()
        let renewed = try await BackupRepository.open(in: store, credential: old)
        _ = try await renewed.appendToChain(
            writer: .random(), run: .random(), host: "host", at: Timestamp(nanoseconds: 0),
            added: [], removed: [], known: [])
        #expect(try await renewed.check(index: MemoryChunkIndex()).findings.isEmpty)
        for object in try await store.list("keys/epochs") { try await store.delete(object.key) }
        let stale = try await BackupRepository.open(in: store, credential: old)
        let report = try await stale.check(index: MemoryChunkIndex())
        #expect(report.findings.map(\.reason).contains { $0.contains("\(epoch)") })
    }
}
