import Catalog
import Engine
import Model
import Repository
import Restore
import Snapshot
import Workloads

/// What was found of drills that had ended without clearing up, and what became of it.
struct RecoveredDrills: Sendable {
    /// Evidence of drills that were killed.
    var reports: [DrillReport] = []
    /// Things that no drill of this catalog had written down.
    var strays: DrillRemoval = DrillRemoval()
    var residue: [DrillRemain] = []

    var isNothing: Bool {
        reports.isEmpty && strays.removed.isEmpty && strays.problems.isEmpty && residue.isEmpty
    }
    var isClean: Bool {
        residue.isEmpty && strays.problems.isEmpty && reports.allSatisfy(\.cleanup.isClean)
    }
}

extension Application {
    /// Removes all that a drill made, and looks for what is left.
    ///
    /// - Parameter names: What the drill wrote down before it made it.
    func cleanUp(
        _ isolation: DrillIsolation, names: [String], engine: DrillEngine?
    ) async -> DrillCleanup {
        var cleanup = DrillCleanup()
        cleanup.began = now
        cleanup.created = Array(Set(names)).sorted()
        var removal = DrillRemoval()
        do {
            if let engine {
                removal += try await engine.remove(isolation.repository, run: isolation.run)
                for name in names where name.hasPrefix("image/") {
                    let image = String(name.dropFirst("image/".count))
                    if let gone = try await engine.remove(image: image) {
                        removal.removed.append(gone)
                    }
                }
            }
        } catch { removal.problems.append(Failure(wrapping: error).description) }
        do {
            if let guests = guests(of: isolation) {
                removal += try await guests.remove(isolation, names: names)
            }
        } catch { removal.problems.append(Failure(wrapping: error).description) }
        do {
            removal.removed += try await DrillDirectory.remove(isolation.directory)
        } catch { removal.problems.append(Failure(wrapping: error).description) }
        cleanup.removed = removal.removed.map(\.description)
        cleanup.problems = removal.problems
        do {
            cleanup.residue = try await residue(isolation, names: names, engine).map(\.description)
            cleanup.isDone = true
        } catch {
            cleanup.problems.append("what is left is not known: \(Failure(wrapping: error))")
        }
        cleanup.ended = now
        return cleanup
    }

    /// Looks after a drill's guests of Proxmox VE; nil where it has none.
    func guests(of isolation: DrillIsolation) -> DrillGuests? {
        guard let guests = isolation.guests, !guests.isEmpty else { return nil }
        return DrillGuests(programs: programs, ways: Set(guests.map(\.ssh)))
    }

    /// What there is of a drill.
    private func residue(
        _ isolation: DrillIsolation, names: [String], _ engine: DrillEngine?
    ) async throws -> [DrillRemain] {
        var found: [DrillRemain] = []
        if let guests = guests(of: isolation) {
            found += try await guests.remains(of: isolation, names: names)
        }
        if let engine {
            let prefix = DrillIsolation.prefix(of: isolation.run)
            found += try await engine.names(beginningWith: prefix)
            found += try await engine.remains(of: isolation.repository, run: isolation.run).filter {
                !$0.name.hasPrefix(prefix)
            }
        }
        let directory = isolation.directory
        found += try await BlockingPool.shared.run {
            var left = DrillDirectory.processes(in: directory)
            if FileSystem().isDirectory(directory) {
                left.append(DrillRemain("directory", directory))
            }
            return left
        }
        return found
    }

