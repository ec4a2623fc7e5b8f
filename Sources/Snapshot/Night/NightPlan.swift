import Engine
import Model

/// What a run does, in which order, and how much of it at once. A value.
///
/// Hooks and groups are nodes of the graph like captures. What cleans up follows what it cleans up
/// after: it runs however that ended.
struct NightPlan: Sendable {
    enum Work: Sendable {
        case before(Service)
        case quiesce(Group)
        case capture(WorkloadSpecification, WorkloadID, Service)
        case release(Group)
        case after(Service)
    }

    /// Services that are captured at one moment, those that need others first.
    struct Group: Sendable {
        var name: String
        var services: [Service]
    }

    /// What is already done, or is to be known, before a plan is made.
    struct Facts: Sendable {
        /// How long captures took before.
        var estimates: [WorkloadID: TimeSpan] = [:]
        /// The Engine of services that name none.
        var dockerHost: String?
        /// Workloads that need not be captured any more.
        var done: Set<WorkloadID> = []
    }

    let graph: Graph
    let works: [String: Work]
    let limits: GraphLimits
    let preference: [Int]
    /// Captures, in the order of the configuration.
    let captures: [(id: WorkloadID, service: Service)]
    let groups: [Group]

    /// - Throws: ``GraphError`` for services whose groups cannot be put into an order.
    init(_ services: [Service], rules: NightRules, facts: Facts = Facts()) throws(GraphError) {
        var builder = NightPlanBuilder(rules: rules, facts: facts)
        let groups = try Self.groups(services)
        for service in services { builder.add(service) }
        for group in groups { builder.add(group) }
        let graph = try Graph(builder.nodes)
        self.graph = graph
        self.groups = groups
        works = builder.works
        captures = builder.captures
        limits = GraphLimits(resources: builder.resources)
        let ranks = builder.ranks
        preference = graph.nodes.indices.sorted {
            let (left, right) = (ranks[graph.nodes[$0].id], ranks[graph.nodes[$1].id])
            guard let left, let right, left != right else { return $0 < $1 }
            return left < right
        }
    }

    private static func groups(_ services: [Service]) throws(GraphError) -> [Group] {
        var groups: [Group] = []
        var names: [String] = []
        for service in services {
            if let name = service.group, !names.contains(name) { names.append(name) }
        }
        for name in names {
            let members = services.filter { $0.group == name }
            let known = Set(members.map(\.name))
            let order = try Graph(
                members.map { member in
                    GraphNode(
                        member.name.text,
                        needs: member.after.filter(known.contains).map(\.text))
                }
            ).order
            groups.append(Group(name: name, services: order.reversed().map { members[$0] }))
        }
        return groups
    }
}

/// Which ready node is started first; smaller is earlier.
///
/// What sets services going again comes before all else, then what waits at rest. Then priorities
/// decide, and among equals the longest capture: it decides when the night is over.
struct NightRank: Comparable {
    var phase: Int
    var priority: Int
    var estimate: TimeSpan

    static func < (left: Self, right: Self) -> Bool {
        if left.phase != right.phase { return left.phase < right.phase }
        if left.priority != right.priority { return left.priority > right.priority }
        return left.estimate > right.estimate
    }
}

/// Gathers the nodes of a night.
private struct NightPlanBuilder {
    let rules: NightRules
    let facts: NightPlan.Facts
    var nodes: [GraphNode] = []
    var works: [String: NightPlan.Work] = [:]
    var captures: [(id: WorkloadID, service: Service)] = []
    var ranks: [String: NightRank] = [:]
    var resources: [String: Int]
    private static let slots = "captures"

    init(rules: NightRules, facts: NightPlan.Facts) {
        self.rules = rules
        self.facts = facts
        resources = [Self.slots: rules.jobs]
    }

    private func workloads(_ service: Service) -> [(WorkloadSpecification, WorkloadID)] {
        service.workloads.map {
            ($0, WorkloadID(service: service.name, kind: $0.kind, name: $0.name))
        }.filter { !facts.done.contains($0.1) }
    }

    private func estimate(_ service: Service) -> TimeSpan {
        workloads(service).reduce(.zero) { $0 + (facts.estimates[$1.1] ?? .zero) }
    }

