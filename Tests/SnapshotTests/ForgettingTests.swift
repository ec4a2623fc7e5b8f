import Catalog
import Engine
import FoundationEssentials
import Model
import Repository
import Snapshot
import TestSupport
import Testing

/// Snapshots that go, in a repository with a catalog.
@Suite struct ForgettingTests {
    /// A repository in memory whose clock follows the snapshots.
    struct World {
        let store: MemoryStore
        let repository: BackupRepository
        let catalog: Catalog
        let forgetting: Forgetting

        init(_ scratch: TemporaryDirectory) async throws {
            store = MemoryStore()
            repository = try await BackupRepository.create(
                in: store, credential: .key([UInt8](repeating: 1, count: 32)), label: "test")
            catalog = try await Catalog.open(at: scratch.path("state"), repository: repository.id)
            forgetting = Forgetting(
                repository: repository, catalog: catalog, host: "host", version: "0")
        }

        var now: Timestamp {
            get async throws { try await store.now() }
        }

        /// One night's snapshot of a service.
        @discardableResult
        func night(
            _ service: ServiceName = "site", on host: String = "host", suspicious: Bool = false
        ) async throws -> SnapshotRecord {
            store.advance(by: TimeSpan(seconds: 86400))
            var record = SnapshotRecord(
                id: .random(), workload: WorkloadID(service: service, kind: .files, name: "files"),
                service: service, kind: .files, host: host, run: .random(), asOf: try await now)
            if suspicious { record.suspicions = ["empty"] }
            try await repository.put(record)
            try await catalog.record(snapshot: record)
            try await chain(record)
            return record
        }

        func say(_ snapshot: SnapshotID, _ mark: SnapshotMark, _ reason: String) async throws {
            try await SnapshotMarking(repository: repository, catalog: catalog).say(
                [MarkChange(snapshot, mark, isSet: true, reason: reason)],
                at: try await now, host: "host", version: "0")
        }

        private func chain(_ record: SnapshotRecord) async throws {
            let heads = try await repository.appendToChain(
                writer: try await catalog.writer(), run: record.run, host: "host",
                at: record.asOf, added: [record.id], removed: [],
                known: try await catalog.chainHeads())
            try await catalog.remember(chainHeads: heads ?? [])
        }
    }

    private func with(_ body: (World) async throws -> Void) async throws {
        try await TemporaryDirectory.with("forgetting") { try await body(try await World($0)) }
    }

    @Test func whatNoRuleKeepsGoesWithATombstone() async throws {
        try await with { world in
            var records: [SnapshotRecord] = []
            for _ in 0..<10 { records.append(try await world.night()) }
            let outcome = try await world.forgetting.decide(now: try await world.now) { _ in
                RetentionPolicy(last: 3)
            }
            #expect(outcome.warnings.isEmpty)
            #expect(Set(outcome.forgotten) == Set(records.prefix(7).map(\.id)))
            try await world.forgetting.forget(outcome.forgotten, at: try await world.now)
            let left = Set(records.suffix(3).map(\.id))
            #expect(try await world.repository.listSnapshots() == left)
            #expect(Set(try await world.catalog.snapshots().map(\.id)) == left)
            // A machine that knows nothing finds nothing missing.
            let report = try await world.repository.check(index: MemoryChunkIndex())
            #expect(report.findings.isEmpty, "\(report.findings)")
        }
    }

    @Test func rulesConcernTheServicesThatAreNamed() async throws {
        try await with { world in
            for _ in 0..<4 {
                try await world.night("a")
                try await world.night("b")
            }
            let outcome = try await world.forgetting.decide(
                services: ["b"], now: try await world.now
            ) { _ in RetentionPolicy(last: 1) }
            #expect(outcome.decisions.count == 4 && outcome.forgotten.count == 3)
            #expect(outcome.decisions.allSatisfy { $0.workload.text.hasPrefix("b/") })
        }
    }

