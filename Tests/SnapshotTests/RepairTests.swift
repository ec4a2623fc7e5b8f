public import Catalog
import Engine
import FoundationEssentials
import Model
public import Repository
import RepositorySupport
import Snapshot
import TestSupport
import Testing

/// As the program has it: chunks are looked up in the catalog's table.
extension ChunkTable: ChunkIndex {}

/// Damage that is set aside, and what the next night makes whole again.
@Suite struct RepairTests {
    /// A repository with a catalog, and what its snapshots must give back.
    final class World {
        let store: MemoryStore
        let repository: BackupRepository
        let catalog: Catalog
        let index: ChunkTable
        var truth: [SnapshotID: [UInt8]] = [:]

        init(_ scratch: TemporaryDirectory) async throws {
            store = MemoryStore()
            repository = try await BackupRepository.create(
                in: store, credential: .key([UInt8](repeating: 1, count: 32)), label: "test")
            catalog = try await Catalog.open(at: scratch.path("state"), repository: repository.id)
            index = try ChunkTable(at: scratch.path("chunks.sqlite"))
        }

        @discardableResult
        func save(_ bytes: [UInt8], _ service: ServiceName = "site", at second: Int = 0)
            async throws -> SnapshotID
        {
            let content = try await repository.store(bytes, index: index)
            let record = SnapshotRecord.ofStream(
                content, service: service, asOf: Timestamp(seconds: second, nanoseconds: 0))
            try await repository.put(record)
            try await catalog.record(snapshot: record)
            try await ChainKeeping(repository: repository, catalog: catalog).append(
                run: RunRecord(
                    purpose: .backup, host: "host", processID: 1, version: "0",
                    started: record.asOf), at: record.asOf, added: [record.id])
            truth[record.id] = bytes
            return record.id
        }

        func check(readData: Bool = false) async throws -> CheckReport {
            try await repository.check(
                index: index, options: CheckOptions(readData: readData),
                known: try await catalog.chainHeads())
        }

        @discardableResult
        func repair(_ report: CheckReport) async throws -> SalvageResult {
            try await Repairing(
                repository: repository, catalog: catalog, index: index,
                timepiece: SystemTimepiece(), host: "host", version: "0"
            ).carryOut(report.repair)
        }

        func restore(_ id: SnapshotID) async throws -> [UInt8] {
            let content = try await repository.snapshot(id).parts[0].content
            return try await BlockingPool.shared.run { [repository, index] in
                try repository.makeReader(index: index).bytes(content, limit: 1 << 30)
            }
        }

        func damage(_ key: ObjectKey, at place: Int) async throws {
            var bytes = try await store.get(key, .whole)
            bytes[place] ^= 0x55
            try await store.put(key, [bytes])
        }

        func packs() async throws -> [StoredObject] {
            try await store.list("packs").sorted { $0.key < $1.key }
        }
    }

    private func with(_ body: (World) async throws -> Void) async throws {
        try await TemporaryDirectory.with("repair") { try await body(try await World($0)) }
    }

    @Test func aDamagedFrameCostsItsChunksAndTheNextBackupHealsThem() async throws {
        var random = SeededRandom.announced()
        try await with { world in
            let bytes = random.bytes(6 << 20)
            let first = try await world.save(bytes)
            let second = try await world.save(bytes + random.bytes(100_000), at: 10)
            let pack = try #require(try await world.packs().max { $0.size < $1.size })
            try await world.damage(pack.key, at: Int(pack.size) / 2)

            let report = try await world.check(readData: true)
            #expect(report.exitCode == .damaged)
            #expect(report.findings.map(\.object) == [pack.key.path])
            #expect(Set(report.affected.map(\.snapshot)) == [first, second])
            #expect(report.affected.allSatisfy { $0.service == "site" })

            let result = try await world.repair(report)
            #expect(result.packs == 1 && result.lostChunks > 0)
            #expect(result.savedChunks > 3 * result.lostChunks, "what was whole is saved")
            #expect(try await world.store.size(ObjectKey("damaged/\(pack.key)")) != nil)
            #expect(try await world.store.size(pack.key) == nil)
            let lost = try await world.check()
            #expect(lost.findings.count == result.lostChunks && lost.exitCode == .damaged)

            // The source still has the bytes: both old snapshots are whole again.
            let third = try await world.save(bytes, at: 20)
            #expect(try await world.check(readData: true).findings.isEmpty)
            for id in [first, second, third] {
                #expect(try await world.restore(id) == world.truth[id])
            }
        }
    }

