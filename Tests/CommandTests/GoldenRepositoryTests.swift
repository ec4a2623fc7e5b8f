import FoundationEssentials
import Model
import TestSupport
import Testing

/// Repositories that earlier versions wrote: this one lists, checks and restores every one of them.
@Suite("Repositories of released versions")
struct GoldenRepositoryTests {
    private struct Listed: Decodable {
        var id: String
        var service: String
        var workload: String
        var kind: String
        var host: String
        var as_of: String
        var tags: [String]
    }

    private func with(
        _ name: String,
        _ body: (TemporaryDirectory, DrBinary, GoldenRepository) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with("golden") { scratch in
            let golden = try await GoldenRepository.unpack(name, in: scratch)
            try scratch.write("dr.yaml", "repository: repository\n")
            var dr = try DrBinary(in: scratch)
            dr.environment["DR_PASSWORD"] = golden.password
            dr.environment["DR_CONFIG"] = "dr.yaml"
            try await body(scratch, dr, golden)
        }
    }

    @Test("There is one") func thereIsOne() {
        #expect(GoldenRepository.names.contains { $0.hasPrefix("format-1/") })
    }

    @Test("All is listed, whole, and restored", arguments: GoldenRepository.names)
    func restore(name: String) async throws {
        try await with(name) { scratch, dr, golden in
            let list = try await dr.run("snapshots", "--json")
            let listed = try JSONDecoder().decode([Listed].self, from: Data(list.output))
            func line(_ id: String, _ words: String...) -> String {
                id + " " + words.joined(separator: " ")
            }
            #expect(
                listed.map { line($0.id, $0.workload, $0.kind, $0.host, $0.as_of, "\($0.tags)") }
                    .sorted()
                    == golden.snapshots.map {
                        line($0.id, $0.workload, $0.kind, $0.host, $0.asOf, "\($0.tags)")
                    }.sorted())
            #expect(golden.removed.allSatisfy { id in !listed.contains { $0.id == id } })
            let check = try await dr.run("check", "--read-data")
            #expect(check.status == 0 && check.text.hasPrefix("no damage: "), "\(check)")

            for snapshot in chosen(golden) {
                let out = scratch.path("out-\(snapshot.id.prefix(8))")
                let done = try await dr.run(
                    "restore", snapshot.service, "--only", "--at", String(snapshot.id.prefix(16)),
                    "--to", out, "--yes", "--quiet")
                #expect(done.status == 0, "\(done)")
                for part in snapshot.parts where part.tree != nil || part.sum != nil {
                    // Below the service's name, under the path that it had or as the output.
                    let kind = part.tree == nil ? "f" : "d"
                    let name = part.path.map { part.tree == nil ? "/\(Self.name($0))" : $0 }
                    let found = try await OutsideProgram.run(
                        ["find", "\(out)/\(snapshot.service)", "-type", kind]
                            + ["-path", "*\(name ?? "/output")"])
                    let paths = found.text.split(separator: "\n")
                    try #require(paths.count == 1, "\(part.name): \(found)")
                    try await compare(part, at: String(paths[0]), isPrivileged: false)
                }
            }
        }
    }

    @Test(
        "The reader of FORMAT.md extracts the same",
        .enabled(if: PythonReader.isThere, "needs python3 with cryptography and zstandard"),
        arguments: GoldenRepository.names, ["password", "key"])
    func extract(name: String, credential: String) async throws {
        try await with(name) { scratch, _, golden in
            try scratch.write("key", golden.key + "\n")
            let way = credential == "key" ? ["--key-file", scratch.path("key")] : []
            // Which credential opens it makes no difference to what comes out.
            let snapshots = credential == "key" ? Array(chosen(golden).prefix(1)) : chosen(golden)
            for snapshot in snapshots {
                let out = scratch.path("out-\(snapshot.id.prefix(8))")
                let done = try await PythonReader.run(
                    "scripts/dr-extract.py",
                    way + [scratch.path("repository"), "extract", snapshot.id, out],
                    environment: ["DR_PASSWORD": golden.password])
                // Without root's rights devices and attributes of the system are complained of.
                #expect(done.status == 0 || !TestEnvironment.isRoot, "\(done)")
                for part in snapshot.parts {
                    let path = "\(out)/\(part.name.replacing("/", with: "%2F"))"
                    try await compare(part, at: path, isPrivileged: TestEnvironment.isRoot)
                }
            }
        }
    }

    /// All snapshots, or the oldest and the newest of each service.
    private func chosen(_ golden: GoldenRepository) -> [GoldenRepository.Snapshot] {
        if TestEnvironment.isFull { return golden.snapshots }
        let groups = Dictionary(grouping: golden.snapshots) { $0.service }
        return golden.snapshots.filter { snapshot in
            let group = groups[snapshot.service] ?? []
            let isOldest = group.first?.id == snapshot.id && snapshot.kind == "files"
            return isOldest || group.last?.id == snapshot.id
        }
    }

    private static func name(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? ""
    }

    /// Compares what came out at `path` with what went in.
    private func compare(_ part: GoldenRepository.Part, at path: String, isPrivileged: Bool)
        async throws
    {
        if let tree = part.tree {
            let differences = try await tree.differences(at: path, isPrivileged: isPrivileged)
            #expect(differences.isEmpty, "\(differences.joined(separator: "\n"))")
        } else if let sum = part.sum,
            part.dump_sha256 == nil || TestEnvironment.hasProgram("sqlite3")
        {
            let bytes = part.dump_sha256 == nil ? "cat \"$0\"" : "sqlite3 \"$0\" .dump"
            let found = try await OutsideProgram.run(["bash", "-c", "\(bytes) | sha256sum", path])
            #expect(found.text.prefix(64) == sum, "\(part.name)")
        }
    }

    @Test("A newer format and an unknown feature have their own code and message")
    func newer() async throws {
        let name = try #require(GoldenRepository.names.first)
        try await with(name) { scratch, dr, _ in
            let config = try Data(contentsOf: URL(filePath: scratch.path("repository/config")))
            let text = String(decoding: config, as: UTF8.self)
            for (old, new, words) in [
                (#""format" : 1"#, #""format" : 2"#, "has format 2, which this version"),
                (
                    #""features" : ["#, #""features" : ["holographic""#,
                    "uses 'holographic', which this version"
                ),
            ] {
                #expect(text.contains(old))
                try scratch.write("repository/config", text.replacing(old, with: new))
                for command in ["snapshots", "check"] {
                    let outcome = try await dr.run(command)
                    #expect(outcome.status == ExitCode.unsupportedRepository.rawValue)
                    #expect(outcome.errorText.contains(words), "\(command): \(outcome)")
                }
            }
        }
    }
}
