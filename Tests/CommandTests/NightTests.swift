import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// Nights through the real program: services that fail beside services that do not.
@Suite("dr backup, night after night")
struct NightTests: CommandSuite {
    private func with(
        _ services: String, settings: String = "",
        _ body: (TemporaryDirectory, DrBinary) async throws -> Void
    ) async throws {
        try await NightWorld.with { world in
            try configure(world.scratch, services, settings)
            try await body(world.scratch, world.dr)
        }
    }

    private func configure(
        _ scratch: TemporaryDirectory, _ services: String, _ settings: String = ""
    ) throws {
        try scratch.write("dr.yaml", "repository: repo\n\(settings)\nservices:\n\(services)\n")
    }

    // MARK: Twelve services

    private static let twelve =
        (1...4).map { "  tree\($0): {files: [data/tree\($0)]}" }.joined(separator: "\n") + "\n"
        + (1...3).map { "  base\($0): {sqlite: data/base\($0).sqlite}" }.joined(separator: "\n")
            + """

              rows1: {command: {capture: seq 1000}}
              rows2: {command: {capture: seq 2000}}
              fails: {command: {capture: sh -c "echo half; test -e fixed || (echo no such table >&2; exit 7)"}}
              hangs: {command: {capture: sh -c "echo begun; test -e fixed || sleep 600"}, timeout: 2s}
              shrinks: {files: [data/shrinks]}
            """

    @Test(
        "Three of twelve fail, each in its own way; the nine others are safe, the next night heals")
    func twelveServices() async throws {
        try await with(Self.twelve, settings: "backup: {jobs: 4, jobs_per_host: 4, attempts: 1}") {
            scratch, dr in
            try await shell(
                """
                mkdir data; cd data
                for n in 1 2 3 4; do
                  mkdir tree$n; for f in $(seq 30); do seq $n $((f * 9)) >tree$n/$f; done; done
                mkdir shrinks; for f in $(seq 40); do echo $f >shrinks/$f; done
                """, in: scratch)
            for number in 1...3 {
                try await shell(
                    "python3 -c \"import sqlite3; c = sqlite3.connect('data/base\(number).sqlite');"
                        + " c.execute('create table t (a)'); c.executemany('insert into t values (?)',"
                        + " ((i,) for i in range(100))); c.commit()\"", in: scratch)
            }
            // The first night is whole.
            try scratch.write("fixed", "")
            expect(try await dr.run("backup"), .done, "12 of 12 saved")
            try await shell("rm fixed; cd data/shrinks; rm $(seq 10 40)", in: scratch)

            let bad = try await dr.run("backup")
            expect(
                bad, .partial, "10 of 12 saved",
                "fails/command:command: failed: command sh failed with exit code 7 (no such table)",
                "hangs/command:command: failed: hangs/command:command was not done within 2.0 s",
                "hint: look at what it waits for, or allow it more time",
                "shrinks/files:files: suspicious:", "dr snapshots accept")
            #expect(bad.elapsed < .seconds(30))
            // What is said to be safe is there, and comes back.
            let list = try await dr.run("snapshots", "--json").text
            func count(_ service: String) -> Int {
                list.split(separator: "\"service\":\"\(service)\"").count - 1
            }
            for service in ["tree1", "tree4", "base1", "base3", "rows1", "rows2", "shrinks"] {
                #expect(count(service) == 2, "\(service): \(list)")
            }
            #expect(count("fails") == 1 && count("hangs") == 1)
            expect(try await dr.run("check", "--read-data"), .done)
            expect(try await dr.run("restore", "tree4", "--to", "./back", "--yes"), .done)
            try await shell(
                "diff -r data/tree4 back/tree4/files/*/data/tree4 || "
                    + "diff -r data/tree4 $(find back -name tree4 -type d | tail -1)", in: scratch)
            // One shrunken one is not the last good one: the next is held against the first night.
            expect(
                try await dr.run("doctor"), .failed,
                "fails/command:command: command sh failed with exit code 7")

            try scratch.write("fixed", "")
            try await shell(
                "cd data/shrinks; for f in $(seq 40); do echo $f >$f; done", in: scratch)
            let good = try await dr.run("backup")
            expect(
                good, .done, "12 of 12 saved",
                "fails/command:command: recovered: not saved in the run before",
                "hangs/command:command: recovered:")
            let calm = try await dr.run("backup")
            expect(calm, .done, "12 of 12 saved")
            #expect(!calm.text.contains("recovered"), "\(calm)")
        }
    }

