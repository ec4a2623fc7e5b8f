import FoundationEssentials
import Model
import TestSupport
import Testing

/// What keeps a repository small, whole and closed, through the real program.
@Suite("dr maintains a repository")
struct MaintenanceTests: CommandSuite {
    /// A repository, opened with a random key: passwords take a while to stretch.
    private func with(
        _ configuration: String, _ body: (TemporaryDirectory, DrBinary) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with("maintenance") { scratch in
            try scratch.write("dr.yaml", configuration)
            var dr = try DrBinary(in: scratch)
            try await dr.initializeWithKey()
            try await body(scratch, dr)
        }
    }

    private static let site = "repository: repo\nservices: {site: {files: [www]}}\n"

    /// Ids of the snapshots, newest first.
    private func snapshots(_ dr: DrBinary) async throws -> [String] {
        try await dr.run("snapshots").text.split(separator: "\n").dropFirst().map {
            String($0.prefix(8))
        }
    }

    @Test("Snapshots go by rule and by name, say why, and their space comes back")
    func forgetAndPrune() async throws {
        try await with(Self.site) { scratch, dr in
            try scratch.makeDirectory("www")
            for night in 0..<4 {
                try await shell(
                    "head -c 300000 /dev/urandom >www/a; echo \(night) >www/b", in: scratch)
                expect(try await dr.run("backup", "--quiet"), .done)
            }
            let all = try await snapshots(dr)
            expect(try await dr.run("forget"), .usage, "nothing says which snapshots to keep")
            expect(
                try await dr.run("forget", all[0]), .usage,
                "\(all[0]) is the last good snapshot of site/files:files", "--force")
            let shown = try await dr.run("forget", "--keep-last", "2", "--dry-run")
            expect(shown, .done, "2 would be forgotten, 2 kept", "no rule keeps it", "last 2")
            #expect(try await snapshots(dr).count == 4)
            let json = try await dr.run("forget", "--keep-last", "2", "--dry-run", "--json")
            #expect(json.text.hasPrefix("{\"dry_run\":true,\"kept\":2,\"forgotten\":2"), "\(json)")
            expect(try await dr.run("forget", "site", "--keep-last", "2"), .done, "2 forgotten")
            expect(try await dr.run("forget", all[1]), .done, "forgot \(all[1])")
            #expect(try await snapshots(dr) == [all[0]])

            let plan = try await dr.run("prune", "--dry-run")
            expect(plan, .done, "no snapshot needs them", "would free about")
            let before = try await OutsideProgram.run(["du", "-sb", scratch.path("repo/packs")])
            expect(try await dr.run("prune"), .done, "packs deleted")
            let after = try await OutsideProgram.run(["du", "-sb", scratch.path("repo/packs")])
            func size(_ outcome: OutsideProgram.Outcome) -> Int {
                Int(outcome.text.prefix { $0.isNumber }) ?? 0
            }
            #expect(size(after) < size(before) / 2)
            expect(try await dr.run("check", "--read-data"), .done, "no damage")
            expect(try await dr.run("restore", "--to", "./back", "--yes"), .done)
            try await shell(
                "cmp www/a back/site/*/a || cmp www/a $(find back -name a)", in: scratch)
        }
    }

