import Catalog
import Engine
import Model
import Repository
import Restore
import Workloads

/// What the person who drills has asked for.
struct DrillWish: Sendable {
    /// Names of services; empty for all.
    var services: [String]
    /// An isolated target of the configuration; nil for this machine's Engine.
    var target: String?
    var moment: String?
    /// Steps that fail on purpose, in the words of the person.
    var failing: [String] = []
    /// Services that are left out with what depends on them.
    var without: [String] = []
    var reason: String
    var run: RunID
    var seed: UInt64
}

/// A drill that can begin.
struct PreparedDrill: Sendable {
    var wish: DrillWish
    var isolation: DrillIsolation
    var place: TargetPlace
    var orders: DrillOrders
    var prepared: PreparedRecovery
    var failing: Set<String>
    var services: [Service]
    var snapshots: [SnapshotRecord]
    var sample: SampleComparison
    /// Where containers are made; nil where none are.
    var engine: DrillEngine?
    var probe: DrillProbe
}

extension Application {
    /// Makes a drill's plan and looks at where it is to be carried out; changes nothing.
    func prepareDrill(
        _ wish: DrillWish, _ open: OpenRepository, progress: ProgressDisplay
    ) async throws -> PreparedDrill {
        let left = try leftOut(wish, open)
        let names = try remaining(wish, left, open)
        var original = RecoveryWish(
            services: names, target: .here, moment: wish.moment, only: false)
        let (whole, request) = try await plan(original, open)
        let isolation = try await isolation(of: whole, request, wish, open)
        let named = try drillTarget(wish.target, open)
        var place = TargetPlace(name: named?.name ?? "drill", isolation: isolation)
        place.engine = named?.engine
        let engineHost = place.engine ?? open.configuration.dockerHost
        let usesEngine = whole.steps.contains { $0.replay?.kind == .docker }
        let engine = usesEngine ? try await DrillEngine(host: engineHost) : nil
        try engine?.requireThisMachine()
        let probe = DrillProbe(base: probe(open.configuration, at: place), engine: engine)
        let sample = SampleComparison(seed: wish.seed, filesATree: open.configuration.drill.sample)

        var orders = DrillOrders(
            identity: try await identity(whole, wish, open),
            scenario: scenario(whole, wish, left, open),
            interval: open.configuration.drill.interval)
        orders.engine = engineHost
        orders.inputs = try await inputs(whole, request, open)
        orders.skipped = try skipped(
            request.services, names: Set(whole.services.map(\.name)), place)
        orders.estimate = whole.forecast.flatMap { $0.isMeasured ? $0.expected : nil }

        original.target = .named(place.name)
        original.place = place
        original.unattended = true
        let copy = try await plan(original, open).plan
        let failing = Set(try wish.failing.map { try step($0, in: copy, isolation) })
        for item in copy.uncovered where !whole.uncovered.contains(where: { $0 == item }) {
            orders.scenario.outOfScope.append(
                "\(item.workload?.text ?? item.service.text): \(item.reason)")
        }
        orders.scenario.failing = failing.map(isolation.originalName).sorted()
        let documents = [DrillOrders.documentName: try StableJSON.encode(orders)]

        var prepared = try await prepare(original, open, progress: progress) { environment in
            environment.purpose = .drill
            environment.failing = failing
            environment.sample = sample
            environment.documents = documents
            environment.probe = probe
        }
        prepared.plan.findings += try await collisions(isolation, engine)
        return PreparedDrill(
            wish: wish, isolation: isolation, place: place, orders: orders, prepared: prepared,
            failing: failing, services: request.services, snapshots: request.snapshots,
            sample: sample, engine: engine, probe: probe)
    }

    /// The isolated target of the configuration that is meant; nil for the ordinary one.
    private func drillTarget(_ name: String?, _ open: OpenRepository) throws -> TargetPlace? {
        let isolated = open.configuration.targets.filter { $0.isIsolated == true }
        guard let name else { return isolated.first { $0.name == "drill" } }
        if let found = isolated.first(where: { $0.name == name }) { return found }
        let isKnown = open.configuration.targets.contains { $0.name == name }
        throw Failure(
            .usage,
            isKnown
                ? "target \(printable(name.utf8)) is not isolated: a drill could touch what lives "
                    + "there" : "there is no target \(printable(name.utf8))",
            hint: "give a target with isolated: true, or none")
    }

    /// Services that `--without` takes away, with all that depends on them.
    private func leftOut(_ wish: DrillWish, _ open: OpenRepository) throws -> Set<ServiceName> {
        let services = open.configuration.services
        try refuseUnknown(wish.without, among: services.map(\.name.text))
        var left = Set(wish.without.map { ServiceName($0) })
        var isSettled = false
        while !isSettled {
            isSettled = true
            for service in services where service.after.contains(where: left.contains) {
                if left.insert(service.name).inserted { isSettled = false }
            }
        }
        return left
    }

    private func remaining(
        _ wish: DrillWish, _ left: Set<ServiceName>, _ open: OpenRepository
    ) throws -> [String] {
        guard !left.isEmpty else { return wish.services }
        let all = open.configuration.services.map(\.name.text)
        let names = (wish.services.isEmpty ? all : wish.services).filter {
            !left.contains(ServiceName($0))
        }
        guard !names.isEmpty else {
            throw Failure(
                .usage, "nothing is left to drill: everything depends on what is left out",
                hint: "dr plan shows what depends on what")
        }
        return names
    }

