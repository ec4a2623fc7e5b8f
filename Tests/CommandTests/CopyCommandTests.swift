import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// Second copies through the real program.
@Suite("dr copy")
struct CopyCommandTests {
    private func with(
        _ copies: String, _ body: (TemporaryDirectory, inout DrBinary) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with("copy") { scratch in
            var dr = try DrBinary(in: scratch)
            try scratch.write(
                "dr.yaml",
                "repository: repo\ncopies:\n\(copies)\nservices: {site: {files: [site]}}\n")
            try scratch.makeDirectory("site")
            try await shell(
                "for n in $(seq 30); do seq $n $((n * 900)) >site/$n; done", in: scratch)
            try await dr.initializeWithKey()
            try await body(scratch, &dr)
        }
    }

    @Test("Made, brought up to date by every night, restored from when the first one is gone")
    func nightly() async throws {
        try await with("  shelf: {place: shelf}") { scratch, dr in
            // A copy that is not there yet is said, and what was saved is safe.
            let early = try await dr.run("backup")
            expect(
                early, .partial, "1 of 1 saved", "copy shelf: there is no repository at", "dr init")
            expect(try await dr.run("status"), .partial, "shelf", "never made")
            expect(try await dr.run("init", "--copy", "shelf"), .done, "for copies of")
            expect(try await dr.run("copy", "--dry-run"), .done, "shelf: 1 snapshots")
            expect(try await dr.run("copy"), .done, "shelf: 1 snapshot copied")
            expect(try await dr.run("copy", "shelf"), .done, "0 snapshots copied, 0 B stored")
            try await shell("seq 99999 >site/new", in: scratch)
            expect(try await dr.run("backup"), .done, "shelf: 1 snapshot copied")
            let status = try await dr.run("status", "--json")
            #expect(status.text.contains("\"name\":\"shelf\""), "\(status)")
            expect(try await dr.run("status"), .done, "shelf", "good")

            // What goes here stays there.
            let list = try await dr.run("snapshots", "site", "--json").text
            let oldest = try #require(list.split(separator: "\"id\":\"").last?.prefix(64))
            expect(try await dr.run("forget", String(oldest), "--yes"), .done)
            expect(try await dr.run("copy"), .done)
            try await shell("rm -rf repo", in: scratch)
            expect(
                try await dr.run("snapshots", String(oldest), "--repository", "shelf"), .done)
            expect(try await dr.run("check", "--read-data", "--repository", "shelf"), .done)
            expect(
                try await dr.run(
                    "restore", "site", "--to", "./back", "--yes", "--repository", "shelf"), .done)
            try await shell("diff -r site $(find back -name site -type d | tail -1)", in: scratch)
        }
    }

    @Test("A repair takes from the copy what the repository has lost")
    func healing() async throws {
        try await with("  shelf: {place: shelf}") { scratch, dr in
            expect(try await dr.run("init", "--copy", "shelf"), .done)
            expect(try await dr.run("backup"), .done, "shelf: 1 snapshot copied")
            try await shell("seq 4 99999 >site/new", in: scratch)
            expect(try await dr.run("backup"), .done)
            // What was saved exists nowhere else any more, and the record of one night is gone.
            try await shell(
                """
                cp -r site before; echo other >site/new; rm site/3
                pack=$(find repo/packs -type f | head -1)
                printf x | dd of=$pack bs=1 seek=3000 conv=notrunc status=none
                rm $(find repo/snapshots -type f | head -1)
                """, in: scratch)
            expect(try await dr.run("check", "--read-data"), .damaged)
            expect(
                try await dr.run("check", "--read-data", "--repair", "--yes"), .done,
                "from shelf: 1 snapshot brought back")
            expect(try await dr.run("check", "--read-data"), .done)
            expect(try await dr.run("restore", "site", "--to", "./back", "--yes"), .done)
            try await shell("diff -r before $(find back -name site -type d | tail -1)", in: scratch)
        }
    }

    @Test("A copy has a password of its own")
    func ownPassword() async throws {
        try await with("  shelf: {place: shelf, password_file: other}") { scratch, dr in
            chmod(try scratch.write("other", "another password altogether\n"), 0o600)
            expect(try await dr.run("backup"), .partial)
            expect(try await dr.run("init", "--copy", "shelf"), .done)
            expect(try await dr.run("copy"), .done, "1 snapshot copied")
            let wrong = try await dr.run("snapshots", "--repository", "shelf")
            expect(wrong, .wrongKey)
            dr.environment["DR_KEY_FILE"] = nil
            dr.environment["DR_PASSWORD_FILE"] = "other"
            expect(try await dr.run("snapshots", "--repository", "shelf"), .done)
        }
    }

    @Test("Mistakes are named")
    func mistakes() async throws {
        try await with("  shelf: {place: shelf}\n  own: {place: repo}") { _, dr in
            expect(
                try await dr.run("copy", "shelv"), .usage, "there is no copy \"shelv\"",
                "did you mean \"shelf\"?")
            expect(try await dr.run("init", "--copy", "own"), .failed, "already")
            expect(try await dr.run("copy", "own"), .usage, "is the repository itself")
            expect(
                try await dr.run("init", "--copy", "shelf", "--copy-of", "repo"), .usage,
                "contradict")
        }
    }
}