    @Test(arguments: ["trailer", "cut", "gone", "end"])
    func aPackWithoutItsListIsSalvagedThroughSnapshots(_ kind: String) async throws {
        var random = SeededRandom.announced()
        try await with { world in
            let bytes = random.bytes(4 << 20)
            let id = try await world.save(bytes)
            let pack = try #require(try await world.packs().first)
            let whole = try await world.store.get(pack.key, .whole)
            switch kind {
            case "trailer": try await world.damage(pack.key, at: whole.count - 60)
            case "end": try await world.damage(pack.key, at: whole.count - 3)
            case "cut": try await world.store.put(pack.key, [Data(whole.prefix(whole.count / 2))])
            default: try await world.store.delete(pack.key)
            }
            let report = try await world.check(readData: true)
            #expect(report.exitCode == .damaged, "\(report)")
            let result = try await world.repair(report)
            switch kind {
            case "trailer", "end":
                // This machine knows where everything was: nothing is lost.
                #expect(result.lostChunks == 0 && result.savedChunks > 40, "\(result)")
                #expect(try await world.restore(id) == bytes)
            case "cut":
                // The list of the content stood behind the cut: only the next night tells what it was.
                #expect(result.lostChunks > 0, "\(result)")
            default: #expect(result.savedChunks == 0)
            }
            try await world.save(bytes, at: 10)
            let after = try await world.check(readData: true)
            #expect(after.findings.isEmpty, "\(after.findings)")
            #expect(try await world.restore(id) == bytes)
        }
    }

    @Test func damagedRecordsAreWrittenOff() async throws {
        try await with { world in
            let kept = try await world.save([1, 2, 3])
            let damaged = try await world.save([4, 5, 6], at: 10)
            let gone = try await world.save([7, 8, 9], at: 20)
            try await world.damage(ObjectKey("snapshots/\(damaged)"), at: 50)
            try await world.store.delete(ObjectKey("snapshots/\(gone)"))
            let condemned = ObjectKey("condemned/\(String(repeating: "a", count: 64))")
            try await world.store.put(condemned, [Data([1, 2, 3])])
            let report = try await world.check()
            #expect(report.findings.count == 3)
            try await world.repair(report)
            #expect(try await world.check().findings.isEmpty)
            #expect(try await world.repository.listSnapshots() == [kept])
            #expect(
                try await world.store.size(ObjectKey("damaged/snapshots/\(damaged)")) != nil)
            #expect(try await world.catalog.snapshots().map(\.id) == [kept])
            // A machine that knows nothing sees no damage either.
            #expect(
                try await world.repository.check(index: MemoryChunkIndex()).findings.isEmpty)
        }
    }

    @Test(arguments: [0, 1, 2])
    func lostChainRecordsAreWrittenOff(number: Int) async throws {
        try await with { world in
            for second in 0..<3 { try await world.save([UInt8(second)], at: second * 10) }
            let records = try await world.store.list("writers").map(\.key).sorted()
            try #require(records.count == 3)
            for deletes in [false, true] {
                let key = records[number]
                let good = try await world.store.get(key, .whole)
                if deletes {
                    try await world.store.delete(key)
                } else {
                    try await world.damage(key, at: 60)
                }
                let report = try await world.check()
                #expect(report.exitCode == .damaged)
                if deletes {
                    try await world.repair(report)
                    #expect(try await world.check().findings.isEmpty)
                    // Nothing is missed by a machine that knows nothing, and the night goes on.
                    let cold = try await world.repository.check(index: MemoryChunkIndex())
                    #expect(cold.findings.isEmpty, "\(cold.findings)")
                    try await world.save([9], at: 100)
                    #expect(try await world.check().findings.isEmpty)
                } else {
                    try await world.store.put(key, [good])
                }
            }
        }
    }

    @Test func whatIsNotWholeIsNotTakenAsUnchanged() async throws {
        try await with { world in
            let id = try await world.save(Array(repeating: 7, count: 200_000))
            let record = try await world.repository.snapshot(id)
            #expect(try await world.repository.isWhole(record, index: world.index))
            let before = try world.index.generation()
            for pack in try await world.packs() { try await world.store.delete(pack.key) }
            _ = try await world.repository.refresh(world.index)
            #expect(try world.index.generation() != before)
            #expect(try await !world.repository.isWhole(record, index: world.index))
        }
    }

    @Test func groupsCoverEverythingOnce() {
        let packs = (0..<1000).map { _ in PackID.random() }
        for count in [1, 7, 10] {
            for pack in packs {
                #expect(
                    (1...count).count { CheckGroup($0, of: count).contains(pack) } == 1)
            }
        }
        #expect(CheckGroup(parsing: "3/7") == CheckGroup(3, of: 7))
        for bad in ["0/7", "8/7", "3", "3/", "/7", "3/7/9", "-1/7"] {
            #expect(CheckGroup(parsing: bad) == nil)
        }
    }
}
