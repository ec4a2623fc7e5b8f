import CLinux
import Catalog
import Engine
import Glibc
import Model
import TestSupport
import Testing

/// What is left of the catalog after a crash, and after damage.
@Suite struct CatalogCrashTests {
    private let repository = RepositoryID.random()

    @Test func killedAtAnyMomentNothingRecordedIsLost() async throws {
        try await TemporaryDirectory.with("catalog") { scratch in
            let live = scratch.path + "/live"
            let catalog = try await Catalog.open(at: live, repository: repository)
            let run = Samples.run(.restore)
            try await catalog.beginRun(run)
            var known: [SnapshotID] = []
            for round in 0..<8 {
                let record = Samples.snapshot(at: Int64(round))
                known.append(record.id)
                try await catalog.record(snapshot: record)
                try await catalog.recordStep(
                    StepRecord(id: "s\(round)", title: "", state: .running), of: run.id)
                // What a killed process leaves is what the files hold at this moment.
                let copy = scratch.path + "/copy\(round)"
                try await OutsideProgram.run(["cp", "-a", live, copy])
                let after = try await Catalog.open(at: copy, repository: repository)
                #expect(after.origin == .existing)
                #expect(try await after.snapshots().map(\.id) == known.reversed())
                let steps = try await after.steps(of: run.id)
                #expect(steps.map(\.id) == (0...round).map { "s\($0)" })
                #expect(steps.allSatisfy { $0.state == .running })
                #expect(try await after.runs().first?.finished == nil)
                try await after.verify()
            }
        }
    }

    @Test func aHalfWrittenTransactionIsGone() async throws {
        try await TemporaryDirectory.with("catalog") { scratch in
            let live = scratch.path + "/live"
            do {
                let catalog = try await Catalog.open(at: live, repository: repository)
                try await catalog.record(snapshot: Samples.snapshot())
            }
            let database = try Database(live + "/catalog.sqlite")
            try database.execute("PRAGMA cache_size = 1")
            try database.execute("BEGIN IMMEDIATE; DELETE FROM snapshots")
            // More than the cache holds: pages of the open transaction reach the file.
            try database.execute(
                """
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                INSERT INTO facts SELECT 'x' || i, hex(randomblob(100)) FROM n
                """)
            try await OutsideProgram.run(["cp", "-a", live, scratch.path + "/copy"])
            let after = try await Catalog.open(at: scratch.path + "/copy", repository: repository)
            #expect(try await after.snapshots().count == 1)
            try await after.verify()
        }
    }

    @Test(arguments: [0, 20, 4096, 8192])
    func damageIsMovedAsideAndTold(at offset: Int) async throws {
        try await TemporaryDirectory.with("catalog") { scratch in
            let path = scratch.path + "/catalog.sqlite"
            do {
                let catalog = try await Catalog.open(at: scratch.path, repository: repository)
                try await catalog.record(
                    snapshots: (0..<200).map { Samples.snapshot(at: Int64($0)) })
            }
            try Database(path).checkpoint()
            let descriptor = open(path, O_WRONLY)
            let junk = [UInt8](repeating: 0xA5, count: 3 * 4096)
            _ = junk.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset)) }
            close(descriptor)

            var opened = try await Catalog.open(at: scratch.path, repository: repository)
            if opened.origin == .existing {
                // The first pages were whole: the damage shows when it is met, and is remembered.
                let failure = await #expect(throws: Failure.self) { try await opened.verify() }
                #expect(failure?.code == .damaged)
                opened = try await Catalog.open(at: scratch.path, repository: repository)
            }
            guard case .replacedDamaged(let aside, _) = opened.origin else {
                Issue.record("\(opened.origin)")
                return
            }
            #expect(aside == path + ".damaged-1")
            #expect(try FileSystem().size(of: aside) ?? 0 > 0)
            // The new one works, and nothing calls it damaged any more.
            try await opened.record(snapshot: Samples.snapshot())
            let again = try await Catalog.open(at: scratch.path, repository: repository)
            #expect(again.origin == .existing)
            #expect(try await again.snapshots().count == 1)
        }
    }
}
