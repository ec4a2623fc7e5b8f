import Engine
import Glibc
import Model
import Repository
import TestSupport
import Testing

/// `kill -9` at any moment of a restore, and `dr restore --resume` goes on.
@Suite struct ResumeKillTests {
    private var trials: Int { TestEnvironment.isFull ? 200 : 10 }

    @Test(
        "Killed at random, all of it comes back, nothing that was proven is done twice",
        .timeLimit(.minutes(60)))
    func killedAtRandom() async throws {
        try await TemporaryDirectory.with("resume") { scratch in
            var random = SeededRandom.announced()
            let world = try await ResumeWorld(scratch)
            for target in [ResumeWorld.Target.here, .directory] { try await world.learn(target) }
            var (kills, resumes) = (0, 0)
            for number in 0..<trials {
                let target = number % 3 == 2 ? ResumeWorld.Target.directory : .here
                let trial = try await world.trial(target, &random)
                kills += trial.kills
                resumes += trial.resumes
            }
            print("\(trials) restores: killed \(kills) times, taken up again \(resumes) times")
            #expect(kills >= trials / 2, "hardly any of them was hit")
        }
    }
}

/// Files, databases and programs that are saved once and restored often, without any server.
private final class ResumeWorld {
    enum Target {
        case here, directory
    }

    private struct Learned {
        var took: Duration
        /// From the plan on.
        var worked: Duration
        var files: TreeFingerprint
    }

    private let scratch: TemporaryDirectory
    private var dr: DrBinary
    private let sources: [String: TreeFingerprint]
    /// What a process of dr takes to begin, in seconds.
    private var startUp = 0.0
    /// The latest run that was dealt with.
    private var lastRun = ""
    private var learned: [Target: Learned] = [:]
    init(_ scratch: TemporaryDirectory) async throws {
        self.scratch = scratch
        var content = SeededRandom(seed: 11)
        for tree in ["one", "two", "three", "four"] {
            try scratch.makeDirectory("world/\(tree)/deep")
            for number in 0..<40 {
                let place = number % 2 == 0 ? "" : "deep/"
                try scratch.write(
                    "world/\(tree)/\(place)file-\(number)", content.bytes(number * 2_500))
            }
            symlink("file-2", scratch.path("world/\(tree)/link"))
            link(
                scratch.path("world/\(tree)/file-8"), scratch.path("world/\(tree)/deep/same"))
        }
        sources = try Dictionary(
            uniqueKeysWithValues: ["one", "two", "three", "four"].map {
                let tree = scratch.path("world/\($0)")
                return ($0, try TreeFingerprint(of: tree, aspects: FaultWorld.aspects))
            })
        dr = try DrBinary(in: scratch)
        dr.environment["DR_PASSWORD"] = FaultWorld.password
        dr.environment["DR_CONFIG"] = scratch.path("dr.yaml")
        dr.environment["DOCKER_HOST"] = nil
        // As a careful restore program does it: the name belongs to what is whole, and one whose dr
        // was killed may still be at its end.
        try scratch.write(
            "load",
            """
            echo "$1" >>\(scratch.path("programs.log"))
            exec 9>"$0.$1.lock" && flock 9
            cat >"$2.part" && sleep 0.1 && mv "$2.part" "$2"
            """)
        _ = try await BackupRepository.create(
            in: DirectoryStore(root: scratch.path("repo")),
            credential: .password(FaultWorld.password), label: "resume", scryptCost: 2)
        try scratch.write("dr.yaml", configuration)
        for name in ["first", "second"] {
            let made = try await OutsideProgram.run([
                "python3", "-c",
                """
                import sqlite3
                base = sqlite3.connect('\(scratch.path("world/\(name).db"))')
                base.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)')
                base.executemany('INSERT INTO t VALUES (?, ?)',
                    ((i, '\(name) %d' % (i * i)) for i in range(20000)))
                base.commit()
                """,
            ])
            guard made.status == 0 else { throw OutsideProgram.Problem(made.errorText) }
        }
        try await expectDone("backup", "--quiet")
        let nothing = try await dr.run("version")
        startUp = 0.3 + 2 * nothing.elapsed.seconds
    }

