import Model

/// Records with something in every field.
enum Samples {
    static let moment = Timestamp(nanoseconds: 1_795_312_800_123_456_789)

    static func snapshot(
        _ service: ServiceName = "umami", at seconds: Int64 = 0, run: RunID = .random()
    ) -> SnapshotRecord {
        var record = SnapshotRecord(
            id: .random(), workload: WorkloadID(service: service, kind: .docker, name: "umami"),
            service: service, kind: .docker, host: "host.example.org", run: run,
            asOf: moment + TimeSpan(nanoseconds: seconds * 1_000_000_000))
        record.finished = record.asOf + TimeSpan(seconds: 12.5)
        record.consistency = .application
        record.notes = ["a note with \"quotes\" and ünïcode"]
        record.parts = [
            SnapshotPart(
                name: "volume/data", kind: .tree,
                content: ContentReference(
                    length: 4_294_967_296_001, depth: 2,
                    references: [
                        ChunkReference(id: .random(), length: 65536), .zeros(1 << 40),
                        ChunkReference(id: .random(), length: 1),
                    ]),
                bytes: ByteCount(1 << 50), entries: 200_000, attributes: ["path": "/var/lib/x"]),
            SnapshotPart(name: "empty", kind: .stream, content: .empty, bytes: ByteCount(0)),
        ]
        record.proof = Proof(
            rows: ["umami.public.event": 12], sequences: ["a.b.c": 7, "a.b.d": Int64?.none],
            files: ["volume/data": 3])
        record.statistics.bytes = ByteCount(123)
        record.statistics.bytesStored = ByteCount(45)
        record.tags = ["before upgrade"]
        record.version = "0.1.0"
        return record
    }

    static func run(_ purpose: RunPurpose = .backup, at seconds: Int64 = 0) -> RunRecord {
        RunRecord(
            purpose: purpose, host: "host.example.org", processID: 42, version: "0.1.0",
            started: moment + TimeSpan(nanoseconds: seconds * 1_000_000_000))
    }
}
