import Engine
import FoundationEssentials
import CLinux
import Glibc
import Model
import Repository
import RepositorySupport
import Synchronization
import TestSupport

/// One seed: some machines that write, forget, prune, check and restore at once, and a fate.
///
/// Used by one thread, which is blocked by it.
final class Simulation {
    /// What may go wrong.
    enum Weather: String, CaseIterable, Sendable {
        /// Nothing: only the order of things is anybody's guess, and how long they take.
        case calm
        /// Processes crash or sleep for hours, calls fail, answers are lost, requests come late.
        case rough
        /// The store lies once, lists too little, and gives back wrong bytes.
        case hostile
    }

    struct Outcome {
        var seed: UInt64
        var weather: Weather
        var wrong: [String]
        var trace: [String]
        var finished: [Purpose: Int]
        var failed: [Purpose: Int]
        var transient: Int
    }

    struct Lane {
        var host: Int
        var plan: [Purpose]
        var process: Int?
        var weight = 1.0
    }

    struct Straggler {
        var call: SimulatedWorld.Call
        var since: Timestamp
    }

    let seed: UInt64
    let weather: Weather
    let brokenRule: BrokenRule
    let world = SimulatedWorld()
    let truth = Truth()
    var random: SeededRandom
    var hosts: [SimulatedHost] = []
    var lanes: [Lane] = []
    var stragglers: [Straggler] = []
    var liesLeft = 0
    /// Requests of a process end with it, as in a directory; otherwise they may come late, as in a
    /// bucket, and a dead session has to lapse.
    let endsWithProcess: Bool
    var staleLast: Set<Int> = []
    /// A request is answered or given up within this time, whatever became of who sent it.
    static let requestLimit = TimeSpan(seconds: 600)

