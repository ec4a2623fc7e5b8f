import Model
import Repository
import TestSupport
import Testing

/// A repository behind SSH, and what is kept of it on this machine.
@Suite("A repository behind SSH", .enabled(if: TemporarySSHServer.isPossible, "needs sshd"))
struct FarRepositoryTests {
    @Test("What is kept here serves who looks, keeps its bound, and hides no loss from a check")
    func kept() async throws {
        try await TemporaryDirectory.with("far-repository") { scratch in
            let server = try await TemporarySSHServer(in: scratch)
            var dr = try DrBinary(in: scratch)
            dr.environment["DR_SSH_COMMAND"] = server.command
            let place = "sftp://127.0.0.1:\(server.port)\(scratch.path("far"))"
            func configure(_ limit: Int) throws {
                try scratch.write(
                    "dr.yaml",
                    """
                    repository: {place: "\(place)", cache_limit: \(limit)}
                    services: {site: {files: [site]}}

                    """)
            }
            func cache() async throws -> [Substring] {
                try await OutsideProgram(
                    ["bash", "-c", "cat $(find state -path '*/cache/*' -type f) | sha256sum"],
                    directory: scratch.path
                ).run().text.split(separator: " ")
            }
            try configure(8)
            try scratch.makeDirectory("site")
            try await shell("for n in $(seq 300); do echo $n >site/file-$n; done", in: scratch)
            // In the directory itself, which is quicker.
            _ = try await BackupRepository.create(
                in: DirectoryStore(root: scratch.path("far")),
                credential: .password(SmallWorld.password), label: "test", scryptCost: 2)
            dr.environment["DR_CONFIG"] = "dr.yaml"
            dr.environment["DR_PASSWORD"] = SmallWorld.password
            expect(try await dr.run("backup"), .done, "1 of 1 saved")
            expect(try await dr.run("find", "file-77"), .done, "file-77")
            try await shell(
                "test $(find state -path '*/cache/*' -type f | wc -l) -ge 1; "
                    + "! grep -rq file-77 state/dr/*/cache", in: scratch)
            // Nobody looks at the store for what is here, and nothing more is kept.
            let before = try await cache()
            try await shell(
                "for pack in $(find far/packs -type f); do "
                    + "head -c $(stat -c %s $pack) /dev/zero >$pack; done", in: scratch)
            expect(try await dr.run("find", "file-77"), .done, "file-77")
            #expect(try await cache() == before)
            // Whoever wants to know does.
            expect(try await dr.run("check"), .damaged)
            try configure(0)
            expect(try await dr.run("find", "file-77"), .damaged, "nothing called file-77")
        }
    }
}