    @Test("A backup forgets by the configuration's rules, each service by its own")
    func retention() async throws {
        try await with(
            """
            repository: repo
            retention: {last: 2}
            services:
              a: {command: {capture: date +%N}}
              b: {command: {capture: date +%N}, retention: {last: 3}}
              c: {command: {capture: sh -c "test ! -e broken && date +%N"}}
            """
        ) { scratch, dr in
            for _ in 0..<4 { expect(try await dr.run("backup"), .done) }
            let list = try await dr.run("snapshots").text
            func count(_ service: String) -> Int {
                list.split(separator: "\n").count { $0.contains(" \(service)/command") }
            }
            #expect(count("a") == 2 && count("b") == 3 && count("c") == 2, "\(list)")
            try scratch.write("broken", "")
            let partly = try await dr.run("backup")
            expect(partly, .partial, "2 older snapshots forgotten")
            #expect(
                try await dr.run("snapshots", "c").text.split(separator: "\n").count == 3)
        }
    }

    @Test("While another run goes on, prune and forget wait for nobody and say so")
    func busy() async throws {
        try await with(
            """
            repository: repo
            services:
              slow: {command: {capture: sh -c "while test ! -e go; do sleep 0.05; done; date"}}
            """
        ) { scratch, dr in
            let backup = try dr.start("backup", "--quiet")
            try await waitUntil {
                try await OutsideProgram.run([
                    "bash", "-c", "grep -q 'dr backup' \(scratch.path)/state/dr/*/run.lock",
                ]).status == 0
            }
            expect(try await dr.run("prune"), .busy, "another run is going on: dr backup")
            expect(try await dr.run("forget", "--keep-last", "1"), .busy)
            try scratch.write("go", "")
            expect(try await backup.outcome(), .done)
            expect(try await dr.run("prune"), .done)
        }
    }

    @Test("Passwords and keys come and go, and none is in sight")
    func keys() async throws {
        try await with(Self.site) { scratch, dr in
            try scratch.makeDirectory("www")
            try scratch.write("www/a", "hello")
            expect(try await dr.run("backup"), .done)
            let mode = try await OutsideProgram.run(["stat", "-c", "%a %s", scratch.path("key")])
            #expect(mode.text == "600 65\n")
            expect(
                try await dr.run("key", "add", "--random-key", "key"), .usage,
                "there is a file", "never overwritten")
            let list = try await dr.run("key", "list")
            expect(list, .done, "password", "in use", "machine", "1 data key")
            let slot = try #require(
                list.text.split(separator: "\n").first { $0.contains("password") }?.prefix(8))
            expect(
                try await dr.run("key", "add"), .usage, "no new password", "DR_NEW_PASSWORD_FILE")
            try scratch.write("new", "another horse entirely\n")
            try await shell("chmod 600 new", in: scratch)
            expect(
                try await dr.run("key", "add", "--new-password-file", "new", "--label", "x y"),
                .done, "added key slot")
            expect(try await dr.run("key", "remove", String(slot)), .done, "removed key slot")
            expect(
                try await dr.run(
                    "snapshots",
                    environment: ["DR_PASSWORD": "correct horse battery staple", "DR_KEY_FILE": ""]),
                .usage)
            var other = dr
            other.environment["DR_KEY_FILE"] = nil
            expect(
                try await other.run(
                    "snapshots", environment: ["DR_PASSWORD": "correct horse battery staple"]),
                .wrongKey)
            expect(try await dr.run("key", "rotate"), .done, "these key slots open", "x y")
            expect(try await dr.run("backup"), .done)
            let back = try await other.run(
                "check", "--read-data", environment: ["DR_PASSWORD_FILE": "new"])
            expect(back, .done, "no damage")
            expect(try await dr.run("prune", "--rewrite-old-keys"), .done, "written anew")
            expect(try await dr.run("check", "--read-data"), .done, "no damage")
            let used = try #require(
                try await dr.run("key", "list").text.split(separator: "\n")
                    .first { $0.contains("in use") }?.prefix(8))
            expect(
                try await dr.run("key", "remove", String(used)), .usage,
                "is the one that opened the repository")
        }
    }

    @Test("A place that holds something else gets no repository; a copy shares names alone")
    func initialize() async throws {
        try await with(Self.site) { scratch, dr in
            try scratch.makeDirectory("photos")
            try scratch.write("photos/1.jpg", "x")
            let password = ["DR_PASSWORD": "correct horse battery staple"]
            expect(
                try await dr.run("--repository", "photos", "init", environment: password), .failed,
                "is not empty: it holds 1.jpg", "a new one below it")
            expect(
                try await dr.run(
                    "--repository", "copy", "init", "--copy-of", "repo",
                    environment: password.merging(["DR_FROM_KEY_FILE": "nowhere"]) { $1 }), .usage)
            let made = try await dr.run(
                "--repository", "copy", "init", "--copy-of", "repo",
                environment: password.merging(["DR_FROM_KEY_FILE": "key"]) { $1 })
            expect(made, .done, "for copies of")
        }
    }
}
