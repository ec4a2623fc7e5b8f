import Catalog
import Engine
public import Model
import Workloads

extension RecoveryRun {
    /// Drivers that look at the target at once.
    private static let looksAtOnce = 8

    /// All that stands in the way at the target, or may: what blocks first.
    ///
    /// What cannot even be asked is a blocker too.
    ///
    /// - Parameter earlier: What this run made itself before it was interrupted is in nobody's way.
    public func preflight(_ earlier: InterruptedRun? = nil) async -> [PlanFinding] {
        let groups = groups(without: earlier?.done ?? [])
        var found: [Int: [PlanFinding]] = [:]
        await withTaskGroup(of: (Int, [PlanFinding]).self) { tasks in
            var next = 0
            func add() {
                guard next < groups.count else { return }
                let number = next
                next += 1
                tasks.addTask { (number, await look(at: groups[number])) }
            }
            for _ in 0..<Self.looksAtOnce { add() }
            while let (number, findings) = await tasks.next() {
                found[number] = findings
                add()
            }
        }
        var findings = groups.indices.flatMap { found[$0] ?? [] }
        findings += await SpaceCheck(plan: plan, groups: groups, run: self).findings()
        let taken = findings.filter {
            $0.severity == .conflict && earlier?.isOwn($0.name) != true
        }
        findings += await presence(groups, taken: Set(taken.compactMap(\.name)))
        findings += manualFindings(without: earlier?.done ?? [])
        var seen: Set<PlanFinding> = []
        let once = findings.filter { earlier?.isOwn($0.name) != true && seen.insert($0).inserted }
        return once.enumerated().sorted {
            ($0.element.severity, $0.offset) < ($1.element.severity, $1.offset)
        }.map(\.element)
    }

    /// The steps of one workload.
    struct Group: Sendable {
        var replay: PlannedStep.Replay
        var steps: [ReplayStep]
        /// The same steps as the plan has them.
        var planned: [PlannedStep]
    }

    func groups(without done: Set<String>) -> [Group] {
        var groups: [Group] = []
        var places: [WorkloadID: Int] = [:]
        for step in plan.steps where !done.contains(step.id) {
            guard let replay = step.replay, let made = ReplayStep(step) else { continue }
            if let place = places[replay.workload] {
                groups[place].steps.append(made)
                groups[place].planned.append(step)
            } else {
                places[replay.workload] = groups.count
                groups.append(Group(replay: replay, steps: [made], planned: [step]))
            }
        }
        return groups
    }

    private func look(at group: Group) async -> [PlanFinding] {
        let replay = group.replay
        do {
            let found = try await environment.driverFor(replay.kind).preflight(
                group.steps, from: try await sources.source(replay.snapshot),
                service: service(replay.service), target: try ReplayTarget(of: plan),
                context: context)
            return found.map { PlanFinding($0, service: replay.service) }
        } catch {
            let failure = Failure(wrapping: error)
            return [
                PlanFinding(
                    .blocker, service: replay.service,
                    "\(replay.workload): \(failure.description)", hint: failure.hint)
            ]
        }
    }

    /// What drivers are given to look with.
    var context: WorkloadContext {
        var context = environment.context
        context.planned = plan.names
        return context
    }

    /// Whether the repository has what the plan reads, as far as that can be told in a moment.
    ///
    /// - Parameter taken: The names of what would be replaced.
    private func presence(_ groups: [Group], taken: Set<String>) async -> [PlanFinding] {
        let isLive = (try? ReplayTarget(of: plan))?.isLive ?? true
        let end = ContinuousClock.now + .seconds(2)
        var findings: [PlanFinding] = []
        var seen: Set<SnapshotID> = []
        for group in groups.sorted(by: { $0.bytes < $1.bytes }) {
            guard seen.insert(group.replay.snapshot).inserted,
                let source = try? await sources.source(group.replay.snapshot)
                    as? any SurveyedSource
            else { continue }
            // Guests cannot be moved aside: one that works would be gone for one that is not whole.
            let isFinal =
                isLive && group.replay.kind == .proxmox
                && group.steps.contains { !taken.isDisjoint(with: $0.makes) }
            let severity: PlanFinding.Severity = isFinal ? .blocker : .warning
            let instead = "the guest that is there would be removed for it: choose another one"
            do {
                let survey = try await source.survey(until: end)
                guard survey.missing > 0 else { continue }
                findings.append(
                    PlanFinding(
                        severity, service: group.replay.service,
                        "\(group.replay.workload): \(survey.missing) pieces of snapshot"
                            + " \(group.replay.snapshot.short) are missing from the repository",
                        hint: isFinal
                            ? "\(instead) with --at, or another number"
                            : "what else it holds comes back; or choose another one with --at"))
            } catch {
                let failure = Failure(wrapping: error)
                findings.append(
                    PlanFinding(
                        severity, service: group.replay.service,
                        "\(group.replay.workload): \(failure.description)",
                        hint: isFinal ? "\(instead) with --at, or another number" : failure.hint))
            }
        }
        return findings
    }

    private func manualFindings(without done: Set<String>) -> [PlanFinding] {
        guard environment.person == nil else { return [] }
        return plan.steps.filter { $0.phase == .manual && !done.contains($0.id) }.map { step in
            PlanFinding(
                .blocker, service: step.services.first,
                "a person is needed: \(printable((step.message ?? "").utf8))",
                hint: "run it on a terminal, without --unattended")
        }
    }
}

extension RecoveryRun.Group {
    var bytes: ByteCount { steps.reduce(into: ByteCount(0)) { $0 += $1.bytes } }
}

extension PlanFinding {
    init(_ finding: PreflightFinding, service: ServiceName) {
        let severity: Severity =
            switch finding.severity {
            case .blocker: .blocker
            case .conflict: .conflict
            case .warning: .warning
            }
        self.init(
            severity, service: service, finding.message, hint: finding.hint, name: finding.name)
    }
}
