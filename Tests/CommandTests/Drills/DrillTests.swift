import FoundationEssentials
import Model
import TestSupport
import Testing

@Suite(
    "dr drill",
    .enabled(if: TestEnvironment.hasDocker, "needs a Docker Engine"),
    .enabled(if: TestEnvironment.isRoot, "looking into volumes needs root"))
struct DrillTests {
    @Test("Copies come back beside what lives, are proven and removed; what lives is as it was")
    func beside() async throws {
        try await TemporaryDirectory.with("drill") { scratch in
            let world = try await DrillWorld(in: scratch, more: "retention: {last: 1}\n")
            let dr = world.dr
            let inventory = try await world.docker.inventory(of: world.docker.prefix)
            let files = try TreeFingerprint(of: scratch.path("site"))
            try require(
                await dr.run("drill", "--yes"), endsWith: .done, saying: "passed", "nothing left")
            #expect(
                try await world.docker.inventory(of: world.docker.prefix) == inventory)
            #expect(try TreeFingerprint(of: scratch.path("site")).differences(from: files) == [])
            try await world.expectNoResidue()

            let report = try await world.evidence()
            #expect(report.attestation.isPassed)
            #expect(report.cleanup.isClean)
            #expect(report.cleanup.removed.count >= 6)
            #expect(report.recovery.services.map(\.state.rawValue).allSatisfy { $0 == "recovered" })
            func outcomes(_ kind: String) -> [String: DrillReport.Verification.Outcome] {
                Dictionary(
                    report.verification.filter { $0.kind == kind }.map { ($0.subject, $0.outcome) }
                ) { first, _ in first }
            }
            #expect(outcomes("check")["web"] == .passed)
            #expect(outcomes("check")["site"] == .skipped)
            #expect(outcomes("check")["manager"] == .skipped)
            #expect(outcomes("assertion")["web"] == .passed)
            #expect(outcomes("live side").values.first == .passed)
            #expect(outcomes("sample").count >= 3)
            #expect(outcomes("sample").values.allSatisfy { $0 == .passed })
            #expect(report.scenario.outOfScope.contains { $0.contains("manages containers") })
            #expect(report.inputs.count == 4)

            // What the drill has proven is told, kept by retention, and goes out of date.
            try require(await dr.run("status"), endsWith: .done, saying: "last drill today, passed")
            let drilled = report.inputs.map { String("\($0.snapshot)".prefix(8)) }
            for _ in 0..<2 { try require(await dr.run("backup", "--quiet"), endsWith: .done) }
            try require(await dr.run("forget"), endsWith: .done)
            let left = try await dr.run("snapshots").text
            for id in drilled { #expect(left.contains(id), "\(id) of \(left)") }

            try require(await dr.run("report", "verify"), endsWith: .done, saying: "1 records")
            let changed = world.configuration(nil).replacing("10m", with: "11m")
            try scratch.write("dr.yaml", changed + "retention: {last: 1}\n")
            try require(
                await dr.run("status"), endsWith: .done, saying: "the configuration has changed")
        }
    }

