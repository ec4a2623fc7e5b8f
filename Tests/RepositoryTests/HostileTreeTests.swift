import Engine
import FoundationEssentials
import Model
import Repository
import RepositorySupport
import TestSupport
import Testing

/// Trees that no capture writes, sealed with the right keys, before the reader of FORMAT.md.
@Suite(.enabled(if: PythonReader.isThere, "needs python3 with cryptography and zstandard"))
struct HostileTreeTests {
    private func entry(_ path: String, _ type: EntryType) -> TreeEntry {
        TreeEntry(path: Array(path.utf8), type: type)
    }

    private func link(_ path: String, to target: String) -> TreeEntry {
        var link = entry(path, .symlink)
        link.linkTarget = Array(target.utf8)
        return link
    }

    @Test func nothingLeavesTheDirectory() async throws {
        let root = entry("", .directory)
        let hostile: [String: [TreeEntry]] = [
            "parent": [root, entry("../evil", .file)], "absolute": [root, entry("/evil", .file)],
            "within": [root, entry("a", .directory), entry("a/../../evil", .file)],
            "zero": [root, entry("a\u{0}b", .file)], "empty": [root, entry("a//evil", .file)],
            "order": [root, entry("b", .file), entry("a", .file)],
            "through a link": [root, link("a", to: ".."), entry("a/evil", .file)],
            "no root": [entry("a", .file)], "orphan": [root, entry("a/evil", .file)],
            "twice": [root, link("a", to: "../evil"), entry("a", .file)],
        ]
        try await TemporaryDirectory.with("hostile") { scratch in
            let store = DirectoryStore(root: scratch.path("repository"))
            let repository = try await BackupRepository.create(
                in: store, credential: .password("p"), label: "", scryptCost: 2)
            let index = MemoryChunkIndex()
            for (name, entries) in hostile {
                var encoder = TreeEncoder()
                for entry in entries { encoder.append(entry) }
                var list: [UInt8] = []
                encoder.flush { list = Array($0) }
                let bytes = list
                let content = try await repository.store(bytes, index: index)
                var record = SnapshotRecord(
                    id: .random(), workload: WorkloadID(text: "site/files:x"), service: "site",
                    kind: .files, host: "host.example.org", run: .random(),
                    asOf: Timestamp(nanoseconds: 0))
                record.parts = [
                    SnapshotPart(
                        name: "../../\(name)", kind: .tree, content: content, bytes: ByteCount(0))
                ]
                try await repository.put(record)
                let outcome = try await PythonReader.run(
                    "scripts/dr-extract.py",
                    [
                        scratch.path("repository"), "extract", "\(record.id)",
                        scratch.path("above/out"),
                    ], environment: ["DR_PASSWORD": "p"])
                #expect(outcome.status == 1, "\(name): \(outcome)")
                #expect(!outcome.errorText.contains("Traceback"), "\(name): \(outcome)")
            }
            let found = try await OutsideProgram.run(["find", scratch.path, "-name", "evil"])
            #expect(found.text.isEmpty, "\(found)")
            let beside = try await OutsideProgram.run(["ls", scratch.path, scratch.path("above")])
            #expect(
                beside.text.split(separator: "\n").filter { !$0.hasSuffix(":") }
                    == ["above", "repository", "out"], "\(beside)")
        }
    }
}
