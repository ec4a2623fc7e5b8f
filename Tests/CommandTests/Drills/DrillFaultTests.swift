import Engine
import FoundationEssentials
import Model
import Repository
import TestSupport
import Testing

/// Faults planted in what was saved: a drill finds each, and its evidence names it.
@Suite(
    "Drills of what is broken", .enabled(if: TestEnvironment.hasProgram("sqlite3"), "needs sqlite3")
)
struct DrillFaultTests {
    /// A machine with files and a database, drilled without an Engine.
    private func with(
        _ body: (TemporaryDirectory, DrBinary) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with("drill-broken") { scratch in
            var dr = try DrBinary(in: scratch)
            dr.environment["DOCKER_HOST"] = nil
            var random = SeededRandom.announced("drill faults")
            try scratch.makeDirectory("d")
            try scratch.makeDirectory("site")
            for number in 0..<12 {
                try scratch.write("site/\(number)", random.bytes(300_000))
            }
            try await shell(
                """
                sqlite3 shop.db 'create table purchase (id integer primary key, cents int);
                  with recursive n(i) as (select 1 union all select i + 1 from n where i < 500)
                  insert into purchase select i, i * 7 from n'
                """, in: scratch)
            try scratch.write(
                "dr.yaml",
                """
                repository: repository
                drill: {directory: d}
                services:
                  site: {files: [site]}
                  shop: {sqlite: shop.db}

                """)
            try await dr.initializeWithKey()
            try require(await dr.run("backup", "--quiet"), endsWith: .done)
            try require(await dr.run("drill", "--yes"), endsWith: .done, saying: "passed")
            try await body(scratch, dr)
        }
    }

    /// The evidence of the newest drill, and the page that a person reads.
    private func evidence(_ dr: DrBinary) async throws -> (report: DrillReport, page: String) {
        let report = try await dr.drillEvidence()
        let page = try await dr.run("report", "\(report.identity.drill)", "--format", "markdown")
        return (report, page.text)
    }

    @Test("A corrupt pack: the service that needs it does not pass, the other one does")
    func corruptPack() async throws {
        try await with { scratch, dr in
            // Some bytes in the middle of the largest pack: the files' contents.
            try await shell(
                """
                pack=$(find repository/packs -type f -printf '%s %p\\n' | sort -n | tail -1 | cut -d' ' -f2)
                basename $pack >pack
                dd if=/dev/urandom of=$pack bs=1 seek=1500000 count=64 conv=notrunc status=none
                """, in: scratch)
            let outcome = try await dr.run("drill", "--yes")
            #expect([4, 13].contains(outcome.status), "\(outcome)")
            #expect(outcome.text.contains("not passed"), "\(outcome)")
            let (report, page) = try await evidence(dr)
            #expect(!report.attestation.isPassed)
            #expect(report.cleanup.isClean)
            #expect(report.recovery.services.first { $0.name == "site" }?.isHealthy == false)
            #expect(report.recovery.services.first { $0.name == "shop" }?.isHealthy == true)
            let pack = try await OutsideProgram.run(["cat", scratch.path("pack")]).text.prefix(8)
            #expect(page.contains(pack), "\(pack) in \(page)")
            #expect(try await OutsideProgram.run(["ls", "-A", scratch.path("d")]).text == "")
        }
    }

    @Test("A wrong row count: named with both numbers, and everything else passes")
    func wrongRowCount() async throws {
        try await with { scratch, dr in
            try await shell("rm -rf state", in: scratch)
            // The record says another number than the database has.
            let key = String(
                decoding: try FileSystem().read(scratch.path("key")), as: UTF8.self)
            let repository = try await BackupRepository.open(
                in: DirectoryStore(root: scratch.path("repository")),
                credential: .key(try #require(Hexadecimal.decode(key.prefix(64)))))
            for id in try await repository.listSnapshots() {
                var record = try await repository.snapshot(id)
                guard record.service == "shop" else { continue }
                #expect(record.proof.rows == ["main.purchase": 500])
                record.proof.rows["main.purchase"] = 501
                try await repository.put(record)
            }
            try require(
                await dr.run("drill", "--yes"), endsWith: .verificationFailed, saying: "purchase",
                "500 rows, not 501", "not passed")
            let (report, page) = try await evidence(dr)
            #expect(!report.attestation.isPassed)
            #expect(page.contains("500 rows, not 501"), "\(page)")
            #expect(report.recovery.services.first { $0.name == "shop" }?.isHealthy == false)
            #expect(report.recovery.services.first { $0.name == "site" }?.isHealthy == true)
            #expect(try await OutsideProgram.run(["ls", "-A", scratch.path("d")]).text == "")
        }
    }
}
