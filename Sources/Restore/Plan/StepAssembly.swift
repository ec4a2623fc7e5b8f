import Engine
import Model
import Workloads

/// Puts the steps of many workloads together into one graph.
struct StepAssembly {
    private var steps: [PlannedStep] = []
    private var places: [String: Int] = [:]
    /// Ids of steps that were merged into another, and that one's.
    private var aliases: [String: String] = [:]
    /// By made name: the step that makes it.
    private var makers: [String: Int] = [:]
    private var moments: [SnapshotID: Timestamp] = [:]
    /// Each service's steps, shared ones with them.
    private var placesOf: [ServiceName: [Int]] = [:]
    /// The workloads whose steps one step stands for: two of the same workload are never merged.
    private var workloadsOf: [Int: Set<WorkloadID>] = [:]
    private(set) var notes: [String] = []

    /// Adds one workload's steps as its driver gave them.
    mutating func add(_ replay: [ReplayStep], of snapshot: SnapshotRecord, service: Service) throws
    {
        moments[snapshot.id] = snapshot.asOf
        let known = Set(replay.map(\.id))
        for step in replay {
            if let unknown = step.needs.first(where: { !known.contains($0) }) {
                throw Failure(
                    .failed, "step \(step.id) of \(snapshot.workload) needs \(unknown)",
                    hint: "report this as a defect of dr", side: .local)
            }
            func global(_ id: String) -> String { "\(snapshot.workload)/\(id)" }
            var planned = PlannedStep(
                id: global(step.id), title: step.title, service: service.name,
                phase: PlannedStep.Phase(step.phase))
            planned.needs = step.needs.map(global)
            planned.makes = step.makes
            planned.bytes = step.bytes
            planned.replay = PlannedStep.Replay(
                service: service.name, workload: snapshot.workload, kind: snapshot.kind,
                snapshot: snapshot.id, step: step.id, needs: step.needs)
            let owner = step.makes.compactMap { makers[$0] }.first {
                workloadsOf[$0]?.contains(snapshot.workload) != true
            }
            if let owner {
                merge(planned, into: owner)
            } else {
                append(planned)
            }
        }
    }

    private mutating func append(_ step: PlannedStep) {
        places[step.id] = steps.count
        for service in step.services { placesOf[service, default: []].append(steps.count) }
        for name in step.makes where makers[name] == nil { makers[name] = steps.count }
        if let replay = step.replay { workloadsOf[steps.count] = [replay.workload] }
        steps.append(step)
    }

    /// One thing is made once, from the newest snapshot that holds it.
    private mutating func merge(_ step: PlannedStep, into place: Int) {
        aliases[step.id] = steps[place].id
        for name in step.makes where makers[name] == nil { makers[name] = place }
        for service in step.services where placesOf[service]?.contains(place) != true {
            steps[place].services.append(service)
            placesOf[service, default: []].append(place)
        }
        for name in step.makes where !steps[place].makes.contains(name) {
            steps[place].makes.append(name)
        }
        steps[place].needs += step.needs
        guard let old = steps[place].replay, let new = step.replay else { return }
        workloadsOf[place, default: []].insert(new.workload)
        let beginning = Timestamp(nanoseconds: 0)
        guard moments[new.snapshot] ?? beginning > moments[old.snapshot] ?? beginning else {
            steps[place].merged.append(new)
            return
        }
        steps[place].replay = new
        steps[place].merged.append(old)
        steps[place].bytes = step.bytes
        notes.append(
            "\(step.makes.first ?? step.id) is in several snapshots:"
                + " taken from the newest, of \(new.workload)")
    }

    /// Adds what follows from the nature of things within one service: files stand before the
    /// containers that mount them start, and servers run before data is loaded into them.
    mutating func connectWorkloads(of service: ServiceName) {
        let own = (placesOf[service] ?? []).filter { steps[$0].replay?.service == service }
        func ids(_ kinds: Set<WorkloadKind>, _ phases: Set<PlannedStep.Phase>) -> [String] {
            own.filter {
                steps[$0].replay.map { kinds.contains($0.kind) } ?? false
                    && phases.contains(steps[$0].phase)
            }.map { steps[$0].id }
        }
        let containers = ids([.docker], [.start])
        let files = ids([.files, .sqlite], [.prepare, .data])
        for place in own {
            guard let replay = steps[place].replay else { continue }
            if replay.kind == .docker, steps[place].phase == .start {
                steps[place].needs += files
            }
            if [.postgres, .command].contains(replay.kind), replay.needs.isEmpty {
                steps[place].needs += containers
            }
        }
    }

    /// Adds the step that its dependents wait for: everything of the service, and its checks.
    mutating func addHealthy(_ service: Service, checks: [CheckSpecification]) {
        var healthy = PlannedStep(
            id: Self.healthyID(service.name),
            title: checks.isEmpty
                ? "\(service.name) is back"
                : "check " + checks.map(\.summary).joined(separator: ", "),
            service: service.name, phase: .healthy)
        healthy.checks = checks.map { PlannedCheck($0) }
        healthy.needs = (placesOf[service.name] ?? []).map { steps[$0].id }
        append(healthy)
    }

    /// Makes the first steps of `service` wait until `other` is healthy.
    ///
    /// A step that both have in common cannot wait: it is one of those that `other` needs.
    mutating func order(_ service: ServiceName, after other: ServiceName) {
        let gate = Self.healthyID(other)
        guard places[gate] != nil else { return }
        let exclusive = (placesOf[service] ?? []).filter { steps[$0].services.count == 1 }
        let own = Set(exclusive.map { steps[$0].id })
        for place in exclusive {
            let needsOwn = steps[place].needs.contains { own.contains(aliases[$0] ?? $0) }
            if !needsOwn { steps[place].needs.append(gate) }
        }
    }

    /// The steps in an order that respects every need, needs without repetition.
    ///
    /// - Throws: `Failure` with the path, when steps wait for each other.
    func finished() throws -> [PlannedStep] {
        var steps = steps
        for place in steps.indices {
            var seen: Set<String> = [steps[place].id]
            steps[place].needs = steps[place].needs.map { aliases[$0] ?? $0 }
                .filter { seen.insert($0).inserted }
        }
        let nodes = steps.map { GraphNode($0.id, needs: $0.needs) }
        let order: [Int]
        do {
            order = try Graph(nodes).order
        } catch {
            throw Failure(
                .usage, error.description, hint: "look at after: and at what these services share")
        }
        return order.map { steps[$0] }
    }

    static func healthyID(_ service: ServiceName) -> String { "\(service)/healthy" }
}

extension PlannedStep.Phase {
    init(_ phase: ReplayStep.Phase) {
        switch phase {
        case .prepare: self = .prepare
        case .data: self = .data
        case .start: self = .start
        case .check: self = .check
        }
    }

    /// The driver's word; nil for what no driver does.
    var replay: ReplayStep.Phase? {
        switch self {
        case .prepare: .prepare
        case .data: .data
        case .start: .start
        case .check: .check
        case .healthy: nil
        }
    }
}
