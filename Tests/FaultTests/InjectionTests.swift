import Engine
import Glibc
import Model
import Synchronization
import TestSupport
import Testing

/// System calls that fail on paths of the repository, once or from then on.
@Suite(.enabled(if: Strace.isThere, "needs strace")) struct InjectionTests {
    private struct Case: Sendable, CustomStringConvertible {
        var arguments: [String]
        var point: Strace.Point
        var error: String
        var isPersistent: Bool
        var description: String {
            "\(arguments[0]), \(point) fails with \(error)\(isPersistent ? " from then on" : "")"
        }
    }

    private enum Verdict: String, CaseIterable {
        /// The call that failed was not one of the repository's.
        case missed
        /// It failed, said so, and put the blame where it belongs.
        case loud = "loud"
        /// It went on to a good end all the same.
        case tolerated
    }

    @Test(
        "None succeeds in silence, blames the source, hangs, or leaves half a snapshot listed",
        .timeLimit(.minutes(60)))
    func matrix() async throws {
        try await FaultWorld.with("inject") { world in
            var random = SeededRandom.announced()
            let counts = Mutex<[Verdict: Int]>([:])
            let harmed = Mutex(0)
            let cases = try await choose(world, &random)
            try await inPairs(cases) { trialCase in
                let trial = try await world.trial()
                do {
                    let verdict = try await run(trialCase, trial, world)
                    counts.withLock { $0[verdict, default: 0] += 1 }
                } catch {
                    harmed.withLock { $0 += 1 }
                    Issue.record("\(trialCase): \(error)")
                }
                await trial.remove()
            }
            let found = counts.withLock { $0 }
            let hit = found.filter { $0.key != .missed }.values.reduce(0, +)
            print(
                "\(cases.count) faults, \(hit) of them in the repository:"
                    + " \(found.map { "\($0.key.rawValue) \($0.value)" }.sorted()),"
                    + " \(harmed.withLock { $0 }) harmed")
            // The count of calls in a thread differs from run to run; most still hit.
            #expect(hit * 2 >= cases.count)
        }
    }

    /// Calls of each kind that the repository sees, each kind as likely as another.
    private func choose(_ world: FaultWorld, _ random: inout SeededRandom) async throws -> [Case] {
        let scale = TestEnvironment.isFull ? 7 : 1
        var plans: [(arguments: [String], calls: [String], count: Int)] = [
            (["backup", "--quiet"], Strace.changing, 22),
            (
                ["check", "--read-data"],
                ["openat", "pread64", "read", "getdents64", "newfstatat"], 4
            ),
            (
                ["restore", "site", "--to", "./out", "--yes", "--quiet"],
                ["openat", "pread64", "read", "getdents64"], 4
            ),
        ]
        if world.commands.contains("forget") {
            plans.append((["forget", world.snapshots[0], "--yes"], Strace.changing, 5))
        }
        var cases: [Case] = []
        for (arguments, calls, count) in plans {
            let model = try await world.trial()
            let points = try await Strace.points(
                model.dr.program(arguments), calls: calls, below: model.repository,
                log: world.scratch.path("points"))
            await model.remove()
            let kinds = points.map(\.call).unique
            guard !kinds.isEmpty else {
                let log = try await OutsideProgram.run([
                    "tail", "-n5", world.scratch.path("points"),
                ])
                throw TrialFailure("dr \(arguments) makes no call in the repository: \(log.text)")
            }
            for number in 0..<(count * scale) {
                let kind = kinds[number % kinds.count]
                guard let point = points.filter({ $0.call == kind }).randomElement(using: &random)
                else { continue }
                let isFull =
                    ["write", "pwrite64", "openat", "mkdir", "fsync", "rename"]
                    .contains(kind) && Bool.random(using: &random)
                cases.append(
                    Case(
                        arguments: arguments, point: point, error: isFull ? "ENOSPC" : "EIO",
                        isPersistent: kind != "write"
                            && Int.random(in: 0..<3, using: &random) == 0))
            }
        }
        return cases
    }

    private func run(_ trialCase: Case, _ trial: Trial, _ world: FaultWorld) async throws -> Verdict
    {
        let log = trial.path + "/strace.log"
        let program = trial.dr.program(trialCase.arguments, timeout: .seconds(60))
        let outcome = try await Strace.failing(
            program, at: trialCase.point, error: trialCase.error,
            isPersistent: trialCase.isPersistent, log: log
        ).run()
        let injected = try await Strace.injected(log)
        if outcome.ranOutOfTime {
            // Each thread counts its calls: what failed woke threads of the runtime, which sleep on.
            if injected.contains(where: { $0.contains("anon_inode:") || $0.contains("pipe:[") }) {
                return .missed
            }
            throw TrialFailure("it hangs")
        }
        let hits = injected.filter { $0.contains(trial.repository) }
        if hits.isEmpty { return .missed }
        let isOnlyThere = hits.count == injected.count
        // Each thread counts its calls: a file of the source failed as well, and was named.
        if !isOnlyThere, outcome.status == ExitCode.partial.rawValue { return .missed }
        if outcome.status != 0, isOnlyThere {
            let text = outcome.errorText + outcome.text
            if trialCase.arguments[0] == "restore", outcome.status == ExitCode.partial.rawValue {
                // One file did not come back, because of a pack that is named.
                guard text.contains(trial.repository) else {
                    throw TrialFailure("the repository is not named: \(outcome)\n\(hits)")
                }
            } else if outcome.status == ExitCode.partial.rawValue
                || text.contains(world.scratch.path("tree"))
            {
                throw TrialFailure("the source is blamed: \(outcome)\n\(hits)")
            }
            if outcome.status > 128 { throw TrialFailure("it crashes: \(outcome)") }
            if trialCase.error == "ENOSPC", outcome.status != ExitCode.noSpace.rawValue {
                throw TrialFailure("it does not say that there is no space: \(outcome)\n\(hits)")
            }
        }
        switch trialCase.arguments[0] {
        case "backup":
            let listed = try await trial.snapshots("site")
            let new = listed.filter { !world.snapshots.contains($0) }
            if outcome.status == 0, new.isEmpty {
                throw TrialFailure("silent: nothing was saved: \(outcome)\n\(hits)")
            }
            // Where the source was hit as well, a snapshot may say that it is partial.
            if isOnlyThere || outcome.status == 0 {
                for id in new { try await world.expect(world.now, of: id, in: trial) }
            }
            try await world.expectUnharmed(trial, alsoSaved: outcome.status == 0 ? new : [])
        case "restore":
            if outcome.status == 0 {
                let found = try TreeFingerprint(
                    of: world.restored("\(trial.path)/out"), aspects: FaultWorld.aspects)
                let differences = found.differences(from: world.second)
                if !differences.isEmpty {
                    throw TrialFailure("silent: \(differences)\n\(hits)")
                }
            }
            _ = try await OutsideProgram.run(["rm", "-rf", "\(trial.path)/out"])
            try await world.expectUnharmed(trial)
        case "forget":
            try await world.expectUnharmed(trial, forgotten: [world.snapshots[0]])
        default: try await world.expectUnharmed(trial)
        }
        return outcome.status == 0 ? .tolerated : .loud
    }
}
