import Engine
import Model
import Repository
import Synchronization

/// What must hold once the dust has settled: the invariants of the repository.
struct Morning: Sendable {
    let world: SimulatedWorld
    let truth: Truth
    let hosts: [SimulatedHost]

    private func store(_ purpose: Purpose) -> SimulatedStore {
        SimulatedStore(
            world, process: world.addProcess("morning", isQuick: true), purpose, .none)
    }

    private func open(_ purpose: Purpose) async throws -> BackupRepository {
        try await BackupRepository.open(
            in: store(purpose), credential: SimulatedHost.credential)
    }

    private func attempt(_ what: String, _ body: () async throws -> Void) async {
        do { try await body() } catch { truth.wrong("\(what): \(error)") }
    }

    func look() async {
        // I1: what was acknowledged is there, before anybody cleans up.
        await everythingIsThere("at first", deep: false)
        // I7: the next run of everybody works, with nobody's help.
        for host in hosts {
            await attempt("the next backup of \(host.name)") {
                try await host.run(.backup, store(.backup))
            }
            await attempt("the next check of \(host.name)") {
                let repository = try await open(.check)
                let report = try await repository.check(
                    index: host.index, known: host.memory.withLock { $0.heads })
                if !report.findings.isEmpty || !report.affected.isEmpty {
                    truth.wrong("\(host.name) finds \(report.findings) \(report.affected)")
                }
            }
        }
        let host = hosts[hosts.count - 1]
        await attempt("the next prune") { try await host.run(.prune, store(.prune)) }
        await everythingIsThere("after a prune", deep: true)
        await leftoversAreGone(host)
        await whatVanishesIsNoticed()
    }

    private func everythingIsThere(_ when: String, deep: Bool) async {
        let (acknowledged, contents) = truth.state.withLock { state in
            (state.acknowledged.subtracting(state.forgotten).sorted(), Set(state.contents.keys))
        }
        await attempt("reading \(when)") {
            let repository = try await open(.restore)
            let index = MemoryChunkIndex()
            _ = try await repository.refresh(index)
            for id in acknowledged {
                await attempt("I1: \(id.short), acknowledged, \(when)") {
                    try await SimulatedHost.restore(id, repository, index, truth)
                }
            }
            // I2: whatever is listed is complete.
            let others = try await repository.listSnapshots().subtracting(acknowledged)
            for id in others.sorted() where contents.contains(id) {
                await attempt("I2: \(id.short), listed, \(when)") {
                    try await SimulatedHost.restore(id, repository, index, truth)
                }
            }
            let report = try await repository.check(
                index: MemoryChunkIndex(), options: CheckOptions(readData: deep))
            if !report.findings.isEmpty || !report.affected.isEmpty {
                truth.wrong("a cold check \(when) finds \(report.findings) \(report.affected)")
            }
        }
    }

    /// Garbage is bounded: one prune takes all that its machine sees that nobody needs.
    private func leftoversAreGone(_ host: SimulatedHost) async {
        await attempt("looking for leftovers") {
            let repository = try await open(.prune)
            let plan = try await repository.prunePlan(index: host.index)
            if !plan.deleted.isEmpty { truth.wrong("\(plan.deleted.count) packs nobody needs") }
            for prefix in ["condemned", "sessions"] {
                let left = try await repository.store.list(prefix)
                if !left.isEmpty { truth.wrong("left over: \(left.map(\.key))") }
            }
        }
    }

    /// I10: a snapshot and a chain record that disappear are noticed.
    private func whatVanishesIsNoticed() async {
        await attempt("making things vanish") {
            let repository = try await open(.check)
            let chains = try await repository.readChains()
            guard let lost = chains.expected.min() else { return }
            try await repository.remove(lost)
            let cold = try await repository.check(index: MemoryChunkIndex())
            if cold.findings.map(\.object) != ["snapshots/\(lost)"] {
                truth.wrong("I10: \(lost.short) vanished, and a check finds \(cold.findings)")
            }
            let plan = try? await repository.prunePlan(index: MemoryChunkIndex())
            if plan != nil { truth.wrong("I4: prune goes on after \(lost.short) vanished") }
            guard let host = hosts.first(where: { !$0.memory.withLock { $0.heads }.isEmpty }),
                let head = host.memory.withLock({ $0.heads }).max(by: { $0.sequence < $1.sequence })
            else { return }
            let digits = String(head.sequence)
            let name = String(repeating: "0", count: 12 - digits.count) + digits
            try await repository.store.delete(ObjectKey("writers/\(head.writer)/\(name)"))
            let warm = try await repository.readChains(known: host.memory.withLock { $0.heads })
            if warm.findings.isEmpty {
                truth.wrong("I10: a chain's newest record vanished unnoticed")
            }
        }
    }
}
