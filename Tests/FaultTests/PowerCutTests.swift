import CLinux
import Engine
import Glibc
import Model
import TestSupport
import Testing

/// The power fails while `dr` runs, or right after it said that all is saved.
@Suite(.enabled(if: ScratchDisk.hasLoopDevices, "needs root and loop devices"))
struct PowerCutTests {
    @Test("Nothing acknowledged is lost and nobody has to help", .timeLimit(.minutes(60)))
    func cuts() async throws {
        let count = TestEnvironment.isFull ? 100 : 6
        try await FaultWorld.with("power") { world in
            var random = SeededRandom.announced()
            let trials = Trials()
            let disk = try await ScratchDisk.ext4("disk", megabytes: 96, in: world.scratch)
            for number in 0..<count {
                let isAfter = number % 3 == 0
                let moment = Duration.milliseconds(Int.random(in: 0..<350, using: &random))
                let name = "disk/trial\(number)"
                let trial = try await world.trial(name)
                sync()
                do {
                    try await cut(trial, world, disk, after: isAfter ? nil : moment)
                    trials.add(true)
                } catch {
                    trials.add(harmed: true)
                    Issue.record(
                        "power cut \(isAfter ? "after success" : "after \(moment)"): \(error)")
                }
                await trial.remove()
            }
            print("power cuts: \(trials.text)")
        }
    }

    /// - Parameter moment: When the power fails; nil for right after the run has said that it is done.
    private func cut(
        _ trial: Trial, _ world: FaultWorld, _ disk: ScratchDisk, after moment: Duration?
    ) async throws {
        var saved: [String] = []
        let running = try trial.dr.program(["backup", "--json"]).start()
        if let moment {
            try await Task.sleep(for: moment)
            // What it has said so far counts.
            saved = savedSnapshots(running.outputSoFar())
        } else {
            let outcome = try await running.outcome()
            guard outcome.status == 0 else { throw TrialFailure("backup: \(outcome)") }
            saved = savedSnapshots(outcome.text)
            if saved.isEmpty { throw TrialFailure("it does not say what it saved: \(outcome)") }
        }
        try await disk.failPower()
        if moment != nil {
            running.signalGroup(SIGKILL)
            _ = try await running.outcome()
        }
        try await disk.restart()
        try await world.expectUnharmed(trial, alsoSaved: saved)
    }

    /// Snapshots of the tree that a run has called saved.
    private func savedSnapshots(_ output: String) -> [String] {
        output.split(separator: "\n")
            .filter { $0.contains("\"message_type\":\"saved\"") && $0.contains("site/files") }
            .compactMap { line in
                line.split(separator: "\"snapshot\":\"").dropFirst().first.map {
                    String($0.prefix(64))
                }
            }
    }
}
