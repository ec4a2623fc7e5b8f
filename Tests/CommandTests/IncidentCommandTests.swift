import FoundationEssentials
import Model
import TestSupport
import Testing

/// The incident through the real program: plans, replacing, going on, people, reports.
@Suite("dr in an incident")
struct IncidentCommandTests {
    /// A site, and a store whose restore program fails as long as a file is missing.
    private func with(
        _ more: String = "", _ body: (TemporaryDirectory, DrBinary) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with("incident") { scratch in
            try scratch.makeDirectory("www")
            try scratch.write("www/index.html", "<p>hello")
            try scratch.write(
                "load", "cat >\(scratch.path("loading")); test -e \(scratch.path("mended"))")
            try scratch.write(
                "dr.yaml",
                """
                repository: repo
                services:
                  site:
                    files: [www]
                    \(more)
                  store:
                    command: {name: store, capture: [seq, "9"], restore: [sh, \(scratch.path("load"))]}
                    after: [site]
                """)
            var binary = try DrBinary(in: scratch)
            try await binary.initializeWithKey()
            try require(await binary.run("backup", "--quiet"), endsWith: .done)
            try await body(scratch, binary)
        }
    }

    @Test("What failed is put right, and the same run does the rest")
    func failedAndTakenUpAgain() async throws {
        try await with { scratch, dr in
            try require(
                await dr.run("restore", "--resume"), endsWith: .usage,
                saying: "there is no restore to take up again")
            _ = try await OutsideProgram.run(["rm", "-rf", scratch.path("www")])
            let first = try await dr.run("restore", "--to", "here", "--yes")
            try require(first, endsWith: .partial, saying: "to do the rest", "dr restore --resume")
            let status = try await OutsideProgram.run(["stat", "-c", "%i", scratch.path("www")])
            // Nothing was mended: it fails again, and is still the same run.
            try require(await dr.run("restore", "--resume"), endsWith: .partial)
            try scratch.write("mended", "")
            let last = try await dr.run("restore", "--resume")
            try require(
                last, endsWith: .done, saying: "interrupted, taken up again", "2 of 2 services back"
            )
            #expect(last.errorText.contains("2 of 4 steps were done, 2 are left"))
            // The site was not touched again.
            let again = try await OutsideProgram.run(["stat", "-c", "%i", scratch.path("www")])
            #expect(again.text == status.text)
            try require(
                await dr.run("restore", "--resume"), endsWith: .usage, saying: "nothing is left")
            let history = try await dr.run("report", "--history")
            #expect(history.text.split(separator: "\n").count == 2)
        }
    }

    @Test("What exists is refused, and moved aside when it may be replaced")
    func replaced() async throws {
        try await with { scratch, dr in
            try scratch.write("mended", "")
            try scratch.write("www/index.html", "changed")
            try require(
                await dr.run("restore", "site", "--to", "here", "--yes"), endsWith: .failed,
                saying: "www exists and is not empty", "--replace")
            try require(
                await dr.run("restore", "site", "--to", "here", "--yes", "--replace"),
                endsWith: .done, saying: "what was there is now")
            let found = try await OutsideProgram(
                ["sh", "-c", "cat www/index.html; cat www_before_*/index.html"],
                directory: scratch.path
            ).run()
            #expect(found.text == "<p>hellochanged")
            // Into a directory, files too.
            for _ in 0..<2 {
                try require(
                    await dr.run("restore", "--to", "./out", "--yes", "--replace"), endsWith: .done)
            }
            let outputs = try await OutsideProgram.run(["ls", scratch.path("out/store/store")])
            #expect(outputs.text.split(separator: "\n").count == 2)
        }
    }

    @Test("A plan with something to do by hand is refused where nobody is")
    func unattended() async throws {
        try await with("manual: {message: \"plug in the disk\", when: before}") { scratch, dr in
            _ = try await OutsideProgram.run(["rm", "-rf", scratch.path("www")])
            try require(
                await dr.run("restore", "--to", "here", "--yes", "--unattended"),
                endsWith: .failed, saying: "a person is needed: plug in the disk")
            try require(
                await dr.run("restore", "--to", "./out", "--yes", "--unattended"), endsWith: .done)
        }
    }

    @Test("Plans are kept, compared and drawn")
    func plans() async throws {
        try await with { scratch, dr in
            // The backup kept the plan as it would be now.
            try require(
                await dr.run("plan", "--diff", "latest"), endsWith: .done,
                saying: "the plans are equal")
            let kept = try await dr.run("plan", "--json")
            try scratch.write("plan.json", kept.text)
            try scratch.write("www/new", "more")
            try require(await dr.run("backup", "--quiet", "site"), endsWith: .done)
            let difference = try await dr.run("plan", "--diff", "plan.json")
            try require(
                difference, endsWith: .done, saying: "~ snapshot of site/files:files")
            #expect(!difference.text.contains("snapshot of store"))
            let dot = try await dr.run("plan", "--format", "dot")
            try require(dot, endsWith: .done, saying: "digraph", "\"site/healthy\" ->")
            let html = try await dr.run("plan", "--format", "html")
            try require(html, endsWith: .done, saying: "<svg", "</html>")
            try require(
                await dr.run("plan", "--diff", "dr.yaml"), endsWith: .usage, saying: "is no plan")
        }
    }

    @Test("The outage may have been declared before")
    func declared() async throws {
        try await with { scratch, dr in
            let ago = try await dr.run(
                "restore", "site", "--to", "./out", "--yes", "--declared", "20m ago", "--json")
            try require(ago, endsWith: .done)
            let line = try #require(ago.text.split(separator: "\n").last)
            let report = try JSONDecoder().decode(RecoveryReport.self, from: Data(line.utf8))
            #expect(report.began >= TimeSpan(seconds: 1200))
            #expect(report.ended < TimeSpan(seconds: 1260))
            try require(
                await dr.run("restore", "--to", "./o", "--yes", "--declared", "2099-01-01"),
                endsWith: .usage)
        }
    }
}
