import CLinux
import Glibc
import Model
import TestSupport
import Testing

@Suite(
    "Drills that are killed",
    .enabled(if: TestEnvironment.hasDocker, "needs a Docker Engine"),
    .enabled(if: TestEnvironment.isRoot, "looking into volumes needs root"))
struct DrillKillTests {
    @Test("Drills in a row, a fifth of them killed: nothing is left, nothing that lives is touched")
    func row() async throws {
        try await TemporaryDirectory.with("drill-kills") { scratch in
            let world = try await DrillWorld(in: scratch)
            let dr = world.dr
            let before = try await world.docker.inventory(of: world.docker.prefix)
            var random = SeededRandom.announced("moments of death")
            let count = TestEnvironment.isFull ? 50 : 5
            let spared = try await dr.run("drill", "--yes")
            try require(spared, endsWith: .done)
            var killed = 0
            for number in 1..<count {
                guard number % 5 == 1 else {
                    try require(await dr.run("drill", "--yes", "--quiet"), endsWith: .done)
                    continue
                }
                let whole = spared.elapsed.components
                let length = Double(whole.seconds) + Double(whole.attoseconds) / 1e18
                let moment = Double.random(in: 0.05..<1.0, using: &random) * length
                let running = try dr.start("drill", "--yes", "--quiet")
                try await Task.sleep(for: .seconds(moment))
                running.signal(number % 10 == 1 ? SIGKILL : SIGTERM)
                _ = try await running.outcome()
                killed += 1
                try require(await dr.run("drill", "--cleanup"), endsWith: .done)
                try await world.expectNoResidue()
            }
            #expect(killed > 0)
            try await world.expectNoResidue()
            let after = try await world.docker.inventory(of: world.docker.prefix)
            #expect(after == before)
            try require(await dr.run("report", "verify"), endsWith: .done)
            // Every drill that began has its evidence.
            let runs = try await dr.run("report", "--list").text.split(separator: "\n").filter {
                $0.contains(" drill ")
            }
            for run in runs {
                let id = String(run.prefix { $0 != " " })
                let report = try await world.evidence(id)
                #expect(report.cleanup.isClean, "\(id)")
            }
        }
    }
}