    @Test func machinesDoNotPushEachOthersSnapshotsOut() async throws {
        try await with { world in
            var records: [SnapshotRecord] = []
            for _ in 0..<3 {
                records.append(try await world.night(on: "a"))
                records.append(try await world.night(on: "b"))
            }
            let outcome = try await world.forgetting.decide(now: try await world.now) { _ in
                RetentionPolicy(last: 1)
            }
            #expect(Set(outcome.forgotten) == Set(records.prefix(4).map(\.id)))
            #expect(
                outcome.decisions.filter(\.isKept).map(\.reasons) == [
                    ["last good snapshot of site/files:files on a", "last 1"],
                    ["last good snapshot of site/files:files on b", "last 1"],
                ])
            // Nor does the newer one of the other machine make up for the last good one.
            #expect(
                try await world.forgetting.objections(to: [records[4].id], force: false) == [
                    "\(records[4].id.short) is the last good snapshot of site/files:files on a"
                ])
            // What is suspicious on one machine holds nothing of the other.
            try await world.night(on: "b", suspicious: true)
            let held = try await world.forgetting.decide(now: try await world.now) { _ in
                RetentionPolicy(last: 1)
            }
            #expect(Set(held.forgotten) == [records[0].id, records[2].id])
        }
    }

    @Test func pinnedSuspiciousAndLastGoodOnesStay() async throws {
        try await with { world in
            let pinned = try await world.night()
            try await world.say(pinned.id, .pinned, "audit")
            for _ in 0..<5 { try await world.night() }
            let good = try await world.night()
            func forgotten() async throws -> [SnapshotID] {
                try await world.forgetting.decide(now: try await world.now) { _ in
                    RetentionPolicy(last: 1)
                }.forgotten
            }
            #expect(try await forgotten().count == 5)
            #expect(try await !forgotten().contains(pinned.id))
            let bad = try await world.night(suspicious: true)
            #expect(try await forgotten().isEmpty)
            // Somebody says that it is as it should be.
            try await world.say(bad.id, .accepted, "emptied")
            #expect(try await forgotten().contains(good.id))

            #expect(
                try await world.forgetting.objections(to: [pinned.id], force: true)
                    == ["snapshot \(pinned.id.short) is pinned"])
            #expect(
                try await world.forgetting.objections(to: [bad.id], force: false)
                    == ["\(bad.id.short) is the last good snapshot of site/files:files"])
            #expect(try await world.forgetting.objections(to: [bad.id], force: true).isEmpty)
            #expect(try await world.forgetting.objections(to: [good.id], force: false).isEmpty)
        }
    }

    @Test func aClockInThePastForgetsNothingUntilAPersonSaysSo() async throws {
        try await with { world in
            for _ in 0..<10 { try await world.night() }
            let past = try await world.now + TimeSpan(seconds: -400 * 86400)
            let policy: (ServiceName) -> RetentionPolicy = { _ in RetentionPolicy(last: 1) }
            let held = try await world.forgetting.decide(now: past, policy: policy)
            #expect(held.forgotten.isEmpty && !held.warnings.isEmpty)
            let trusted = try await world.forgetting.decide(
                now: past, trustsTimes: true, policy: policy)
            #expect(trusted.forgotten.count == 9 && trusted.warnings.isEmpty)
        }
    }

    @Test func aRemovalThatIsCutOffIsNeverMissed() async throws {
        try await with { world in
            var records: [SnapshotRecord] = []
            for _ in 0..<4 { records.append(try await world.night()) }
            // As after a crash between the tombstone and the records: some are there, some not.
            let doomed = records.prefix(3).map(\.id)
            let heads = try await world.repository.appendToChain(
                writer: try await world.catalog.writer(), run: .random(), host: "host",
                at: try await world.now, added: [], removed: doomed,
                known: try await world.catalog.chainHeads())
            try await world.catalog.remember(chainHeads: heads ?? [])
            try await world.repository.remove(doomed[0])
            #expect(try await world.repository.check(index: MemoryChunkIndex()).findings.isEmpty)
            let outcome = try await world.forgetting.decide(now: try await world.now) { _ in
                RetentionPolicy(last: 1)
            }
            try await world.forgetting.forget(outcome.forgotten, at: try await world.now)
            #expect(try await world.repository.listSnapshots() == [records[3].id])
        }
    }
}
