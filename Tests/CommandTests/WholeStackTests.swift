import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// What a household or a small shop runs: two databases, an application on both, a proxy in front, a
/// worker of a Compose project, a cache. It comes back from nothing, killed on the way; into a
/// directory; and over itself.
@Suite(
    "A whole stack",
    .enabled(if: TestEnvironment.hasDockerPostgres, "needs a Docker Engine and a PostgreSQL image"),
    .enabled(if: TestEnvironment.isRoot, "looking into volumes needs root"))
struct WholeStackTests {
    @Test("It comes back with one command, killed and taken up again, and over itself")
    func comesBack() async throws {
        try await TemporaryDirectory.with("whole") { scratch in
            var random = SeededRandom.announced()
            let stack = try WholeStack(in: scratch)
            try await stack.start()
            let before = try await stack.state()
            #expect(before.answer.contains("200 OK") && before.answer.contains("500 2000"))
            var dr = try DrBinary(in: scratch)
            dr.environment["DR_PASSWORD"] = "correct horse battery staple"
            dr.environment["DR_CONFIG"] = try scratch.write("dr.yaml", stack.configuration)
            try require(await dr.run("init"), endsWith: .done)
            try require(await dr.run("backup", "--quiet"), endsWith: .done)

            try await intoADirectory(dr, stack, scratch)

            // From nothing, with a kill -9 on the way.
            await stack.docker.removeEverything()
            _ = try await OutsideProgram.run(["rm", "-rf", stack.proxyDirectory])
            let watch = ContinuousClock.now
            let first = try dr.start("restore", "--to", "here", "--yes", "--json")
            let share = Int.random(in: 2...8, using: &random)
            try await untilDone(share, first)
            first.signal(SIGKILL)
            let killed = try await first.outcome()
            let resumed = try await dr.run("restore", "--resume", "--json")
            let elapsed = watch.duration(to: .now)
            try require(resumed, endsWith: .done)
            #expect(started(resumed).isDisjoint(with: done(killed)))
            #expect(try await stack.state() == before)
            let report = try await report(dr)
            #expect(report.steps.allSatisfy { $0.state == .done })
            #expect(report.resumed?.count == 1)
            let seen =
                Double(elapsed.components.seconds)
                + Double(elapsed.components.attoseconds) / 1e18
            #expect(report.ended.seconds <= seen && report.ended.seconds >= seen * 0.98 - 0.6)

            // Over itself: what is there now stays, under other names.
            try await stack.spoil()
            let refused = try await dr.run("restore", "--to", "here", "--yes")
            try require(refused, endsWith: .failed)
            #expect(refused.errorText.contains("--replace"))
            let replaced = try await dr.run("restore", "--to", "here", "--yes", "--replace")
            try require(replaced, endsWith: .done)
            #expect(try await stack.state() == before)
            let remains = try await stack.docker.remains()
            #expect(remains.contains { $0.hasPrefix("\(stack.api)_before_") })
            let volume = try #require(remains.first { $0.hasPrefix("\(stack.www)_before_") })
            let place = try await stack.docker.mountPoint(of: volume)
            #expect(try await OutsideProgram.run(["cat", "\(place)/spoilt"]).text == "spoilt\n")
        }
    }

    /// Trees as trees, dumps that `pg_restore` takes, definitions as documents; nothing is started.
    private func intoADirectory(_ dr: DrBinary, _ stack: WholeStack, _ scratch: TemporaryDirectory)
        async throws
    {
        let out = scratch.path("out")
        try require(
            await dr.run(
                "restore", "--to", out, "--yes", "--quiet", "--privileged-metadata"),
            endsWith: .done)
        let www = try await stack.docker.mountPoint(of: stack.www)
        let tree = try TreeFingerprint(of: "\(out)/api/\(stack.api)/volume/\(stack.www)")
        #expect(tree.differences(from: try TreeFingerprint(of: www)) == [])
        let dump = "\(out)/shop-db/\(stack.name("shop-db"))/shop.dump"
        let list = try await OutsideProgram.run([
            TestEnvironment.postgresBin.map { "\($0)/pg_restore" } ?? "pg_restore", "--list", dump,
        ])
        #expect(list.status == 0 && list.text.contains("TABLE DATA public purchase"), "\(list)")
        let definition = try await OutsideProgram.run([
            "cat", "\(out)/proxy/\(stack.proxy)/container/\(stack.proxy).json",
        ])
        #expect(definition.text.contains(stack.proxy), "\(definition)")
    }

    private func untilDone(_ count: Int, _ running: OutsideProgram.Running) async throws {
        let limit = ContinuousClock.now + .seconds(120)
        while ContinuousClock.now < limit {
            let done = running.outputSoFar().ranges(of: "\"state\":\"done\"").count
            if done >= count || kill(running.process, 0) != 0 { return }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    private func steps(_ outcome: OutsideProgram.Outcome, _ state: String) -> Set<String> {
        Set(
            outcome.text.split(separator: "\n")
                .filter { $0.contains("\"step\":") && $0.contains("\"state\":\"\(state)\"") }
                .compactMap {
                    $0.split(separator: "\"step\":\"").dropFirst().first?
                        .split(separator: "\"").first.map(String.init)
                })
    }
    private func started(_ outcome: OutsideProgram.Outcome) -> Set<String> {
        steps(outcome, "started")
    }
    private func done(_ outcome: OutsideProgram.Outcome) -> Set<String> { steps(outcome, "done") }

    private func report(_ dr: DrBinary) async throws -> RecoveryReport {
        let document = try await dr.run("report", "--json")
        try require(document, endsWith: .done)
        let report = try JSONDecoder().decode(RecoveryReport.self, from: Data(document.output))
        try report.validate()
        return report
    }
}