    private var configuration: String {
        func loader(_ name: String) -> String {
            """
              \(name):
                command:
                  name: \(name)
                  capture: [seq, "150000"]
                  restore: [sh, \(scratch.path("load")), \(name), \(scratch.path("world/\(name)"))]
                check: {command: [test, -f, \(scratch.path("world/\(name)"))]}
            """
        }
        return """
            repository: repo
            services:
              one: {files: [\(scratch.path("world/one"))]}
              two: {files: [\(scratch.path("world/two"))], after: [one]}
              three: {files: [\(scratch.path("world/three"))], after: [first]}
              four: {files: [\(scratch.path("world/four"))], after: [three, alpha]}
              first: {sqlite: \(scratch.path("world/first.db"))}
              second: {sqlite: \(scratch.path("world/second.db")), after: [two]}
            \(loader("alpha"))
            \(loader("beta"))
                after: [alpha]
            \(loader("gamma"))
                after: [second]
            """
    }

    private func expectDone(_ arguments: String...) async throws {
        let outcome = try await dr.program(arguments).run()
        guard outcome.status == 0 else { throw TrialFailure("dr \(arguments[0]): \(outcome)") }
    }

    // MARK: What is expected

    private func clear() async throws {
        _ = try await OutsideProgram.run([
            "rm", "-rf", scratch.path("world"), scratch.path("out"), scratch.path("programs.log"),
        ])
        // The programs write beside the trees.
        try scratch.makeDirectory("world")
    }

    private func arguments(_ target: Target) -> [String] {
        ["restore", "--to", target == .here ? "here" : "./out", "--yes", "--json"]
    }

    /// Restores once without accident: what comes back, and how long that takes.
    func learn(_ target: Target) async throws {
        try await clear()
        let running = try dr.program(arguments(target)).start()
        try await untilItBegins(running)
        let planned = ContinuousClock.now
        let outcome = try await running.outcome()
        let worked = ContinuousClock.now - planned
        guard outcome.status == 0 else { throw TrialFailure("restore: \(outcome)") }
        if target == .here {
            for (tree, was) in sources {
                let found = try TreeFingerprint(
                    of: scratch.path("world/\(tree)"), aspects: FaultWorld.aspects)
                let differences = found.differences(from: was, limit: 5)
                if !differences.isEmpty { throw TrialFailure("\(tree): \(differences)") }
            }
        }
        learned[target] = Learned(
            took: outcome.elapsed, worked: worked, files: try files(target))
        lastRun = try await latestRun().id
    }