    mutating func add(_ service: Service) {
        let workloads = workloads(service)
        guard !workloads.isEmpty else { return }
        let (before, after) = ("\(service.name): before", "\(service.name): after")
        var needs: [String] = []
        if !service.hooks.isEmpty {
            // Its place among the captures passes to those that wait for it.
            add(
                GraphNode(before, resources: [Self.slots: 1]), .before(service),
                rank: NightRank(
                    phase: 2, priority: service.priority, estimate: estimate(service)))
            needs.append(before)
        }
        if let group = service.group { needs.append(quiesce(group)) }
        for (workload, id) in workloads {
            let host = "host \(host(of: workload))"
            resources[host] = rules.jobsPerHost
            let estimate = facts.estimates[id] ?? .zero
            captures.append((id, service))
            add(
                GraphNode(
                    id.text, needs: needs, estimate: estimate,
                    resources: [Self.slots: 1, host: 1], retry: retry,
                    deadline: service.timeout ?? rules.timeout),
                .capture(workload, id, service),
                rank: NightRank(
                    phase: needs.isEmpty ? 2 : 1, priority: service.priority, estimate: estimate))
        }
        if !service.hooks.isEmpty {
            var follows = workloads.map(\.1.text) + [before]
            if let group = service.group { follows.append(release(group)) }
            add(
                GraphNode(after, follows: follows), .after(service),
                rank: NightRank(phase: 0, priority: 0, estimate: .zero))
        }
    }

    mutating func add(_ group: NightPlan.Group) {
        let members = group.services.filter { !workloads($0).isEmpty }
        guard !members.isEmpty else { return }
        let hooked = members.filter { !$0.hooks.isEmpty }.map { "\($0.name): before" }
        // All places: its captures begin at once when it is done.
        add(
            GraphNode(quiesce(group.name), follows: hooked, resources: [Self.slots: rules.jobs]),
            .quiesce(group),
            rank: NightRank(
                phase: 2, priority: members.map(\.priority).max() ?? 0,
                estimate: members.reduce(.zero) { $0 + estimate($1) }))
        add(
            GraphNode(
                release(group.name),
                follows: members.flatMap { workloads($0).map(\.1.text) } + [quiesce(group.name)]),
            .release(group), rank: NightRank(phase: 0, priority: 0, estimate: .zero))
    }

    private mutating func add(_ node: GraphNode, _ work: NightPlan.Work, rank: NightRank) {
        nodes.append(node)
        works[node.id] = work
        ranks[node.id] = rank
    }

    private func quiesce(_ group: String) -> String { "group \(group): rest" }
    private func release(_ group: String) -> String { "group \(group): release" }

    private var retry: RetryPolicy {
        RetryPolicy(
            attempts: rules.attempts, first: rules.pause, factor: 4,
            longest: max(rules.pause, TimeSpan(seconds: 300)), whenLate: false)
    }

    /// The machine that does the work of a capture.
    private func host(of workload: WorkloadSpecification) -> String {
        switch workload {
        case .docker(let docker): return Self.host(in: docker.engine ?? facts.dockerHost)
        case .postgres(let postgres):
            switch postgres.server {
            case .container(_, let engine): return Self.host(in: engine ?? facts.dockerHost)
            // The server does the work, wherever its client programs run.
            case .url(let url):
                let server = Self.host(in: url)
                return server.isEmpty ? Self.host(in: postgres.host) : server
            }
        case .mariadb(let mariadb):
            switch mariadb.server {
            case .container(_, let engine): return Self.host(in: engine ?? facts.dockerHost)
            case .address(let address):
                let server = address.hasPrefix("/") ? "" : Self.host(in: "mariadb://\(address)")
                return server.isEmpty ? Self.host(in: mariadb.host) : server
            }
        case .proxmox(let proxmox):
            return Self.host(
                in: proxmox.exports == nil ? proxmox.ssh.map { "ssh://\($0)" } : nil)
        case .files(let files): return Self.host(in: files.host)
        case .command(let command): return Self.host(in: command.host)
        case .sqlite: return ""
        }
    }

    /// The host in an address such as `postgresql://user@host:port/name`; empty for this machine.
    private static func host(in address: String?) -> String {
        guard let url = address, !url.hasPrefix("unix:"),
            let start = url.firstRange(of: "://")?.upperBound
        else { return "" }
        let authority = url[start...].prefix { $0 != "/" && $0 != "?" }
        let place = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? ""
        let host = place.split(separator: ":", omittingEmptySubsequences: false).first ?? ""
        return ["localhost", "127.0.0.1"].contains(host) ? "" : String(host)
    }
}
