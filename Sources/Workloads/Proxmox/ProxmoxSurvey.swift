public import Engine
public import Model

/// Looks at the clusters of services' guests: what backups need there, and what no service covers.
/// Changes nothing.
public struct ProxmoxSurvey: Sendable {
    public struct Finding: Sendable {
        public enum State: Sendable { case good, advice, wrong }
        /// A workload, `Proxmox VE`, or `coverage`.
        public var subject: String
        public var state: State
        /// What was found; its hint mends it.
        public var failure: Failure
    }

    /// A workload and what it names.
    private struct Named: Sendable {
        var id: WorkloadID
        var specification: ProxmoxSpecification
    }

    /// What is needed on every node that has guests.
    private static let needed = ["vzdump", "qm", "qmrestore", "pct", "pvesh"]
    /// Releases before it were never considered.
    private static let oldestRelease = (major: 8, minor: 0)

    private let programs: any ProgramRunner
    private var named: [Named] = []
    private var findings: [Finding] = []

    public init(programs: any ProgramRunner) { self.programs = programs }

    public mutating func add(_ specification: ProxmoxSpecification, as id: WorkloadID) {
        named.append(Named(id: id, specification: specification))
    }

    /// - Throws: `CancellationError` alone: what cannot be looked at is a finding.
    public func run() async throws -> [Finding] {
        var survey = self
        for item in named {
            guard let directory = item.specification.exports else { continue }
            try await survey.lookAtExports(item, in: directory)
        }
        var covered: [Set<ProxmoxCluster.Member>: (cluster: ProxmoxCluster, numbers: Set<Int>)] =
            [:]
        let dumped = named.filter { $0.specification.exports == nil }
        for ssh in Set(dumped.map(\.specification.ssh)).sorted(by: { ($0 ?? "") < ($1 ?? "") }) {
            let own = dumped.filter { $0.specification.ssh == ssh }
            guard let cluster = try await survey.look(from: ssh, for: own) else { continue }
            // Two ways may lead into one cluster.
            let identity = Set(
                cluster.members.map {
                    ProxmoxCluster.Member(
                        name: $0.name, address: $0.address, isOnline: true, isHere: false)
                })
            let isKnown = covered[identity] != nil
            if !isKnown { survey.judge(cluster) }
            let numbers = try await survey.lookAtGuests(of: own, in: cluster)
            covered[identity, default: (cluster, [])].numbers.formUnion(numbers)
        }
        let exported = named.compactMap { item -> Int? in
            guard item.specification.exports != nil,
                case .guest(let number) = item.specification.subject
            else { return nil }
            return number
        }
        for (cluster, numbers) in covered.values.sorted(by: {
            $0.cluster.entry.address < $1.cluster.entry.address
        }) {
            survey.judgeCoverage(of: cluster, numbers.union(exported))
        }
        return survey.findings
    }

    private mutating func note(
        _ state: Finding.State, _ subject: String, _ text: String, hint: String? = nil
    ) {
        findings.append(
            Finding(subject: subject, state: state, failure: Failure(.failed, text, hint: hint)))
    }

    private mutating func note(_ error: any Error, _ subject: String, hint: String) throws {
        if error is CancellationError { throw error }
        var failure = Failure(wrapping: error)
        failure.hint = failure.hint ?? hint
        findings.append(Finding(subject: subject, state: .wrong, failure: failure))
    }

    // MARK: Clusters

    /// What a cluster says of itself; nil when it does not answer, which is noted.
    private mutating func look(
        from ssh: String?, for workloads: [Named]
    ) async throws -> ProxmoxCluster? {
        do {
            return try await ProxmoxCluster.look(from: ProxmoxNode(ssh: ssh, programs: programs))
        } catch {
            let names = workloads.map(\.id.text).joined(separator: ", ")
            try note(
                error, "Proxmox VE",
                hint: "\(names): name a node of the cluster that answers: "
                    + "proxmox: {…, node: {ssh: root@NODE}}")
            return nil
        }
    }

    private mutating func judge(_ cluster: ProxmoxCluster) {
        let address = cluster.entry.address
        let release = cluster.release.map { "Proxmox VE \($0.major).\($0.minor)" } ?? "Proxmox VE"
        if !cluster.isAtLeast(Self.oldestRelease.major, Self.oldestRelease.minor) {
            note(
                .advice, "Proxmox VE", "\(address) runs \(release), which is too old to be known",
                hint: "upgrade it to 8 or later; until then try a restore beside the original: "
                    + "restore: {offset: 9000, start: false}")
        }
        let online = cluster.members.filter(\.isOnline)
        if cluster.isQuorate {
            note(
                .good, "Proxmox VE",
                "\(address) answers: \(release), \(online.count) of \(cluster.members.count) nodes "
                    + "online, with quorum")
        } else {
            let failure = GuestPlace.withoutQuorum(cluster.entry)
            note(.wrong, "Proxmox VE", failure.message, hint: failure.hint)
        }
        for member in cluster.members where !member.isOnline {
            note(
                .advice, "Proxmox VE", "the node \(printable(member.name.utf8)) is offline",
                hint: "bring it back; its guests cannot be saved meanwhile")
        }
    }