    /// Waits until the process has shown what it is going to do.
    private func untilItBegins(_ running: OutsideProgram.Running) async throws {
        let limit = ContinuousClock.now + .seconds(30)
        while !running.outputSoFar().contains("\"message_type\":"), ContinuousClock.now < limit {
            if kill(running.process, 0) != 0 { return }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// All that is there, but for times: what programs write has that of its writing.
    private func files(_ target: Target) throws -> TreeFingerprint {
        try TreeFingerprint(
            of: scratch.path(target == .here ? "world" : "out"),
            aspects: [.modes, .holes, .hardLinks])
    }

    // MARK: Trials

    /// One restore, killed until it is left alone; what it must come to is checked.
    func trial(_ target: Target, _ random: inout SeededRandom) async throws
        -> (kills: Int, resumes: Int)
    {
        guard let expected = learned[target] else { throw TrialFailure("nothing learned") }
        try await clear()
        var arguments = arguments(target)
        var (kills, resumes) = (0, 0)
        var done: Set<String> = []
        let begin = ContinuousClock.now
        let limit = Int.random(in: 1...3, using: &random)
        while true {
            let isLast = kills == limit
            let program = dr.program(arguments, timeout: .seconds(60))
            let running = try program.start()
            // Mostly while steps are carried out, now and then while it still looks around.
            let isEarly = Int.random(in: 0..<6, using: &random) == 0
            let share = Double.random(in: 0..<1.05, using: &random)
            // Most are killed, some are ended in order, as Ctrl-C and a closed terminal do.
            let signal = [SIGKILL, SIGKILL, SIGKILL, SIGINT, SIGHUP].randomElement(using: &random)
            var lastDone = 0.0
            if isLast {
                lastDone = try await watch(running, since: begin)
            } else {
                if !isEarly { try await untilItBegins(running) }
                try await Task.sleep(for: (isEarly ? expected.took : expected.worked) * share)
                running.signalGroup(signal ?? SIGKILL)
            }
            let outcome = try await running.outcome()
            let seen = Events(outcome.text)
            let twice = seen.started.intersection(done)
            if !twice.isEmpty { throw TrialFailure("done twice: \(twice.sorted())") }
            done.formUnion(seen.done)
            let isEnded = [ExitCode.interrupted, .terminated].map(\.rawValue).contains(
                outcome.status)
            // A signal that comes before the first line of code ends any program.
            let isKilled = [SIGKILL, SIGINT, SIGHUP].map { 128 + $0 }.contains(outcome.status)
            if isKilled || isEnded {
                kills += 1
                let run = try await latestRun()
                // Killed before it had written down its plan, it has made nothing; or all was done.
                // One that was ended in order is finished too, and was before a later kill.
                if run.id == lastRun { continue }
                if run.isDone { break }
                arguments = ["restore", "--resume", "--json"]
                resumes += 1
                continue
            }
            guard outcome.status == 0 else {
                throw TrialFailure("after \(kills) kills, \(arguments): \(outcome)")
            }
            let elapsed = (ContinuousClock.now - begin).seconds
            if resumes == kills, isLast {
                try judge(outcome, lastDone: lastDone, elapsed: elapsed)
            }
            break
        }
        lastRun = try await latestRun().id
        let differences = try files(target).differences(from: expected.files, limit: 5)
        if !differences.isEmpty {
            throw TrialFailure("after \(kills) kills came back wrong: \(differences)")
        }
        return (kills, resumes)
    }

    /// Waits for a process's end.
    ///
    /// - Returns: When it said for the last time that a step was done.
    private func watch(
        _ running: OutsideProgram.Running, since begin: ContinuousClock.Instant
    ) async throws -> Double {
        var (count, last) = (0, 0.0)
        while !hasEnded(running.process) {
            let now = running.outputSoFar().ranges(of: "\"state\":\"done\"").count
            if now > count { (count, last) = (now, (ContinuousClock.now - begin).seconds) }
            try await Task.sleep(for: .milliseconds(10))
        }
        return last
    }

    /// One that has ended and was not waited for is still there, but no longer works.
    private func hasEnded(_ process: Int32) -> Bool {
        let status = (try? FileSystem().read("/proc/\(process)/stat")) ?? []
        let text = String(decoding: status, as: UTF8.self)
        return text.isEmpty || text.split(separator: ") ").last?.first == "Z"
    }

    /// The report's clock against an outside one: all kills and pauses are in it.
    private func judge(
        _ outcome: OutsideProgram.Outcome, lastDone: Double, elapsed: Double
    ) throws {
        let document = outcome.text.split(separator: "\n").last.map(String.init) ?? ""
        let ended = document.components(after: "\"ended\":").compactMap(Double.init).max()
        guard let ended else { throw TrialFailure("no report: \(outcome)") }
        // A process takes a moment before its first line of code.
        guard ended <= elapsed, ended >= lastDone * 0.98 - startUp else {
            throw TrialFailure(
                "the report says \(ended) s, an outside clock \(lastDone) to \(elapsed) s")
        }
    }

    /// The restore that this machine remembers last, and whether it brought back everything.
    private func latestRun() async throws -> (id: String, isDone: Bool) {
        let list = try await dr.run("report", "--list", "--json")
        for object in list.text.split(separator: "{") where object.contains("\"restore\"") {
            let id = object.components(after: "\"id\":\"").first ?? ""
            return (id, object.components(after: "\"code\":").first == "0")
        }
        return ("", true)
    }
}

/// Ids of steps that a process said it began and that it had proven.
private struct Events {
    var started: Set<String> = []
    var done: Set<String> = []

    init(_ text: String) {
        for line in text.split(separator: "\n") where line.contains("\"message_type\":\"step\"") {
            guard let id = line.components(after: "\"step\":\"").first else { continue }
            if line.contains("\"state\":\"started\"") { started.insert(id) }
            if line.contains("\"state\":\"done\"") { done.insert(id) }
        }
    }
}

extension StringProtocol {
    /// What follows each `mark`, up to the next quote, comma or brace.
    fileprivate func components(after mark: String) -> [String] {
        let pieces = split(separator: mark, omittingEmptySubsequences: false).dropFirst()
        return pieces.map { String($0.prefix { !"\",}".contains($0) }) }
    }
}

extension Duration {
    fileprivate var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
