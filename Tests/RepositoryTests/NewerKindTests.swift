import Engine
import Model
import Repository
import RepositorySupport
import TestSupport
import Testing

/// A snapshot that a later release took of a system that this one does not know, before this one's
/// program.
@Suite struct NewerKindTests {
    private func repository(in scratch: TemporaryDirectory) async throws -> SnapshotID {
        let repository = try await BackupRepository.create(
            in: DirectoryStore(root: scratch.path("repo")), credential: .password("p"), label: "",
            scryptCost: 2)
        let content = try await repository.store(Array("a deck".utf8))
        var record = SnapshotRecord(
            id: .random(), workload: WorkloadID(text: "ship/holodeck:one"), service: "ship",
            kind: WorkloadKind(rawValue: "holodeck"), host: "host.example.org", run: .random(),
            asOf: Timestamp(nanoseconds: 1_790_000_000_000_000_000))
        record.parts = [
            SnapshotPart(
                name: "deck", kind: PartKind(rawValue: "hologram"), content: content,
                bytes: ByteCount(6))
        ]
        try await repository.put(record)
        return record.id
    }

    @Test func itIsListedCheckedAndComesBackAsFiles() async throws {
        try await TemporaryDirectory.with("newer") { scratch in
            let id = try await repository(in: scratch)
            try scratch.write("dr.yaml", "repository: repo\n")
            var dr = try DrBinary(in: scratch)
            dr.environment.merge(["DR_PASSWORD": "p", "DR_CONFIG": "dr.yaml"]) { $1 }
            let list = try await dr.run("snapshots", "--json")
            #expect(list.status == 0 && list.text.contains(#""kind":"holodeck""#), "\(list)")
            let parts = try await dr.run("ls", id.short)
            #expect(parts.status == 0 && parts.text.contains("hologram"), "\(parts)")
            let check = try await dr.run("check", "--read-data")
            #expect(check.status == 0, "\(check)")

            let here = try await dr.run("restore", "--to", "here", "--yes", "--quiet")
            #expect(here.status != 0 && here.text.isEmpty, "\(here)")
            #expect(
                here.errorText.contains("a newer dr took its snapshot, of the kind 'holodeck'"),
                "\(here)")
            let done = try await dr.run("restore", "--to", "./out", "--yes", "--quiet")
            #expect(done.status == 0, "\(done)")
            let found = try await OutsideProgram.run(
                ["find", scratch.path("out"), "-type", "f", "-exec", "cat", "{}", ";"])
            #expect(found.text == "a deck")
        }
    }
}