    private mutating func judgeCoverage(of cluster: ProxmoxCluster, _ numbers: Set<Int>) {
        let missing = cluster.guests.filter {
            !numbers.contains($0.number) && !$0.isTemplate && !$0.isDrilled
        }.sorted { $0.number < $1.number }
        guard !missing.isEmpty else {
            return note(
                .good, "coverage", "every guest in the cluster of \(cluster.entry.address) is saved"
            )
        }
        let names = missing.map { "\($0.number) \(printable($0.name.utf8)) on \($0.node)" }
        note(
            .advice, "coverage", "guests not saved: \(names.joined(separator: ", "))",
            hint: "dr discover --diff, on one of its nodes, writes what to add; or add for example "
                + "proxmox: {vm: \(missing[0].number)}")
    }

    // MARK: Guests

    /// - Returns: The numbers of the guests that the workloads name.
    private mutating func lookAtGuests(
        of workloads: [Named], in cluster: ProxmoxCluster
    ) async throws -> Set<Int> {
        var numbers: Set<Int> = []
        var nodes: Set<String> = []
        for item in workloads {
            let guests: [ProxmoxCluster.Guest]
            do { guests = try cluster.guests(item.specification.subject) } catch {
                try note(error, item.id.text, hint: "correct it in the configuration")
                continue
            }
            numbers.formUnion(guests.map(\.number))
            var isWell = true
            for guest in guests {
                guard let member = cluster.member(guest.node), member.isOnline else {
                    isWell = false
                    note(
                        .wrong, item.id.text,
                        "guest \(guest.number) lives on \(guest.node), which is offline",
                        hint: "bring the node back")
                    continue
                }
                if nodes.insert(member.name).inserted {
                    try await lookAtNode(member, of: cluster)
                }
                do {
                    isWell = try await lookAt(guest, of: item, in: cluster) && isWell
                } catch {
                    isWell = false
                    try note(error, item.id.text, hint: "pvesh get /cluster/resources --type vm")
                }
            }
            guard isWell else { continue }
            let names = guests.map { "\($0.number) \(printable($0.name.utf8)) on \($0.node)" }
            note(.good, item.id.text, names.joined(separator: ", "))
        }
        return numbers
    }

    /// Whether a node is reached, and has the programs that dumps and restores need.
    private mutating func lookAtNode(
        _ member: ProxmoxCluster.Member, of cluster: ProxmoxCluster
    ) async throws {
        let script = #"for p; do command -v "$p" >/dev/null || echo "$p"; done"#
        let call = ProgramCall(
            ["sh", "-c", script, "dr"] + Self.needed, timeout: TimeSpan(seconds: 60))
        let name = printable(member.name.utf8)
        do {
            let result = try await cluster.entry.programs(of: member).run(call)
            guard result.succeeded else {
                throw result.failure(
                    "reaching the node \(name) from \(cluster.entry.address)", side: .source)
            }
            let missing = result.text.split(separator: "\n").map { printable($0.utf8) }
            guard missing.isEmpty else {
                return note(
                    .wrong, "Proxmox VE",
                    "the node \(name) has no \(missing.joined(separator: ", ")) in PATH",
                    hint: "apt install --reinstall qemu-server pve-container pve-manager, there")
            }
        } catch {
            try note(
                error, "Proxmox VE",
                hint: "try it there, as root: ssh root@\(member.address) true; "
                    + "pvecm updatecerts mends the cluster's keys")
        }
    }

    /// - Returns: Whether nothing keeps the guest from being saved.
    private mutating func lookAt(
        _ guest: ProxmoxCluster.Guest, of item: Named, in cluster: ProxmoxCluster
    ) async throws -> Bool {
        let configuration = try await cluster.configuration(of: guest)
        let title = "guest \(guest.number) (\(printable(guest.name.utf8)))"
        let program = guest.kind.program
        if let lock = configuration.values["lock"] {
            note(
                .wrong, item.id.text, "\(title) is locked (\(printable(lock.utf8)))",
                hint: "wait for what holds the lock; if nothing does: "
                    + "\(program) unlock \(guest.number), on \(guest.node)")
            return false
        }
        if let storage = item.specification.fleecing {
            let found = try await cluster.entry.get(
                "/nodes/\(guest.node)/storage", ["--enabled", "1"])
            let names = found.array?.compactMap { $0["storage"].string } ?? []
            guard names.contains(storage) else {
                note(
                    .wrong, item.id.text,
                    "there is no storage \(printable(storage.utf8)) on \(guest.node) for fleecing",
                    hint: "name one of: \(names.sorted().joined(separator: ", "))")
                return false
            }
        }
        guard guest.kind == .qemu, guest.status == "running" else { return true }
        guard configuration.hasAgent else {
            note(
                .advice, item.id.text,
                "\(title) has no guest agent: its snapshots are as after a power cut",
                hint: "install qemu-guest-agent in it, then on \(guest.node): "
                    + "qm set \(guest.number) --agent enabled=1, and stop and start it")
            return true
        }
        do { try await cluster.pingAgent(of: guest.number, on: guest.node) } catch {
            if error is CancellationError { throw error }
            note(
                .advice, item.id.text,
                "the guest agent of \(title) does not answer: its snapshots are as after a power cut",
                hint: "start it in the guest: systemctl enable --now qemu-guest-agent")
        }
        return true
    }

    private mutating func lookAtExports(_ item: Named, in directory: String) async throws {
        guard case .guest(let number) = item.specification.subject else { return }
        do {
            let file = try await BlockingPool.shared.run {
                try ExportCapture.newest(of: number, in: directory)
            }
            note(.good, item.id.text, "the newest export is \(printable(file.name.utf8))")
        } catch {
            try note(error, item.id.text, hint: "is a file system not mounted?")
        }
    }
}