    @Test("A suspicious snapshot holds retention until it is accepted")
    func suspicious() async throws {
        try await with(
            "  site: {files: [site]}\n  small: {files: [small], plausibility: {files: 90}}",
            settings: "retention: {last: 1}"
        ) { scratch, dr in
            try await shell(
                "mkdir site small; for f in $(seq 30); do echo $f >site/$f; echo $f >small/$f; done",
                in: scratch)
            expect(try await dr.run("backup"), .done)
            try await shell("rm site/1* site/2* small/1* small/2*", in: scratch)
            expect(
                try await dr.run("backup"), .partial, "holds 8 files: 73 % less than the 30",
                "small/files:files")
            func rows(_ service: String) async throws -> [Substring] {
                let list = try await dr.run("snapshots", service, "--json").text
                return list.split(separator: "\"id\":\"").dropFirst().map { $0.prefix(64) }
            }
            #expect(try await rows("site").count == 2)
            #expect(try await rows("small").count == 1)
            // Restore takes the good one as long as nobody has said that the other is right too.
            expect(try await dr.run("backup"), .partial, "holds 8 files")
            #expect(try await rows("site").count == 3)
            let newest = try await rows("site")[0]
            expect(try await dr.run("snapshots", "accept", String(newest)), .done)
            expect(try await dr.run("backup"), .done)
            #expect(try await rows("site").count == 1)
        }
    }

    // MARK: Side by side

    @Test("Captures run side by side, as many as allowed, the important ones first")
    func sideBySide() async throws {
        // Each waits until the other one has begun: alone it would wait for ever.
        func meet(_ own: String, _ other: String) -> String {
            "[sh, -c, 'touch $0; until test -e $1; do sleep 0.02; done; echo met', \(own), \(other)]"
        }
        func note(_ name: String) -> String { "[sh, -c, 'echo $0 >>order; echo x', \(name)]" }
        try await with(
            """
              a: {command: {capture: \(meet("a", "b"))}, timeout: 20s}
              b: {command: {capture: \(meet("b", "a"))}, timeout: 20s}
            """
        ) { scratch, dr in
            expect(try await dr.run("backup"), .done, "2 of 2 saved")
            try configure(
                scratch,
                """
                  low: {command: {capture: \(note("low"))}, priority: 10}
                  usual: {command: {capture: \(note("usual"))}}
                  high: {command: {capture: \(note("high"))}, priority: 90}
                """, "backup: {jobs: 1}")
            expect(try await dr.run("backup"), .done)
            let order = try await OutsideProgram.run(["cat", scratch.path("order")]).text
            #expect(order == "high\nusual\nlow\n")
        }
    }

    @Test("What may pass is tried again, the deadline of a run is kept")
    func retriesAndDeadline() async throws {
        try await with(
            "  slow: {command: {capture: sleep 600}}\n  quick: {command: {capture: echo x}}",
            settings: "backup: {deadline: 2s, jobs: 2}"
        ) { _, dr in
            let outcome = try await dr.run("backup")
            expect(
                outcome, .partial, "1 of 2 saved",
                "slow/command:command: failed: its capture was ended: the run took longer than 2.0 s",
                "hint: allow it more with backup.deadline")
            #expect(outcome.elapsed < .seconds(20))
        }
    }

    // MARK: Hooks

