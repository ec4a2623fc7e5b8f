import Model
import Snapshot
import Testing

/// What counts as a fall off a cliff.
@Suite struct PlausibilityTests {
    private func snapshot(
        rows: [String: UInt64] = [:], files: UInt64? = nil, bytes: UInt64 = 0,
        part: String = "tree/0", path: String = "/srv/www"
    ) -> SnapshotRecord {
        var record = SnapshotRecord(
            id: .random(), workload: WorkloadID(text: "site/files:files"), service: "site",
            kind: .files, host: "test", run: .random(), asOf: Timestamp(nanoseconds: 0))
        record.proof.rows = rows
        record.proof.files = files.map { [part: $0] } ?? [:]
        record.parts = [
            SnapshotPart(
                name: part, kind: .tree, content: .empty,
                bytes: ByteCount(bytes), attributes: ["path": path])
        ]
        return record
    }

    private func suspicions(
        _ new: SnapshotRecord, _ old: SnapshotRecord,
        _ rules: PlausibilityRules = PlausibilityRules(), allowsEmpty: Bool = false
    ) -> [String] {
        Plausibility(rules: rules, allowsEmpty: allowsEmpty).suspicions(of: new, against: old)
            .map { $0.replacing(" in the last good snapshot \(old.id.short)", with: "") }
    }

    @Test func theThresholdDecides() {
        let old = snapshot(files: 100, bytes: 100 << 20)
        #expect(suspicions(snapshot(files: 50, bytes: 50 << 20), old) == [])
        #expect(
            suspicions(snapshot(files: 49, bytes: 50 << 20), old)
                == ["/srv/www holds 49 files: 51 % less than the 100"])
        #expect(
            suspicions(snapshot(files: 100, bytes: 10 << 20), old)
                == [
                    "/srv/www holds \(ByteCount(10 << 20)): 90 % less than the \(ByteCount(100 << 20))"
                ])
        #expect(
            suspicions(snapshot(files: 10, bytes: 10 << 20), old, .init(bytes: 90, files: 90)) == []
        )
        #expect(suspicions(snapshot(files: 1000, bytes: 1), snapshot(files: 1000, bytes: 90)) == [])
    }

    @Test func emptyIsNeverOverlooked() {
        let few = snapshot(files: 2, bytes: 20)
        #expect(suspicions(snapshot(files: 1, bytes: 10), few) == [])
        #expect(
            suspicions(snapshot(files: 0, bytes: 0), few, .init(bytes: 100, files: 100))
                == ["/srv/www holds 0 files: 100 % less than the 2"])
        #expect(suspicions(snapshot(files: 0, bytes: 0), few, allowsEmpty: true) == [])
        // Another path is another tree.
        #expect(suspicions(snapshot(files: 0, bytes: 0, path: "/srv/new"), few) == [])
    }

    @Test func rowsOfDatabasesAndOfLargeTables() {
        let old = snapshot(rows: [
            "a.public.big": 5000, "a.public.bigger": 20_000, "b.public.t": 30,
        ])
        #expect(suspicions(old, old) == [])
        let lost = snapshot(rows: ["a.public.big": 12, "a.public.bigger": 21_000, "b.public.t": 30])
        #expect(
            suspicions(lost, old)
                == ["table a.public.big has 12 rows: 99 % less than the 5000"])
        let gone = snapshot(rows: ["a.public.big": 0, "a.public.bigger": 0, "b.public.t": 14])
        #expect(
            suspicions(gone, old) == [
                "database a has 0 rows: 100 % less than the 25000",
                "database b has 14 rows: 53 % less than the 30",
            ])
    }

    @Test func aDatabaseThatVanished() {
        let old = snapshot(part: "database/a.dump", path: "")
        let new = snapshot(part: "database/b.dump", path: "")
        #expect(suspicions(new, old).count == 1)
        #expect(suspicions(new, old)[0].contains("is gone; it was there"))
    }
}