    /// Names of the drill's own, and where the originals' ports lead in it.
    private func isolation(
        of plan: RecoveryPlan, _ request: PlanRequest, _ wish: DrillWish, _ open: OpenRepository
    ) async throws -> DrillIsolation {
        let parent =
            try drillTarget(wish.target, open)?.root ?? open.configuration.drill.directory
        var isolation = DrillIsolation(
            run: wish.run, repository: open.repository.id,
            directory: DrillDirectory.path(of: wish.run, in: parent))
        let place = TargetPlace(name: "drill", isolation: isolation)
        let records = Dictionary(request.snapshots.map { ($0.id, $0) }) { first, _ in first }
        let opened = source(open, nil)
        for service in plan.services {
            for planned in service.snapshots where planned.kind == .docker {
                guard let record = records[planned.snapshot] else { continue }
                let found = try await DockerDriver().endpoints(
                    from: try await opened(record), service: service.name, at: place)
                for endpoint in found
                where !isolation.endpoints.contains(where: { $0.container == endpoint.container }) {
                    isolation.endpoints.append(endpoint)
                }
            }
        }
        isolation.guests = try await copies(of: plan, request, open)
        return isolation
    }

    /// Guests of Proxmox VE with numbers of the drill's own; nil where none are drilled.
    private func copies(
        of plan: RecoveryPlan, _ request: PlanRequest, _ open: OpenRepository
    ) async throws -> [DrillGuest]? {
        guard let range = open.configuration.drill.guests else { return nil }
        let opened = source(open, nil)
        var guests: [DrillGuest] = []
        for planned in plan.services.flatMap(\.snapshots) where planned.kind == .proxmox {
            guard let record = request.snapshots.first(where: { $0.id == planned.snapshot }),
                let service = request.services.first(where: { $0.name == record.service })
            else { continue }
            let found = try await ProxmoxDriver(programs: programs).guests(
                from: try await opened(record), service: service)
            for guest in found where !guests.contains(guest) { guests.append(guest) }
        }
        guard !guests.isEmpty else { return nil }
        return try await DrillGuests(programs: programs, ways: Set(guests.map(\.ssh)))
            .number(guests, from: range)
    }

    /// Checks that can only look at the originals.
    private func skipped(
        _ services: [Service], names: Set<ServiceName>, _ place: TargetPlace
    ) throws -> [DrillReport.Verification] {
        var skipped: [DrillReport.Verification] = []
        for service in services where names.contains(service.name) {
            for (kind, checks) in [("check", service.checks), ("assertion", service.assertions)] {
                for check in checks where try place.check(check, of: service.name) == nil {
                    var reason = "nothing in the drill answers for it"
                    if case .command = check.kind { reason = "a command looks at this machine" }
                    skipped.append(
                        .init(kind, service.name.text, .skipped, "\(check.summary): \(reason)"))
                }
            }
        }
        return skipped
    }

    /// The step that is meant: by its id as `dr plan` shows it, or a part of that.
    private func step(
        _ text: String, in plan: RecoveryPlan, _ isolation: DrillIsolation
    ) throws -> String {
        let named = plan.steps.map { (id: $0.id, original: isolation.originalName($0.id)) }
        if let exact = named.first(where: { $0.original == text || $0.id == text }) {
            return exact.id
        }
        let found = named.filter { $0.original.contains(text) }
        guard let only = found.first, found.count == 1 else {
            throw Failure(
                .usage,
                found.isEmpty
                    ? "the plan has no step \(printable(text.utf8))"
                    : "\(found.count) steps have \(printable(text.utf8)) in their names",
                hint: "one of: "
                    + (found.isEmpty ? named : found).prefix(12).map(\.original)
                    .joined(separator: ", "))
        }
        return only.id
    }

    /// What has a name of the drill already, before anything is made.
    private func collisions(
        _ isolation: DrillIsolation, _ engine: DrillEngine?
    ) async throws -> [PlanFinding] {
        var findings: [PlanFinding] = []
        let prefix = DrillIsolation.prefix(of: isolation.run)
        for thing in try await engine?.names(beginningWith: prefix) ?? [] {
            findings.append(PlanFinding(.blocker, service: nil, "\(thing) exists already"))
        }
        let directory = isolation.directory
        if try await BlockingPool.shared.run({ try FileSystem().size(of: directory) }) != nil {
            findings.append(
                PlanFinding(.blocker, service: nil, "\(printable(directory.utf8)) exists already"))
        }
        return findings
    }
}

/// Asks containers of a drill at their own addresses.
struct DrillProbe: HealthProbe {
    let base: CheckProbe
    let engine: DrillEngine?

    func probe(_ check: CheckSpecification) async throws -> HealthVerdict {
        guard let through = check.through, through.isContainer == true else {
            return try await base.probe(check)
        }
        var placed = check
        do {
            guard let address = try await engine?.address(of: through.host) else {
                return .unhealthy("container \(through.host) has no address")
            }
            placed.through?.host = address
            placed.through?.isContainer = nil
            if case .tcp(_, let port) = check.kind {
                placed.kind = .tcp(host: address, port: port)
                placed.through = nil
            }
        } catch let failure as Failure {
            return .unhealthy(failure.description)
        }
        return try await base.probe(placed)
    }
}
