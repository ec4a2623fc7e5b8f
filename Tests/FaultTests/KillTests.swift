import Engine
import Glibc
import Model
import Synchronization
import TestSupport
import Testing

/// `kill -9` at any moment of anything, and the next run goes on by itself.
@Suite(.enabled(if: Strace.isThere, "needs strace")) struct KillTests {
    /// Something that `dr` does and may be killed in.
    enum Operation: String, CaseIterable, Sendable {
        case initialize, backup, check, restore, rebuild, forget, prune, keyAdd, keyRotate, repair

        /// The command that must be there for it.
        var command: String {
            switch self {
            case .initialize: "init"
            case .rebuild: "catalog"
            case .keyAdd, .keyRotate: "key"
            case .repair: "check"
            default: rawValue
            }
        }

        func arguments(_ world: FaultWorld) -> [String] {
            switch self {
            case .initialize: ["init"]
            case .backup: ["backup", "--quiet"]
            case .check: ["check", "--read-data"]
            case .restore: ["restore", "site", "--to", "./killed", "--yes", "--quiet"]
            case .rebuild: ["catalog", "rebuild"]
            case .forget: ["forget", world.snapshots[0], "--yes"]
            case .prune: ["prune", "--yes"]
            case .keyAdd: ["key", "add", "--label", "second"]
            case .keyRotate: ["key", "rotate"]
            case .repair: ["check", "--read-data", "--repair", "--yes"]
            }
        }

        /// How many kills: at system calls, and at random times.
        var points: (calls: Int, times: Int) {
            let few: (Int, Int) =
                switch self {
                case .backup: (8, 3)
                case .prune: (4, 1)
                case .initialize, .restore, .forget, .keyRotate, .repair: (2, 0)
                case .check, .rebuild, .keyAdd: (1, 0)
                }
            // 200 and 300 over all of them.
            return TestEnvironment.isFull ? (few.0 * 8, 30) : few
        }
    }

    @Test("Nothing acknowledged is lost and nobody has to help", .timeLimit(.minutes(60)))
    func matrix() async throws {
        try await FaultWorld.with("kill") { world in
            var random = SeededRandom.announced()
            for operation in Operation.allCases where world.commands.contains(operation.command) {
                let trials = Trials()
                let model = try await prepared(operation, world)
                let program = model.dr.program(operation.arguments(world))
                let began = ContinuousClock.now
                let all = try await Strace.points(
                    program, calls: Strace.all, log: world.scratch.path("points"),
                    status: operation == .repair ? ExitCode.damaged.rawValue : 0)
                let took = (ContinuousClock.now - began) / 3
                await model.remove()
                var chosen: [Hit] = []
                for _ in 0..<operation.points.calls {
                    // Each kind of call is as likely as another, however many there are of it.
                    let call = all.map(\.call).unique.randomElement(using: &random) ?? "write"
                    let ofThis = all.filter { $0.call == call }
                    if let point = ofThis.randomElement(using: &random) {
                        chosen.append(.call(point))
                    }
                }
                for _ in 0..<operation.points.times {
                    chosen.append(.time(took * Double.random(in: 0..<1, using: &random)))
                }
                try await inPairs(chosen) { hit in
                    // The n-th call of a thread is another thread's in the next run: try again.
                    var (hit, attempts) = (hit, 4)
                    while attempts > 0 {
                        attempts -= 1
                        let trial = try await prepared(operation, world)
                        do {
                            let isHit = try await kill(operation, hit, trial, world)
                            if isHit || attempts == 0 { trials.add(isHit) }
                            if isHit { attempts = 0 }
                        } catch {
                            trials.add(harmed: true)
                            Issue.record("\(operation), killed at \(hit): \(error)")
                            attempts = 0
                        }
                        await trial.remove()
                        hit = hit.earlier
                    }
                }
                print("\(operation): \(trials.text)")
            }
        }
    }

    /// Random kills hit the moment between a directory's making and a later chmod once in hundreds.
    @Test("What is above a restored tree is open to everybody from its first moment")
    func directoriesAbove() async throws {
        try await FaultWorld.with("above") { world in
            let trial = try await world.trial()
            let program = trial.dr.program(["restore", "site", "--to", "./out", "--yes", "--quiet"])
            let point = Strace.Point(call: "chmod,fchmodat", number: 1)
            let outcome = try await Strace.killing(program, at: point).run()
            #expect(outcome.status == 128 + SIGKILL, "\(outcome)")
            let found = try await OutsideProgram.run(
                ["find", trial.path + "/out", "-type", "d", "-printf", "%m\n"])
            #expect(Set(found.text.split(separator: "\n")) == ["755"], "\(found)")
        }
    }

    enum Hit: CustomStringConvertible, Sendable {
        case call(Strace.Point)
        case time(Duration)

        /// Closer to the beginning.
        var earlier: Hit {
            switch self {
            case .call(let point):
                .call(Strace.Point(call: point.call, number: max(1, point.number / 2)))
            case .time(let time): .time(time / 2)
            }
        }

        var description: String {
            switch self {
            case .call(let point): "\(point)"
            case .time(let time): "\(time)"
            }
        }
    }

    /// A copy of the world in which the operation has something to do.
    private func prepared(_ operation: Operation, _ world: FaultWorld) async throws -> Trial {
        var trial = try await world.trial()
        trial.dr.environment["DR_NEW_PASSWORD"] = "another password"
        switch operation {
        case .initialize:
            _ = try await OutsideProgram.run(["rm", "-rf", trial.repository, trial.path + "/state"])
        case .rebuild: _ = try await OutsideProgram.run(["rm", "-rf", trial.path + "/state"])
        case .repair:
            // The one of the first night.
            let pack = try await trial.files("-path", "*/packs/*", "-size", "+1000k").sorted()[0]
            var bytes = try FileSystem().read(pack)
            bytes[bytes.count / 3] ^= 1
            try FileSystem().writeDurably(bytes, to: pack)
        case .prune:
            try await trial.expectDone("forget", world.snapshots[0], "--yes")
            try await trial.expectDone("forget", world.abandoned, "--force", "--yes")
        default: break
        }
        return trial
    }

    private func kill(_ operation: Operation, _ hit: Hit, _ trial: Trial, _ world: FaultWorld)
        async throws -> Bool
    {
        let program = trial.dr.program(operation.arguments(world), timeout: .seconds(60))
        let outcome: OutsideProgram.Outcome
        switch hit {
        case .call(let point): outcome = try await Strace.killing(program, at: point).run()
        case .time(let time):
            let running = try program.start()
            try await Task.sleep(for: time)
            running.signalGroup(SIGKILL)
            outcome = try await running.outcome()
        }
        if outcome.ranOutOfTime { throw TrialFailure("it hangs") }
        let isKilled = outcome.status == 128 + SIGKILL
        let ends = operation == .repair ? ExitCode.damaged.rawValue : 0
        if !isKilled, outcome.status != ends { throw TrialFailure("it fails: \(outcome)") }
        switch operation {
        case .initialize:
            // Either there is a repository now, or it can be made.
            let again = try await trial.run(["init"])
            let exists = again.errorText.contains("there is a repository at")
            guard again.status == 0 || (again.status == 1 && exists) else {
                throw TrialFailure("init again: \(again)")
            }
            try await trial.expectDone("backup", "--quiet")
            try await world.expect(
                world.now, of: try await trial.snapshots("site")[0], in: trial)
            return isKilled
        case .restore:
            _ = try await OutsideProgram.run(["rm", "-rf", trial.path + "/killed"])
            try await world.expectUnharmed(trial)
        case .forget: try await world.expectUnharmed(trial, forgotten: [world.snapshots[0]])
        case .prune:
            try await world.expectUnharmed(trial, forgotten: [world.snapshots[0]])
            try await trial.expectDone("prune", "--yes")
        case .keyAdd, .keyRotate:
            let list = try await trial.run(["key", "list"])
            guard list.status == 0 else { throw TrialFailure("key list: \(list)") }
            try await world.expectUnharmed(trial)
            if operation == .keyAdd && !isKilled {
                var other = trial
                other.dr.environment["DR_PASSWORD"] = "another password"
                try await other.expectDone("snapshots")
            }
        case .repair:
            // What is lost is lost, and accepted; the next night has all of it again.
            let again = try await trial.run(["check", "--read-data", "--repair", "--yes"])
            guard [0, ExitCode.damaged.rawValue].contains(again.status) else {
                throw TrialFailure("repair again: \(again)")
            }
            try await trial.expectDone("backup", "--quiet")
            let newest = try await trial.snapshots("site")[0]
            try await world.expect(world.now, of: newest, in: trial)
        case .backup, .check, .rebuild: try await world.expectUnharmed(trial)
        }
        try await expectFewLeftovers(trial)
        return isKilled
    }

    /// What a killed run leaves is little, and once it is old it goes by itself.
    private func expectFewLeftovers(_ trial: Trial) async throws {
        let temporary = try await trial.files("-name", "*.tmp")
        guard temporary.count <= 4 else { throw TrialFailure("left behind: \(temporary)") }
        let sessions = try await trial.files("-path", "*/sessions/*")
        guard sessions.count <= 1 else { throw TrialFailure("left behind: \(sessions)") }
    }
}

/// Counts trials, from any thread.
final class Trials: Sendable {
    private let state = Mutex((tried: 0, hit: 0, harmed: 0))

    func add(_ isHit: Bool) {
        state.withLock {
            $0.tried += 1
            if isHit { $0.hit += 1 }
        }
    }

    func add(harmed: Bool) {
        state.withLock {
            $0.tried += 1
            if harmed { $0.harmed += 1 }
        }
    }

    var text: String {
        let (tried, hit, harmed) = state.withLock { $0 }
        return "\(tried) tried, \(hit) hit, \(harmed) harmed"
    }
    var hits: Int { state.withLock { $0.hit } }
}

/// Runs `body` for each item, two at a time: a trial waits more than it works.
func inPairs<Item: Sendable>(
    _ items: [Item], _ body: @Sendable @escaping (Item) async throws -> Void
) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        var rest = items[...]
        for _ in 0..<2 {
            if let next = rest.popFirst() { group.addTask { try await body(next) } }
        }
        while try await group.next() != nil {
            if let next = rest.popFirst() { group.addTask { try await body(next) } }
        }
    }
}

extension Array where Element: Hashable {
    /// Without repetitions, in the first order.
    var unique: [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