    /// Clears up after drills whose processes were killed, and gives them their evidence.
    ///
    /// The caller has the right to drill: what is there now is nobody's.
    func recoverDrills(_ open: OpenRepository) async throws -> RecoveredDrills {
        var recovered = RecoveredDrills()
        let chain = try await EvidenceChain(open.catalog)
        let known = Set(chain.drills.map(\.identity.drill))
        for drill in try await UnfinishedDrill.all(in: open.catalog, without: known) {
            guard let isolation = drill.plan.place?.isolation else { continue }
            let usesEngine = drill.plan.steps.contains { $0.replay?.kind == .docker }
            let engine = usesEngine ? try await DrillEngine(host: drill.orders.engine) : nil
            let cleanup = await cleanUp(isolation, names: drill.names, engine: engine)
            var verdict = DrillVerdict()
            verdict.add(drill.recovery, plan: drill.plan, snapshots: [])
            let report = drill.orders.report(
                drill.recovery, verdict: verdict, cleanup: cleanup,
                deviations: ["its process was killed; it was cleared up later"], at: now,
                verified: nil, earlier: try await EvidenceChain(open.catalog))
            try await EvidenceChain.append(
                to: open.catalog, of: drill.record.id, at: now, drill: report)
            var record = drill.record
            record.finished = record.finished ?? now
            record.result = report.results.outcome
            record.summary = "killed, cleared up later"
            try await open.catalog.finishRun(record)
            recovered.reports.append(report)
        }
        try await removeStrays(open, &recovered)
        return recovered
    }

    /// What bears the label of this repository's drills, whoever wrote it down.
    private func removeStrays(_ open: OpenRepository, _ recovered: inout RecoveredDrills)
        async throws
    {
        let configuration = open.configuration
        let repository = open.repository.id
        let isolated = configuration.targets.filter { $0.isIsolated == true }
        let hosts = Set(
            [configuration.dockerHost] + isolated.map { $0.engine ?? configuration.dockerHost })
        for host in hosts {
            // Where no Engine is, nothing of a drill is there either.
            guard let engine = try? await DrillEngine(host: host) else { continue }
            for run in Set(try await engine.remains(of: repository).compactMap(\.run)) {
                guard let id = RunID(run) else { continue }
                recovered.strays += try await engine.remove(repository, run: id)
            }
            recovered.residue += try await engine.remains(of: repository)
        }
        if configuration.drill.guests != nil {
            let workloads = configuration.services.flatMap(\.workloads)
            let ways = workloads.compactMap { workload -> String?? in
                guard case .proxmox(let proxmox) = workload, proxmox.exports == nil else {
                    return nil
                }
                return .some(proxmox.ssh)
            }
            let guests = DrillGuests(programs: programs, ways: Set(ways))
            do {
                recovered.strays += try await guests.remove(repository)
                recovered.residue += try await guests.remains(of: repository)
            } catch {
                if error is CancellationError { throw error }
                output.warning(
                    "not searched for what drills have left: \(Failure(wrapping: error))")
            }
        }
        for parent in Set([configuration.drill.directory] + isolated.compactMap(\.root)) {
            let directories = try await BlockingPool.shared.run {
                DrillDirectory.remains(of: repository, in: parent)
            }
            for directory in directories {
                do {
                    recovered.strays.removed += try await DrillDirectory.remove(directory.name)
                } catch {
                    recovered.strays.problems.append(Failure(wrapping: error).description)
                    recovered.residue.append(directory)
                }
            }
        }
    }

    /// Marks the snapshots of a drill that passed, instead of those of the drill before.
    func markDrilled(_ report: DrillReport, _ open: OpenRepository) async throws {
        guard report.attestation.isPassed else { return }
        let lock: RunLock
        do {
            lock = try RunLock.acquire(
                in: open.catalog.directory, as: .current(purpose: "dr drill", at: now))
        } catch let failure as Failure where failure.code == .busy {
            output.warning(
                "the drill's snapshots are not marked: \(failure.description)",
                hint: "retention may remove them; the next drill marks its own")
            return
        }
        defer { lock.release() }
        let kept = Set(report.attestation.keeps)
        let workloads = Set(report.inputs.map(\.workload))
        let records = try await open.catalog.snapshots()
        let marked = try await open.catalog.snapshots(marked: .drilled)
        let old = records.filter {
            marked.contains($0.id) && !kept.contains($0.id) && workloads.contains($0.workload)
        }
        let changes =
            kept.subtracting(marked).sorted().map {
                MarkChange(
                    $0, .drilled, isSet: true, reason: "drill \(report.identity.drill.short)")
            } + old.map { MarkChange($0.id, .drilled, isSet: false) }
        try await SnapshotMarking(repository: open.repository, catalog: open.catalog)
            .say(changes, at: now, host: host, version: Version.current)
    }
}
