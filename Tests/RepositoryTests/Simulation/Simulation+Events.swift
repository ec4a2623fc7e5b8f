import Engine
import FoundationEssentials
import Glibc
import Model
import Repository
import RepositorySupport
import Synchronization
import TestSupport

/// What may happen at each moment: a step, a failure, a lie, a crash, sleep, time that passes.
extension Simulation {
    func step(_ line: SimulatedWorld.Line) throws {
        let sleeper = world.state.withLock { state -> SimulatedWorld.Sleeper? in
            guard line.isRenewal, state.pending[line] == nil else { return nil }
            return state.sleepers.removeValue(forKey: line.process)
        }
        if let sleeper {
            try world.run(line) { sleeper.continuation.resume() }
            return release()
        }
        guard let pending = world.state.withLock({ $0.pending.removeValue(forKey: line) }) else {
            return
        }
        let milliseconds = Int64.random(in: 1..<2000, using: &random)
        world.state.withLock {
            $0.clock = $0.clock + TimeSpan(nanoseconds: milliseconds * 1_000_000)
        }
        if let outcome = pending.outcome {
            world.note("\(line) gets its late answer")
            try world.run(line) { pending.continuation.resume(with: outcome) }
            return release()
        }
        if weather == .rough && chance(0.004) {
            if chance(0.5) { _ = happen(pending.call, line) }
            world.state.withLock { $0.pending[line] = pending }
            return try crash(line.process, mayHappen: false)
        }
        let result = answer(pending.call, line)
        try world.run(line) { pending.continuation.resume(with: result) }
        release()
    }

    func answer(_ call: SimulatedWorld.Call, _ line: SimulatedWorld.Line)
        -> Result<SimulatedWorld.Reply, any Error>
    {
        if call.method == .delete, call.path.hasPrefix("sessions/") {
            // It renews no more, whatever becomes of this.
            world.state.withLock { $0.processes[line.process].sessionPut = nil }
        }
        if weather == .rough, chance(0.012) {
            let failure = Failure(
                .failed, "the call failed", cause: Truth.injected, side: .repository)
            if chance(0.5) { _ = happen(call, line) }
            world.note("\(line) …is told that it failed")
            return .failure(failure)
        }
        if liesLeft > 0, call.changes, chance(0.02) {
            liesLeft -= 1
            world.state.withLock { state in
                let shown = SimulatedWorld.shown(call, &state)
                SimulatedWorld.note("\(line) \(shown): a lie", &state)
            }
            return .success(.done)
        }
        if weather == .hostile, case .list = call, !staleLast.contains(line.process), chance(0.04) {
            staleLast.insert(line.process)
            let result = happen(call, line)
            guard case .success(.objects(let objects)) = result else { return result }
            world.note("\(line) …which lags behind")
            return .success(.objects(objects.dropLast(Int.random(in: 1..<3, using: &random))))
        }
        if case .list = call { staleLast.remove(line.process) }
        return happen(call, line)
    }

    func happen(_ call: SimulatedWorld.Call, _ line: SimulatedWorld.Line)
        -> Result<SimulatedWorld.Reply, any Error>
    {
        world.state.withLock { state in
            let shown = SimulatedWorld.shown(call, &state)
            SimulatedWorld.note("\(line) \(shown)", &state)
            let result = SimulatedWorld.apply(call, &state)
            if call.path.hasPrefix("sessions/"), call.method == .put {
                state.processes[line.process].sessionPut = state.clock
            }
            return result
        }
    }

    func land(_ call: SimulatedWorld.Call) {
        world.state.withLock { state in
            let shown = SimulatedWorld.shown(call, &state)
            SimulatedWorld.note("\(shown) of a dead process happens now", &state)
            _ = SimulatedWorld.apply(call, &state)
        }
    }

    func landStragglers() {
        let clock = world.clock
        stragglers.removeAll { $0.since + Self.requestLimit <= clock }
        if !stragglers.isEmpty, chance(0.1) {
            land(stragglers.remove(at: Int.random(in: 0..<stragglers.count, using: &random)).call)
        }
    }

    /// The process ends in the middle of what it does.
    func crash(_ process: Int, mayHappen: Bool = true) throws {
        let main = SimulatedWorld.Line(process: process, isRenewal: false)
        let (pending, renewal, sleeper) = world.state.withLock { state in
            state.processes[process].isOver = true
            SimulatedWorld.note("\(process) is killed", &state)
            return (
                state.pending.removeValue(forKey: main),
                state.pending.removeValue(forKey: .init(process: process, isRenewal: true)),
                state.sleepers.removeValue(forKey: process)
            )
        }
        for call in [pending, renewal] {
            guard let call, call.outcome == nil, call.call.changes, mayHappen else { continue }
            switch Int.random(in: 0..<(endsWithProcess ? 2 : 3), using: &random) {
            case 0: _ = happen(call.call, main)
            case 2: stragglers.append(Straggler(call: call.call, since: call.since))
            default: break
            }
        }
        renewal?.continuation.resume(throwing: StoreCrash())
        sleeper?.continuation.resume(throwing: CancellationError())
        if let pending {
            try world.run(main) { pending.continuation.resume(throwing: StoreCrash()) }
        }
        release()
    }

    /// The machine sleeps for hours; what it had sent happens, the answers wait for it.
    func sendToSleep(_ process: Int) {
        let hours = Double.random(in: 0.3..<4, using: &random)
        let lines = world.state.withLock { state in
            state.processes[process].sleepsUntil =
                state.clock + TimeSpan(seconds: hours * 3600)
            SimulatedWorld.note("\(process) goes to sleep", &state)
            return state.pending.keys.filter { $0.process == process }.sorted()
        }
        for line in lines {
            guard let pending = world.state.withLock({ $0.pending[line] }), pending.outcome == nil
            else { continue }
            let outcome = happen(pending.call, line)
            world.state.withLock { $0.pending[line]?.outcome = outcome }
        }
    }

    func passTime(_ span: TimeSpan) { passTime(until: world.clock + span) }

    func passTime(until moment: Timestamp) {
        awaitSleepers()
        world.state.withLock { $0.clock = max($0.clock, moment) }
    }

    /// Hours in which nothing goes on but what must: sessions are renewed.
    func passLongTime() throws {
        world.note("hours pass")
        for _ in 0..<Int.random(in: 12..<30, using: &random) {
            passTime(TimeSpan(seconds: 300))
            while let line = choices().lines.first(where: \.isRenewal) { try step(line) }
        }
    }

    /// A renewal begins to sleep a moment after its session began: time does not pass before.
    func awaitSleepers() {
        for _ in 0..<4000 {
            let isMissing = world.state.withLock { state in
                state.processes.indices.contains { number in
                    let process = state.processes[number]
                    let main = state.pending[.init(process: number, isRenewal: false)]
                    // One that is being begun or ended does not sleep.
                    if main?.call.path.hasPrefix("sessions/") == true { return false }
                    return !process.isOver && process.sessionPut != nil
                        && state.sleepers[number] == nil
                        && state.pending[.init(process: number, isRenewal: true)] == nil
                }
            }
            if !isMissing { return }
            usleep(50)
        }
    }
}