    init(seed: UInt64, brokenRule: BrokenRule = .none, weather: Weather? = nil) {
        self.seed = seed
        self.brokenRule = brokenRule
        var random = SeededRandom(seed: seed)
        let chance = Int.random(in: 0..<10, using: &random)
        self.weather = weather ?? (chance < 4 ? .calm : chance < 8 ? .rough : .hostile)
        let blobs = (0..<8).map { _ in
            random.bytes(Int.random(in: 20..<3000, using: &random))
        }
        let count = Int.random(in: 0..<3, using: &random) == 0 ? 3 : 2
        endsWithProcess = Bool.random(using: &random)
        for number in 0..<count {
            hosts.append(
                SimulatedHost(
                    "host\(number)", source: .init(blobs: blobs), truth: truth,
                    seed: random.next(), hasOwner: endsWithProcess))
            var plan: [Purpose] = number == 0 ? [.backup] : []
            for _ in 0..<Int.random(in: 2..<5, using: &random) {
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<4: plan.append(.backup)
                case 4..<6: plan += [.forget, .prune]
                case 6: plan.append(.forget)
                default: plan.append(.prune)
                }
            }
            lanes.append(Lane(host: number, plan: plan))
            lanes.append(
                Lane(
                    host: number,
                    plan: (0..<Int.random(in: 0..<3, using: &random)).map { _ in
                        Bool.random(using: &random) ? .restore : .check
                    }))
        }
        liesLeft = self.weather == .hostile ? 1 : 0
        if self.weather == .hostile {
            world.state.withLock { [seed = random.next()] in
                $0.readFaults = .init(seed: seed, oneIn: 150)
            }
        }
        self.random = random
    }

    func chance(_ share: Double) -> Bool {
        Double.random(in: 0..<1, using: &random) < share
    }

    // MARK: The run

    func run() throws -> Outcome {
        try create()
        reweigh()
        var events = 0
        while try next() {
            events += 1
            if events % 25 == 0 { reweigh() }
            if events > 20_000 { throw Failure(.failed, "the simulation does not end") }
        }
        for straggler in stragglers where chance(0.5) { land(straggler.call) }
        try settle()
        for line in world.trace where line.contains("out of turn") { truth.wrong(line) }
        return truth.state.withLock { state in
            Outcome(
                seed: seed, weather: weather, wrong: state.wrong, trace: world.trace,
                finished: state.finished, failed: state.failed,
                transient: state.transient)
        }
    }

    func create() throws {
        let process = world.addProcess("init", isQuick: true)
        let store = SimulatedStore(world, process: process, .backup, .none)
        try waitBlocking {
            _ = try await BackupRepository.create(
                in: store, credential: SimulatedHost.credential, label: "simulation")
        }
    }

    /// Who is quick and who is slow, for a while.
    func reweigh() {
        for number in lanes.indices {
            lanes[number].weight = [0.02, 0.5, 1, 1, 5, 60].randomElement(using: &random) ?? 1
        }
    }

    struct Choices {
        var lines: [SimulatedWorld.Line] = []
        var overdue: SimulatedWorld.Line?
        var wakes: Timestamp?
    }

    func choices() -> Choices {
        world.state.withLock { state in
            var choices = Choices()
            for number in state.processes.indices {
                if let until = state.processes[number].sleepsUntil, until <= state.clock {
                    state.processes[number].sleepsUntil = nil
                    SimulatedWorld.note("\(state.processes[number].name) wakes up", &state)
                }
            }
            func isAwake(_ process: Int) -> Bool {
                guard let until = state.processes[process].sleepsUntil else { return true }
                choices.wakes = min(choices.wakes ?? until, until)
                return false
            }
            let patience = TimeSpan(seconds: 600)
            for line in state.pending.keys.sorted() where isAwake(line.process) {
                choices.lines.append(line)
                if line.isRenewal, let since = state.pending[line]?.since,
                    since + patience <= state.clock
                {
                    choices.overdue = line
                }
            }
            for (process, sleeper) in state.sleepers.sorted(by: { $0.key < $1.key })
            where sleeper.wakes <= state.clock && isAwake(process) {
                let line = SimulatedWorld.Line(process: process, isRenewal: true)
                choices.lines.append(line)
                if sleeper.wakes + patience <= state.clock { choices.overdue = line }
            }
            return choices
        }
    }

    /// One event; false when there is none left.
    func next() throws -> Bool {
        awaitSleepers()
        let found = choices()
        // A live process renews its session in time, however slow the rest of it is.
        if let line = found.overdue {
            try step(line)
            return true
        }
        let startable = lanes.indices.filter { lanes[$0].process == nil && !lanes[$0].plan.isEmpty }
        if found.lines.isEmpty && startable.isEmpty {
            if let wakes = found.wakes {
                passTime(until: wakes)
                return true
            }
            return false
        }
        landStragglers()
        if chance(0.03) {
            passTime(TimeSpan(seconds: Double(Int.random(in: 1..<300, using: &random))))
            return true
        }
        if chance(0.004) {
            try passLongTime()
            return true
        }
        if weather == .rough,
            let victim = found.lines.filter({ !$0.isRenewal }).randomElement(
                using: &random)
        {
            if chance(0.006) {
                try crash(victim.process)
                return true
            }
            if chance(0.006) {
                sendToSleep(victim.process)
                return true
            }
        }
        let weights =
            found.lines.map { line in
                lanes.first { $0.process == line.process }?.weight ?? 1
            } + startable.map { lanes[$0].weight * 0.3 }
        var position = Double.random(in: 0..<weights.reduce(0, +), using: &random)
        for (number, weight) in weights.enumerated() {
            position -= weight
            guard position < 0 || number == weights.count - 1 else { continue }
            if number < found.lines.count {
                try step(found.lines[number])
            } else {
                try start(startable[number - found.lines.count])
            }
            break
        }
        return true
    }

    func start(_ lane: Int) throws {
        let purpose = lanes[lane].plan.removeFirst()
        let host = hosts[lanes[lane].host]
        let process = world.addProcess("\(host.name) \(purpose)")
        lanes[lane].process = process
        world.note("\(host.name) begins \(purpose) as \(process)")
        let store = SimulatedStore(world, process: process, purpose, brokenRule)
        let line = SimulatedWorld.Line(process: process, isRenewal: false)
        try world.run(line) {
            Task.detached { [world, truth, weather] in
                do {
                    try await host.run(purpose, store)
                    truth.state.withLock { $0.finished[purpose, default: 0] += 1 }
                    world.note("\(process) \(purpose) has ended")
                } catch {
                    truth.state.withLock { $0.failed[purpose, default: 0] += 1 }
                    world.note("\(process) \(purpose) fails: \(shown(error))")
                    truth.judge(error, of: purpose, in: weather)
                }
                world.finished(process)
            }
        }
        release()
    }

    /// Lanes whose process has ended are free again.
    func release() {
        let over = world.state.withLock { state in state.processes.map(\.isOver) }
        for number in lanes.indices {
            if let process = lanes[number].process, over[process] { lanes[number].process = nil }
        }
    }

    // MARK: The morning after

    /// When all is over, everything must be as it was promised, without anybody's help.
    func settle() throws {
        world.state.withLock { state in
            state.readFaults = nil
            state.clock = state.clock + TimeSpan(seconds: 26 * 3600)
        }
        world.note("the morning after")
        let morning = Morning(world: world, truth: truth, hosts: hosts)
        try waitBlocking { await morning.look() }
    }
}

/// An error without names that are different in every run.
private func shown(_ error: any Error) -> String {
    "\(error)".split(separator: " ").map { word in
        word.utf8.count >= 64 ? "…" : String(word)
    }.joined(separator: " ")
}
