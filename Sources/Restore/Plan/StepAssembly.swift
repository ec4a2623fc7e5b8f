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
    /// Steps that manage what others bring back.
    private var managers: [Int] = []
    /// Steps by the number that says which of them come first.
    private var ordered: [(order: Int, place: Int)] = []
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
            if step.isDownload { planned.resources[RecoveryLimits.network] = 1 }
            planned.replay = PlannedStep.Replay(
                service: service.name, workload: snapshot.workload, kind: snapshot.kind,
                snapshot: snapshot.id, step: step.id, needs: step.needs)
            let owner = step.makes.compactMap { makers[$0] }.first {
                workloadsOf[$0]?.contains(snapshot.workload) != true
            }
            if let owner {
                merge(planned, into: owner)
            } else {
                if step.isLast { managers.append(steps.count) }
                if let order = step.startOrder { ordered.append((order, steps.count)) }
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

    /// One thing is made once, from the newest snapshot that holds it; an empty directory that one
    /// wants does not stand in for what another saved.
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
        let isNewer =
            moments[new.snapshot] ?? beginning > moments[old.snapshot] ?? beginning
        let (isEmpty, wasEmpty) = (step.bytes.bytes == 0, steps[place].bytes.bytes == 0)
        guard isEmpty == wasEmpty ? isNewer : wasEmpty else {
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

    /// Adds what follows from the nature of things within one service.
    ///
    /// Files stand before the containers that mount them are made. A server runs before data is
    /// loaded into it, and the service's other containers start after: an application that finds its
    /// database empty would begin to fill it.
    mutating func connectWorkloads(of service: ServiceName) {
        let own = (placesOf[service] ?? []).filter { steps[$0].replay?.service == service }
        func kind(_ place: Int) -> WorkloadKind? { steps[place].replay?.kind }
        let files = own.filter { kind($0) == .files || kind($0) == .sqlite }.map { steps[$0].id }
        let starts = own.filter { kind($0) == .docker && steps[$0].phase == .start }
        for place in own where kind(place) == .docker {
            let isContainer = steps[place].makes.contains {
                ScopedName.local($0).hasPrefix("container/")
            }
            if isContainer || steps[place].phase == .start { steps[place].needs += files }
        }
        let loaded = own.filter { place in
            kind(place).map { [.postgres, .mariadb, .command].contains($0) } ?? false
        }
        for workload in Set(loaded.compactMap { steps[$0].replay?.workload }).sorted() {
            let places = loaded.filter { steps[$0].replay?.workload == workload }
            let server = starts.first { isStart($0, ofServer: workload, of: service) }
            let before = server.map { [$0] } ?? starts
            for place in places where steps[place].replay?.needs.isEmpty == true {
                steps[place].needs += before.map { steps[$0].id }
            }
            guard let server else { continue }
            let earlier = ancestors(of: server)
            for start in starts where start != server && !earlier.contains(steps[start].id) {
                steps[start].needs += places.map { steps[$0].id }
            }
        }
    }

    /// Whether a step starts the container that a database server's workload is named for.
    private func isStart(_ place: Int, ofServer workload: WorkloadID, of service: ServiceName)
        -> Bool
    {
        let prefixes = [WorkloadKind.postgres, .mariadb].map { "\(service)/\($0.rawValue):" }
        guard let prefix = prefixes.first(where: workload.text.hasPrefix) else { return false }
        let name = "container/\(workload.text.dropFirst(prefix.count))"
        return ([place] + steps[place].needs.compactMap { places[aliases[$0] ?? $0] }).contains {
            steps[$0].makes.contains { ScopedName.local($0) == name }
        }
    }

    /// Ids of all that a step needs, directly or not.
    private func ancestors(of place: Int) -> Set<String> {
        var found: Set<String> = []
        var open = steps[place].needs
        while let next = open.popLast() {
            let id = aliases[next] ?? next
            if found.insert(id).inserted, let place = places[id] { open += steps[place].needs }
        }
        return found
    }

    /// Adds what people do: before all of the service's own steps, or after them.
    mutating func addManual(_ service: Service) {
        for (number, manual) in service.manual.enumerated() {
            var step = PlannedStep(
                id: "\(service.name)/manual:\(number + 1)", title: manual.message,
                service: service.name, phase: .manual)
            step.message = manual.message
            let others = (placesOf[service.name] ?? []).filter {
                manual.moment == .after
                    || steps[$0].services.count == 1 && steps[$0].phase != .manual
            }
            switch manual.moment {
            case .before: for place in others { steps[place].needs.append(step.id) }
            case .after: step.needs = others.map { steps[$0].id }
            }
            append(step)
        }
    }

    /// Lets what manages others start after everything else that does not itself wait for it: it
    /// would see half of the others, and act on that.
    mutating func putManagersLast(_ services: [ServiceName]) {
        for manager in managers {
            let own = Set(steps[manager].services)
            var isLast = false
            for service in services where !own.contains(service) {
                let gate = Self.healthyID(service)
                guard let place = places[gate], !ancestors(of: place).contains(steps[manager].id)
                else { continue }
                steps[manager].needs.append(gate)
                isLast = true
            }
            if isLast { notes.append("\(steps[manager].title): last, because it manages others") }
        }
    }

    /// Lets steps with a lower number come first. The numbers are hints: where a step with a lower
    /// one waits for one with a higher one, it does.
    mutating func followStartOrder() {
        for (order, place) in ordered {
            let earlier = ordered.filter { $0.order < order }
            guard let last = earlier.map(\.order).max() else { continue }
            for other in earlier where other.order == last {
                guard !ancestors(of: other.place).contains(steps[place].id) else { continue }
                steps[place].needs.append(steps[other.place].id)
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
        case .manual, .healthy: nil
        }
    }
}
