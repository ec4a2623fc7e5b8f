import Glibc
import Model
import TestSupport
import Testing

/// Looking into snapshots and bringing parts of them back, through the real program.
@Suite("dr looks into snapshots")
struct BrowseCommandTests {
    func with(
        _ configuration: String = "repository: repo\nservices: {site: {files: [www]}}\n",
        _ body: (TemporaryDirectory, DrBinary) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with("browse") { scratch in
            try scratch.write("dr.yaml", configuration)
            var binary = try DrBinary(in: scratch)
            try await binary.initializeWithKey()
            try await body(scratch, binary)
        }
    }

    /// Ids of snapshots, oldest first.
    func ids(_ dr: DrBinary, _ services: String...) async throws -> [String] {
        let list = try await dr.program(["snapshots"] + services).run()
        return list.text.split(separator: "\n").dropFirst().reversed().map { String($0.prefix(8)) }
    }

    func lines(_ outcome: OutsideProgram.Outcome) -> [String] {
        outcome.text.split(separator: "\n").map(String.init)
    }

    @Test("find names versions over all nights, diff what changed between two")
    func findAndDiff() async throws {
        try await with { scratch, dr in
            try scratch.makeDirectory("www/conf.d")
            try scratch.write("www/index.html", "one")
            try scratch.write("www/conf.d/site.conf", "listen 80")
            try scratch.write("www/gone", "gone")
            #expect(try await dr.run("backup").status == 0)
            #expect(try await dr.run("backup").status == 0)
            try scratch.write("www/index.html", "three")
            try scratch.write("www/new file", "new")
            chmod(scratch.path("www/conf.d/site.conf"), 0o600)
            unlink(scratch.path("www/gone"))
            #expect(symlink("index.html", scratch.path("www/gone")) == 0)
            #expect(try await dr.run("backup").status == 0)
            let nights = try await ids(dr)

            let found = try await dr.run("find", "index.html")
            #expect(found.status == 0 && found.errorText.isEmpty, "\(found)")
            let shown = lines(found)
            #expect(shown.count == 4 && shown[0] == "site/files:files", "\(found)")
            #expect(shown[1].hasPrefix("\(scratch.path)/www/index.html  in 3 snapshots, "))
            #expect(shown[1].hasSuffix(", 2 versions"))
            #expect(shown[2].contains("  5  ") && shown[2].contains(nights[2]))
            #expect(shown[3].contains("  3  ") && shown[3].contains("\(nights[1])  2 snapshots, "))
            #expect(lines(try await dr.run("find", "index.html", "--newest")).count == 3)

            let json = try await dr.run("find", "*.conf", "site", "--json")
            #expect(lines(json).count == 1, "\(json)")
            #expect(json.text.contains("\"snapshots\":3,"))
            #expect(json.text.contains("\"path\":\"\(scratch.path)/www/conf.d/site.conf\""))
            for (pattern, count) in [
                ("conf.d/*", 1), ("\(scratch.path)/www/conf.d", 1), ("www/*", 4),
                ("INDEX.HTML", 0), ("ndex", 0), ("[n]ew file", 1), ("www", 1), ("index.htm?", 1),
            ] {
                let outcome = try await dr.run("find", pattern, "--json")
                #expect(lines(outcome).count == count, "\(pattern): \(outcome)")
                #expect(outcome.status == 0)
            }
            #expect(lines(try await dr.run("find", "ndex", "--contains", "--json")).count == 1)
            #expect(lines(try await dr.run("find", "INDEX.HTML", "-i", "--json")).count == 1)
            let old = try await dr.run("find", "*", "--snapshot", nights[0], "--json")
            #expect(old.text.contains("/gone\"") && !old.text.contains("new file"))
            let latest = try await dr.run("find", "*", "--at", "latest", "--json")
            #expect(latest.text.contains("new file") && !latest.text.contains("\"snapshots\":2"))
            let nothing = try await dr.run("find", "nowhere")
            #expect(nothing.status == 0 && nothing.text.isEmpty)
            #expect(nothing.errorText == "nothing called nowhere in 3 snapshots\n")

            let same = try await dr.run("diff", nights[0], nights[1])
            #expect(same.text == "no difference in 5 entries\n", "\(same)")
            let changes = try await dr.run("diff", nights[1], "site@latest")
            let www = "\(scratch.path)/www"
            #expect(
                lines(changes).dropLast().filter { !$0.isEmpty } == [
                    "U  \(www)/conf.d/site.conf", "T  \(www)/gone", "M  \(www)/index.html",
                    "+  \(www)/new file",
                ], "\(changes)")
            #expect(
                changes.text.hasSuffix(
                    "1 added, 1 changed, 1 with other metadata, 1 of another type, 2 the same; "
                        + "8 B came, 7 B went\n"), "\(changes)")
            let backwards = try await dr.run("diff", nights[2], nights[1], "\(www)/new file")
            #expect(lines(backwards).first == "-  \(www)/new file", "\(backwards)")
            let events = try await dr.run("diff", nights[1], nights[2], "--json")
            #expect(lines(events).count == 5 && events.text.contains("\"modifier\":\"T\""))
            #expect(lines(events).last?.contains("\"bytes_added\":8,") == true)
        }
    }

    @Test("dump gives files and parts byte by byte, and refuses what is none")
    func dump() async throws {
        try await with(
            """
            repository: repo
            services:
              site: {files: [www, single.conf]}
              rows: {command: {name: rows, capture: "seq 100000"}}
            """
        ) { scratch, dr in
            var random = SeededRandom.announced()
            try scratch.makeDirectory("www/sub")
            let large = random.bytes(5_000_001)
            try scratch.write("www/large", large)
            try scratch.write("www/sub/odd \u{1B}[31m", "odd")
            try scratch.write("single.conf", "single")
            let sparse = try scratch.write("www/sparse", "begin")
            #expect(truncate(sparse, 3 << 20) == 0)
            let past = timespec(tv_sec: 1_000_000_000, tv_nsec: 0)
            utimensat(AT_FDCWD, sparse, [past, past], 0)
            #expect(symlink("large", scratch.path("www/link")) == 0)
            #expect(try await dr.run("backup").status == 0)

            let whole = try await dr.run("dump", "site@latest", "\(scratch.path)/www/large")
            #expect(whole.status == 0 && whole.output == large)
            #expect(try await dr.run("dump", "site@latest:tree/0/large").output == large)
            let single = try await dr.run("dump", "site@latest", "\(scratch.path)/single.conf")
            #expect(single.text == "single", "\(single)")
            // As it is shown, so it can be given back.
            let odd = try await dr.run(
                "dump", "site@latest", "\(scratch.path)/www/sub/odd \\x1b[31m")
            #expect(odd.text == "odd", "\(odd)")
            let holes = try await dr.run("dump", "site@latest", "\(scratch.path)/www/sparse")
            #expect(
                holes.output.count == 3 << 20 && holes.output.prefix(5) == Array("begin".utf8)[...])
            #expect(holes.output.dropFirst(5).allSatisfy { $0 == 0 })
            let saved = try await dr.run(
                "dump", "site@latest", "\(scratch.path)/www/sparse", "--output", "copy")
            #expect(saved.status == 0 && saved.output.isEmpty, "\(saved)")
            var status = stat()
            #expect(stat(scratch.path("copy"), &status) == 0)
            #expect(status.st_size == 3 << 20 && status.st_blocks * 512 < 1 << 20)
            let again = try await dr.run(
                "dump", "site@latest", "\(scratch.path)/www/large", "--output", "copy")
            #expect(again.status == ExitCode.usage.rawValue)
            #expect(
                try await OutsideProgram.run(["ls", scratch.path]).text.contains(".tmp") == false)

            let parts = try await dr.run("ls", "rows@latest", "--json")
            #expect(parts.text.contains("\"kind\":\"stream\""))
            let part = "output"
            let rows = try await dr.run("dump", "rows@latest", part)
            #expect(rows.text == (1...100_000).map { "\($0)\n" }.joined())

            for (arguments, message) in [
                (["site@latest", "\(scratch.path)/www"], "is a directory"),
                (["site@latest", "\(scratch.path)/www/link"], "is a symbolic link to large"),
                (["site@latest", "\(scratch.path)/www/nothing"], "has no \""),
                (["site@latest", "/nowhere"], "has nothing at \"/nowhere\""),
                (["site@latest"], "dump needs the path"),
                (["latest", "x"], "the latest run took 2 snapshots: "),
                (["sit@latest", "x"], "there is no snapshot of a service \"sit\""),
            ] {
                let outcome = try await dr.program(["dump"] + arguments).run()
                #expect(outcome.status == ExitCode.usage.rawValue, "\(outcome)")
                #expect(outcome.errorText.contains(message), "\(outcome)")
                #expect(outcome.output.isEmpty)
            }
        }
    }

    @Test(
        "What export and GNU tar bring back is what restore brings back",
        .enabled(if: TestEnvironment.isRoot, "owners and devices need root"))
    func export() async throws {
        try await with { scratch, dr in
            var random = SeededRandom.announced()
            var maker = TreeMaker(seed: random.next())
            let www = scratch.path("www")
            try maker.make(at: www, entries: 150)
            let capability = try await OutsideProgram.run(
                ["setcap", "cap_net_bind_service+ep", "\(www)/plain"])
            #expect(capability.status == 0, "\(capability)")
            #expect(try await dr.run("backup").status == 0)
            let restored = try await dr.run(
                "restore", "site", "--to", "./restored/", "--yes", "--privileged-metadata")
            #expect(restored.status == 0, "\(restored)")
            let place = scratch.path("restored/site/files\(www)")
            let expected = try TreeFingerprint(of: www)
            #expect(try TreeFingerprint(of: place).differences(from: expected) == [])

            func unpacked(_ command: String, to target: String) async throws -> TreeFingerprint {
                try scratch.makeDirectory(target)
                let options = "--numeric-owner --xattrs --xattrs-include='*' --acls"
                var program = dr.program([])
                program.words = [
                    "bash", "-c",
                    "set -o pipefail; \"$0\" \(command) | tar -xp \(options) -C \(target)", dr.path,
                ]
                let outcome = try await program.run()
                #expect(outcome.status == 0, "\(outcome)")
                return try TreeFingerprint(of: scratch.path(target))
            }
            let path = try await unpacked("export -q site@latest '\(www)'", to: "one")
            #expect(path.differences(from: expected) == [])
            let whole = try await unpacked("export -q site@latest", to: "two")
            #expect(whole.entries.count > expected.entries.count)
            #expect(
                try TreeFingerprint(of: scratch.path("two\(www)")).differences(from: expected)
                    == [])
            // Compressed, other programs take it for what it is, and for whole.
            for (method, check) in [("gzip", "gzip"), ("zstd", "zstd"), ("xz", "xz")] {
                let packed = scratch.path("packed.\(method)")
                let outcome = try await OutsideProgram(
                    [
                        "bash", "-c",
                        "\"$0\" export -q site@latest '\(www)' --compress \(method) > \(packed)"
                            + " && \(check) -qt \(packed) && mkdir \(packed).out"
                            + " && \(check) -dc < \(packed) | tar -xp --numeric-owner --xattrs"
                            + " --xattrs-include='*' --acls -C \(packed).out", dr.path,
                    ], environment: dr.environment, directory: dr.directory
                ).run()
                #expect(outcome.status == 0, "\(method): \(outcome)")
                #expect(try TreeFingerprint(of: "\(packed).out").differences(from: expected) == [])
            }
            // A file alone keeps its name.
            let file = try await unpacked("export -q 'site@latest:tree/0/large'", to: "four")
            #expect(Set(file.entries.keys) == [".", "large"])
            let terminal = try await OutsideProgram(
                ["script", "-qec", "\(dr.path) export site@latest", "/dev/null"],
                environment: dr.environment, directory: dr.directory
            ).run()
            #expect(terminal.status == ExitCode.usage.rawValue, "\(terminal)")
        }
    }

    @Test("A single path comes back alone, in or out of its place")
    func restorePath() async throws {
        try await with(
            """
            repository: repo
            objectives: {rpo: 1s}
            services:
              site: {files: [www], check: {command: "false"}}
              other: {files: [data]}
            """
        ) { scratch, dr in
            try scratch.makeDirectory("www/img")
            try scratch.makeDirectory("data")
            try scratch.write("www/index.html", "old")
            try scratch.write("www/img/a.png", "a")
            try scratch.write("data/x", "x")
            chmod(scratch.path("www/index.html"), 0o4640)
            #expect(try await dr.run("backup").status == 0)
            let first = try await ids(dr, "site")[0]
            try scratch.write("www/index.html", "new")
            #expect(try await dr.run("backup").status == 0)
            let www = "\(scratch.path)/www"
            func text(_ path: String) async throws -> String {
                try await OutsideProgram.run(["cat", scratch.path(path)]).text
            }

            // Neither objectives nor checks belong to a file.
            let one = try await dr.run(
                "restore", "site", "--path", "\(www)/index.html", "--to", "./one/", "--yes")
            #expect(one.status == 0, "\(one)")
            #expect(one.text.contains("1 path back"), "\(one)")
            #expect(one.text.contains("no service as a whole, only \(www)/index.html"), "\(one)")
            #expect(!one.text.contains("\nrecovery time "), "\(one)")
            #expect(try await text("one/index.html") == "new")
            #expect(
                try await OutsideProgram.run(["ls", scratch.path("one")]).text == "index.html\n")
            var status = stat()
            #expect(stat(scratch.path("one/index.html"), &status) == 0)
            #expect(status.st_mode & 0o7777 == 0o640)

            let older = try await dr.run(
                "restore", "\(first):\(www)/index.html", "--to", "./two/", "--yes")
            #expect(older.status == 0, "\(older)")
            #expect(try await text("two/index.html") == "old")
            let tree = try await dr.run(
                "restore", "--path", "\(www)/img", "--path", "\(scratch.path)/data/x", "--to",
                "./three/", "--yes")
            #expect(tree.status == 0, "\(tree)")
            #expect(try await text("three/img/a.png") == "a")
            #expect(try await text("three/x") == "x")

            let again = try await dr.run(
                "restore", "\(first):\(www)/index.html", "--to", "./two/", "--yes", "-q")
            #expect(again.status == ExitCode.failed.rawValue)
            #expect(again.errorText.contains("two/index.html exists"), "\(again)")
            let here = try await dr.run(
                "restore", "site", "--at", first, "--path", "\(www)/index.html", "--to", "here",
                "--replace", "--yes")
            #expect(here.status == 0, "\(here)")
            #expect(try await text("www/index.html") == "old")
            let aside = try await OutsideProgram.run(["ls", www])
            #expect(aside.text.contains("index.html_before_"), "\(aside)")
            // One file that came back where it was does not prove that the service would.
            let proof = try await dr.run("status", "--json")
            #expect(!proof.text.contains("\"proof\""), "\(proof)")
            for kind in ["markdown", "html"] {
                let report = try await dr.run("report", "--format", kind).text
                #expect(report.contains("1 path back") && report.contains("paths back"))
            }
            #expect(stat("\(www)/index.html", &status) == 0)
            #expect(status.st_mode & 0o7777 == 0o4640)

            for (arguments, message) in [
                (["site", "--path", "/nowhere/x"], "have no \"/nowhere/x\""),
                (["site", "--path", "\(www)/nothing"], "have no \"\(www)/nothing\""),
                (["other", "--path", "\(www)/index.html"], "snapshots of other have no "),
                (["\(first):/nowhere"], "has nothing at \"/nowhere\""),
                (["\(first):\(www)/img", "--at", "latest"], "names one thing of one snapshot"),
            ] {
                let outcome = try await dr.program(
                    ["restore"] + arguments + ["--to", "./four/", "--yes"]
                ).run()
                #expect(outcome.status == ExitCode.usage.rawValue, "\(outcome)")
                #expect(outcome.errorText.contains(message), "\(outcome)")
            }
            #expect(access(scratch.path("four"), F_OK) != 0)
        }
    }

    @Test("Pins and acceptances outlive the catalog and reach other machines")
    func marks() async throws {
        let configuration = """
            repository: repo
            services:
              site: {files: [www]}
              empty: {files: [nothing]}

            """
        try await with(configuration) { scratch, dr in
            try scratch.makeDirectory("www")
            try scratch.makeDirectory("nothing")
            for number in 0..<3 {
                try scratch.write("www/index.html", "\(number)")
                #expect(try await dr.run("backup", "site").status == 0)
            }
            #expect(try await dr.run("backup", "empty").status == ExitCode.partial.rawValue)
            // Only now, or each night would have forgotten the one before.
            try scratch.write("dr.yaml", configuration + "retention: {last: 1}\n")
            let nights = try await ids(dr, "site")
            let empty = try await ids(dr, "empty")[0]
            func row(_ id: String, _ environment: [String: String] = [:]) async throws -> String {
                let list = try await dr.run("snapshots", environment: environment)
                return lines(list).first { $0.hasPrefix(id) } ?? "none: \(list)"
            }
            #expect(try await row(nights[0]).hasSuffix("  may go"))
            #expect(
                try await row(nights[2]).hasSuffix(
                    "  last good snapshot of site/files:files, last 1"))
            #expect(try await row(empty).contains("  suspicious  "))

            let pinned = try await dr.run(
                "snapshots", "pin", nights[0], "--reason", "before the upgrade")
            #expect(pinned.status == 0 && pinned.text.hasSuffix(": pinned\n"), "\(pinned)")
            #expect(try await dr.run("snapshots", "pin", nights[1]).status == 0)
            let refused = try await dr.run("snapshots", "accept", nights[0])
            #expect(refused.status == ExitCode.usage.rawValue)
            #expect(refused.errorText.contains("is not suspicious"))
            #expect(try await dr.run("restore", "empty", "--to", "./x/", "--yes").status != 0)
            let accepted = try await dr.run(
                "snapshots", "accept", "empty@latest", "--reason", "as it should be")
            #expect(accepted.status == 0, "\(accepted)")
            #expect(try await dr.run("restore", "empty", "--to", "./x/", "--yes").status == 0)

            let before = try await dr.run("snapshots")
            #expect(before.text.contains("pinned: before the upgrade"), "\(before)")
            #expect(
                before.text.contains("\(empty) suspicious (accepted: as it should be): "),
                "\(before)")
            #expect(try await row(empty).contains("  accepted  "))
            // The catalog may be lost, and another machine has one of its own.
            _ = try await OutsideProgram.run(["rm", "-rf", scratch.path("state")])
            #expect(try await dr.run("snapshots").text == before.text)
            let other = ["XDG_STATE_HOME": scratch.path("other")]
            #expect(try await dr.run("snapshots", environment: other).text == before.text)
            let unpinned = try await dr.run("snapshots", "unpin", nights[1], environment: other)
            #expect(unpinned.status == 0, "\(unpinned)")
            #expect(try await row(nights[1]).hasSuffix("  may go"))
            #expect(try await row(nights[0]).contains("pinned"))
            let json = try await dr.run("snapshots", "list", "site", "--json")
            #expect(json.text.contains("\"mark\":\"pinned\",\"reason\":\"before the upgrade\""))
            let checked = try await dr.run("check")
            #expect(checked.status == 0, "\(checked)")
        }
    }
}
