import Model
import TestSupport
import Testing

/// From an empty directory to listed files, through the real program.
@Suite("dr from init to restore")
struct RepositoryCommandTests {
    private static let environment = [
        "DR_PASSWORD": "correct horse battery", "DR_CONFIG": "dr.yaml",
    ]

    private func with(
        _ configuration: String, _ body: (TemporaryDirectory, DrBinary) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with("repository") { scratch in
            try scratch.write("dr.yaml", configuration)
            var binary = try DrBinary(in: scratch)
            binary.environment.merge(Self.environment) { $1 }
            try await body(scratch, binary)
        }
    }

    @Test("What was backed up is listed, to the last name")
    func roundTrip() async throws {
        try await with("repository: repo\nservices: {site: {files: [www]}}\n") { scratch, dr in
            try scratch.makeDirectory("www/a b")
            try scratch.write("www/index.html", "<p>hello")
            try scratch.write("www/a b/ü", "x")

            let made = try await dr.run("init")
            #expect(made.status == 0 && made.errorText.isEmpty, "\(made)")
            let none = try await dr.run("snapshots")
            #expect(none.text == "no snapshots\n")
            #expect(try await dr.run("snapshots", "--json").text == "[]\n")

            let saved = try await dr.run("backup", "--tag", "first", "--quiet")
            #expect(saved.status == 0 && saved.errorText.isEmpty, "\(saved)")
            #expect(saved.text.contains("1 of 1 saved in "))

            let list = try await dr.run("snapshots", "site", "--tag", "first")
            let row = try #require(list.text.split(separator: "\n").last)
            #expect(row.contains("site/files:files") && row.hasSuffix("good   first"))
            let id = String(row.prefix(8))

            let parts = try await dr.run("ls", id)
            #expect(parts.text.contains("tree/0") && parts.text.contains("\(scratch.path)/www"))
            let top = try await dr.run("ls", "\(id):tree/0")
            #expect(
                top.text.split(separator: "\n").map { $0.split(separator: " ").last }
                    == ["b/", "index.html"], "\(top)")
            let deep = try await dr.run("ls", "\(id):tree/0/a b")
            #expect(deep.text.hasSuffix("  a b/ü\n"), "\(deep)")
            let all = try await dr.run("ls", "-r", "--json", "\(id):tree/0")
            #expect(all.text.split(separator: "\n").count == 3)
            #expect(all.text.contains("\"path\":\"a b/ü\""))

            // The catalog may be lost: everything is in the repository.
            _ = try await OutsideProgram.run(["rm", "-rf", scratch.path("state")])
            let again = try await dr.run("snapshots")
            #expect(again.text == list.text)
        }
    }

    @Test("Each reason to stop has its message, its hint and its code")
    func refusals() async throws {
        try await with("repository: repo\nservices: {site: {files: [www]}}\n") { scratch, dr in
            func expect(
                _ arguments: [String], _ environment: [String: String] = [:], code: ExitCode,
                _ text: String, sourceLocation: SourceLocation = #_sourceLocation
            ) async throws {
                let outcome = try await dr.program(arguments, environment: environment).run()
                let shown = outcome.errorText.replacing(scratch.path, with: "HERE")
                #expect(shown == text, sourceLocation: sourceLocation)
                #expect(outcome.status == code.rawValue, sourceLocation: sourceLocation)
                #expect(outcome.text.isEmpty, sourceLocation: sourceLocation)
            }
            try await expect(
                ["snapshots"], code: .noRepository,
                "dr: there is no repository at HERE/repo\n"
                    + "hint: run 'dr init' to make one there, or correct 'repository' in the"
                    + " configuration\n")
            #expect(try await dr.run("init").status == 0)
            try await expect(
                ["init"], code: .failed,
                "dr: there is a repository at HERE/repo already\n"
                    + "hint: use it with dr backup, or name another place\n")
            try await expect(
                ["snapshots"], ["DR_PASSWORD": "wrong"], code: .wrongKey,
                "dr: the password does not open the repository at HERE/repo\n"
                    + "hint: check DR_PASSWORD, DR_PASSWORD_FILE or DR_PASSWORD_COMMAND\n")
            try await expect(
                ["backup", "sit"], code: .usage,
                "dr: there is no service \"sit\"\nhint: did you mean \"site\"?\n")
            try await expect(
                ["ls", "abcd"], code: .usage,
                "dr: there is no snapshot \"abcd\"\nhint: dr snapshots lists them all\n")
        }
    }

    @Test("What was lost comes back, in order, with a report that stays")
    func restore() async throws {
        try await with(
            """
            repository: repo
            objectives: {rto: 1h, rpo: 24h}
            services:
              site: {files: [www], after: db, check: {command: test -s www/index.html}}
              db: {command: {name: rows, capture: seq 10, restore: tee rows}}
            """
        ) { scratch, dr in
            try scratch.makeDirectory("www")
            try scratch.write("www/index.html", "<p>hello")
            #expect(try await dr.run("init").status == 0)
            #expect(try await dr.run("backup").status == 0)

            let plan = try await dr.run("plan")
            #expect(plan.text.contains("conflict: \(scratch.path)/www exists and is not empty"))
            let refused = try await dr.run("restore", "--to", "here", "--yes", "--quiet")
            #expect(refused.status == ExitCode.failed.rawValue && refused.text.isEmpty)
            #expect(
                refused.errorText
                    == "dr: one thing stands in the way: nothing was changed"
                    + " (\(scratch.path)/www exists and is not empty)\n"
                    + "hint: remove what exists already, or let it be replaced with --replace\n")

            _ = try await OutsideProgram.run(["rm", "-r", scratch.path("www")])
            let unasked = try await dr.run("restore", "--to", "here", "--quiet")
            #expect(unasked.status == ExitCode.usage.rawValue)
            #expect(
                unasked.errorText
                    == "dr: nobody is there to answer: bring this back to here?\n"
                    + "hint: run it on a terminal, or with --yes\n")

            let done = try await dr.run("restore", "--to", "here", "--yes", "--json")
            #expect(done.status == 0, "\(done)")
            let lines = done.text.split(separator: "\n")
            let order = lines.filter { $0.contains("\"state\":\"done\"") }
                .map { $0.contains("\"step\":\"db/") ? "db" : "site" }
            #expect(order.first == "db" && order.last == "site" && order == order.sorted())
            #expect(lines.last?.hasPrefix("{\"message_type\":\"report\"") == true)
            let page = try await OutsideProgram.run(["cat", scratch.path("www/index.html")])
            #expect(page.text == "<p>hello")
            let rows = try await OutsideProgram.run(["wc", "-l", scratch.path("rows")])
            #expect(rows.text.hasPrefix("10 "))

            let report = try await dr.run("report", environment: ["DR_PASSWORD": ""])
            #expect(report.status == 0 && report.text.contains("2 of 2 services back"), "\(report)")
            let html = try await dr.run("report", "--format", "html")
            #expect(
                html.text.hasPrefix("<!DOCTYPE html>") || html.text.hasPrefix("<!doctype html>"))

            let copy = try await dr.run("restore", "site", "--only", "--to", "./copy", "--yes")
            #expect(copy.status == 0, "\(copy)")
            #expect(copy.text.contains("1 of 1 service back"))
        }
    }

    @Test("Damage is found, named with what it costs, and has its own code")
    func check() async throws {
        try await with("repository: repo\nservices: {site: {files: [www]}}\n") { scratch, dr in
            try scratch.makeDirectory("www")
            try scratch.write("www/index.html", "<p>hello")
            #expect(try await dr.run("init").status == 0)
            #expect(try await dr.run("backup").status == 0)
            let good = try await dr.run("check", "--read-data")
            #expect(good.status == 0 && good.text.hasPrefix("no damage: 1 snapshots, "), "\(good)")
            let spoil = "for f in repo/packs/*/*; do rm \"$f\"; done"
            _ = try await OutsideProgram(["bash", "-c", spoil], directory: scratch.path).run()
            let bad = try await dr.run("check")
            #expect(bad.status == ExitCode.damaged.rawValue, "\(bad)")
            #expect(bad.text.contains("cannot be restored:\n  site snapshot "))
        }
    }

    @Test("One service that fails does not stop the others, and the code says so")
    func partial() async throws {
        try await with(
            """
            repository: repo
            services:
              bad: {command: {capture: "false"}}
              good: {command: {capture: seq 10}}
            """
        ) { _, dr in
            #expect(try await dr.run("init").status == 0)
            let outcome = try await dr.run("backup")
            #expect(outcome.status == ExitCode.partial.rawValue, "\(outcome)")
            #expect(outcome.text.contains("1 of 2 saved"))
            #expect(outcome.errorText.contains("bad/command:command: "))
            #expect(try await dr.run("snapshots").text.contains("good/command:command"))
        }
    }

    @Test("A dry run says what it would do and leaves nothing behind")
    func dryRun() async throws {
        try await with("repository: repo\nservices: {site: {files: [www]}}\n") { scratch, dr in
            let outcome = try await dr.run("backup", "--dry-run")
            #expect(outcome.status == 0)
            #expect(outcome.text == "would save:\n  site/files:files\n")
            let left = try await OutsideProgram.run(["ls", scratch.path])
            #expect(left.text == "dr.yaml\n")
        }
    }

    @Test("The repository's password reaches no program that dr starts")
    func passwordStaysHere() async throws {
        try await with(
            "repository: repo\nservices: {env: {command: {capture: [env]}}}\n"
        ) { scratch, dr in
            #expect(try await dr.run("init").status == 0)
            #expect(try await dr.run("backup").status == 0)
            let id = try await dr.run("snapshots").text.split(separator: "\n")[1].prefix(8)
            #expect(!id.isEmpty)
            try scratch.write(
                "dr.yaml",
                "repository: repo\nservices: {env: {command: {capture: sh -c 'env | grep -c"
                    + " DR_PASSWORD >count; echo done'}}}\n")
            #expect(try await dr.run("backup").status == 0)
            let count = try await OutsideProgram.run(["cat", scratch.path("count")])
            #expect(count.text == "0\n", "\(count)")
        }
    }
}