    @Test("Hooks run before and after, and when something failed; their own failures are told")
    func hooks() async throws {
        func say(_ hook: String) -> String {
            "[sh, -c, 'echo $0 $DR_SERVICE $DR_RESULT >>said; test $0 != $BREAK', \(hook)]"
        }
        try await with(
            """
              a:
                command: {capture: sh -c "cat said; test ! -e broken"}
                hooks: {before: \(say("before")), after: \(say("after")), failed: \(say("failed"))}
            """, settings: "backup: {hooks: {before: touch run-began, after: touch run-ended}}"
        ) { scratch, dr in
            func said() async throws -> String {
                let text = try await OutsideProgram.run(["cat", scratch.path("said")]).text
                _ = try await OutsideProgram.run(["rm", scratch.path("said")])
                return text
            }
            expect(try await dr.run("backup", environment: ["BREAK": "none"]), .done)
            #expect(try await said() == "before a\nafter a saved\n")
            #expect(access(scratch.path("run-began"), F_OK) == 0)
            #expect(access(scratch.path("run-ended"), F_OK) == 0)
            try scratch.write("broken", "")
            let failed = try await dr.run("backup", environment: ["BREAK": "none"])
            expect(failed, .failed, "0 of 1 saved")
            #expect(try await said() == "before a\nafter a failed\nfailed a failed\n")
            _ = try await OutsideProgram.run(["rm", scratch.path("broken")])
            // Nothing is captured when the service was not made ready; it is set going all the same.
            let unready = try await dr.run("backup", environment: ["BREAK": "before"])
            expect(
                unready, .failed,
                "its capture was not begun: the hook before (sh) failed with exit code 1")
            #expect(try await said() == "before a\nafter a failed\nfailed a failed\n")
            let after = try await dr.run("backup", environment: ["BREAK": "after"])
            expect(after, .partial, "1 of 1 saved", "the hook after (sh) failed with exit code 1")
        }
    }

    // MARK: Ends

    @Test("SIGTERM ends within seconds: what was saved is safe, what was stopped runs again")
    func terminated() async throws {
        try await with(
            """
              first: {command: {capture: seq 100}, priority: 90}
              stubborn:
                command: {capture: sh -c "trap '' TERM; touch begun; while :; do sleep 1; done"}
                hooks: {before: touch stopped, after: rm stopped}
            """, settings: "backup: {jobs: 1}"
        ) { scratch, dr in
            let running = try dr.start("backup")
            try await wait(for: "begun", in: scratch)
            running.signal(SIGTERM)
            let began = ContinuousClock.now
            let outcome = try await running.outcome()
            #expect(ContinuousClock.now - began < .seconds(15))
            expect(
                outcome, .terminated, "1 of 2 saved",
                "stubborn/command:command: failed: its capture was ended, because the run was")
            #expect(access(scratch.path("stopped"), F_OK) != 0)
            #expect(try await dr.run("snapshots", "first").text.contains("first/command"))
            expect(try await dr.run("check"), .done)
        }
    }

    @Test("After kill -9 the next run begins at once, --resume does only what is missing")
    func killed() async throws {
        try await with(
            """
              first: {command: {capture: sh -c "echo x >>first; echo x"}, priority: 90}
              second: {command: {capture: sh -c "touch begun; test -e fixed || sleep 600; echo x"}}
            """, settings: "backup: {jobs: 1}"
        ) { scratch, dr in
            let running = try dr.start("backup")
            try await wait(for: "begun", in: scratch)
            let busy = try await dr.run("backup")
            expect(busy, .busy, "another run is going on: dr backup, process")
            running.signal(SIGKILL)
            _ = try await running.outcome()
            expect(try await dr.run("doctor"), .failed, "dr backup --resume goes on with it")
            try scratch.write("fixed", "")
            let resumed = try await dr.run("backup", "--resume", "--json")
            expect(resumed, .done)
            let first = try await OutsideProgram.run(["cat", scratch.path("first")]).text
            #expect(first == "x\n")
            // Both are of one recovery point.
            let list = try await dr.run("snapshots", "--json").text
            let runs = Set(list.split(separator: "\"run\":\"").dropFirst().map { $0.prefix(64) })
            #expect(runs.count == 1, "\(list)")
            expect(try await dr.run("backup", "--resume"), .usage, "came to its end")
            expect(try await dr.run("doctor"), .done)
            expect(try await dr.run("check", "--read-data"), .done)
        }
    }
}