    @Test("What is planted wrong is named: an assertion, a name that is taken, residue")
    func planted() async throws {
        try await TemporaryDirectory.with("drill-faults") { scratch in
            let world = try await DrillWorld(in: scratch, assertion: "{container: nothing}")
            let dr = world.dr
            // A name of the drill that somebody has: refused before anything is made.
            let id = String(repeating: "ab", count: 32)
            let taken = "drill-abababab-\(world.docker.prefix)-mine"
            try await world.docker.docker("volume", "create", taken)
            try require(
                await dr.run("drill", "--yes", "--id", id), endsWith: .failed, saying: taken,
                "exists already")
            #expect(try await world.docker.copies() == [taken])
            try await world.docker.docker("volume", "rm", taken)

            // An assertion that is not true.
            let url = "http://127.0.0.1:\(world.port)/index.html"
            try scratch.write(
                "dr.yaml", world.configuration("{http: \"\(url)\", body: absent, timeout: 1s}"))
            try require(
                await dr.run("drill", "web", "--yes"), endsWith: .verificationFailed,
                saying: "without the expected text", "not passed")
            try await world.expectNoResidue()

            // Somebody holds what the drill has made, so that it cannot be removed.
            let slow = "{http: \"\(url)\", body: absent, timeout: 12s}"
            try scratch.write("dr.yaml", world.configuration(slow))
            let other = String(repeating: "cd", count: 32)
            let running = try dr.start("drill", "web", "--yes", "--id", other)
            let volume = "drill-cdcdcdcd-\(world.www)"
            let image = try #require(TestEnvironment.busyboxImage)
            let limit = ContinuousClock.now + .seconds(30)
            while try await !world.docker.copies().contains("drill-cdcdcdcd-\(world.web)"),
                ContinuousClock.now < limit
            { try await Task.sleep(for: .milliseconds(50)) }
            try await expectIsolated(world, "drill-cdcdcdcd-")
            let holder = world.docker.name("holder")
            try await world.docker.docker(
                "run", "-d", "--name", holder, "-v", "\(volume):/x", "--stop-timeout", "1", image,
                "sleep", "1000")
            let outcome = try await running.outcome()
            try require(outcome, endsWith: .failed, saying: volume, "LEFT BEHIND")
            let report = try await world.evidence(other)
            #expect(report.cleanup.residue == ["volume \(volume)"])
            #expect(!report.attestation.isPassed)
            // Others do not begin on top of it; when it can be removed, it is.
            try require(
                await dr.run("drill", "web", "--yes"), endsWith: .failed, saying: volume)
            try await world.docker.docker("rm", "-f", holder)
            try require(await dr.run("drill", "--cleanup"), endsWith: .done, saying: volume)
            try await world.expectNoResidue()
            try require(await dr.run("drill", "--cleanup"), endsWith: .done, saying: "nothing")
        }
    }

    /// A copy leads nowhere, and nothing that acts on labels or restarts finds it.
    private func expectIsolated(_ world: DrillWorld, _ prefix: String) async throws {
        let facts = try await world.docker.docker(
            "inspect", "--format",
            "{{json .HostConfig.PortBindings}} {{.HostConfig.RestartPolicy.Name}} "
                + "{{json .Config.Labels}} {{json .HostConfig.Binds}}", prefix + world.web)
        #expect(facts.hasPrefix("null no ") || facts.hasPrefix("{} no "), "\(facts)")
        #expect(facts.contains("\"dr.drill\"") && !facts.contains("traefik"), "\(facts)")
        #expect(!facts.contains("\"\(world.scratch.path("conf"))"), "\(facts)")
        let network = prefix + world.docker.name("net")
        #expect(
            try await world.docker.docker(
                "network", "inspect", "--format", "{{.Internal}}", network) == "true")
    }

    @Test("A step that fails on purpose takes with it what needs it; a service left out, its users")
    func scenarios() async throws {
        try await TemporaryDirectory.with("drill-scenarios") { scratch in
            let world = try await DrillWorld(in: scratch)
            let dr = world.dr
            try require(
                await dr.run("drill", "--yes", "--fail", "start:\(world.web)"), endsWith: .done,
                saying: "degradation", "not passed")
            var report = try await world.evidence()
            #expect(report.scenario.failing.count == 1)
            #expect(report.results.notExecuted.contains("web/healthy"))
            #expect(report.results.notExecuted.contains("worker/healthy"))
            #expect(report.recovery.services.first { $0.name == "site" }?.isHealthy == true)

            try require(await dr.run("drill", "--yes", "--without", "web"), endsWith: .done)
            report = try await world.evidence()
            #expect(report.scenario.without.map(\.text).sorted() == ["web", "worker"])
            #expect(report.recovery.services.map(\.name.text).sorted() == ["manager", "site"])
            #expect(!report.attestation.isPassed)
            try await world.expectNoResidue()

            // What people say of it stays beside it; an action is carried on until it is done.
            try require(
                await dr.run("drill", "note", "the runbook was out of date"), endsWith: .done)
            try require(
                await dr.run("drill", "note", "write it anew", "--action", "--owner", "Ada"),
                endsWith: .done, saying: "#4")
            try require(await dr.run("drill", "site", "--yes"), endsWith: .done, saying: "#4")
            #expect(try await world.evidence().actions.map(\.number) == [4])
            try require(await dr.run("drill", "note", "--close", "4"), endsWith: .done)
            try require(await dr.run("drill", "note", "--close", "4"), endsWith: .usage)
            try require(await dr.run("report", "verify"), endsWith: .done, saying: "6 records")
        }
    }
}
