import Engine
import Model

/// Where a guest comes back: its number, the node that gets it, and what that node can do with it.
struct GuestPlace: Sendable {
    let record: GuestRecord
    let cluster: ProxmoxCluster
    let number: Int
    let member: ProxmoxCluster.Member
    let programs: any ProgramRunner
    /// The storage of all its disks; nil for those they were on.
    let storage: String?
    let pool: String?
    /// It is a copy beside its original.
    let isUnique: Bool

    /// - Throws: `Failure` where the wanted node is not there.
    init(_ record: GuestRecord, placement: ProxmoxPlacement, cluster: ProxmoxCluster) throws {
        self.record = record
        self.cluster = cluster
        number = placement.number(of: record.number)
        let own = record.node.flatMap(cluster.member).flatMap { $0.isOnline ? $0 : nil }
        let existing = cluster.guest(number).flatMap { cluster.member($0.node) }
        if let name = placement.node {
            guard let named = cluster.member(name), named.isOnline else {
                throw Failure(
                    .failed,
                    "\(printable(name.utf8)) is no node of the cluster of "
                        + "\(cluster.entry.address) that is online",
                    hint: "online are: "
                        + cluster.members.filter(\.isOnline).map(\.name).joined(separator: ", "),
                    side: .target)
            }
            // Once it is restored it may have been moved.
            member = existing ?? named
        } else if let member = existing ?? own ?? cluster.here {
            self.member = member
        } else {
            throw Failure(.failed, "no node is there for guest \(number)", side: .target)
        }
        programs = cluster.entry.programs(of: member)
        storage = placement.storage
        // What is saved by its pool is never a drill's copy.
        pool = placement.drilled == nil ? placement.pool ?? record.pool : nil
        isUnique =
            placement.unique
            ?? (number != record.number && cluster.guest(record.number) != nil)
    }

    static func withoutQuorum(_ entry: ProxmoxNode) -> Failure {
        Failure(
            .failed, "the cluster of \(entry.address) has no quorum: nothing can be restored",
            hint: "bring its nodes back; only when the others are surely off: pvecm expected 1",
            side: .target)
    }

    private func run(_ words: [String], timeout: TimeSpan) async throws {
        let result = try await programs.run(ProgramCall(words, timeout: timeout))
        guard result.succeeded else {
            throw result.failure(
                "\(words.prefix(3).joined(separator: " ")) on \(member.name)", side: .target)
        }
    }

    /// `qm` or `pct` with one verb.
    func control(_ verb: String, timeout: TimeSpan) async throws {
        try await run([record.kind.program, verb, "\(number)"], timeout: timeout)
    }

    /// Removes what a restore that failed has left: the disks go by themselves, the configuration
    /// stays and keeps the number taken.
    func removeLeftovers(timeout: TimeSpan) async {
        guard let now = try? await ProxmoxCluster.look(from: cluster.entry),
            let left = now.guest(number)
        else { return }
        // The next attempt removes it too; this one's error is what counts.
        _ = try? await cluster.remove(left, isOwn: true, timeout: timeout)
    }

    // MARK: High availability

    private var resourceID: String { ProxmoxCluster.resourceID(record.kind, number) }

    /// What high availability wants of it; nil when it does not manage it.
    func resource() async throws -> String? {
        try await cluster.resource(resourceID)
    }

    func set(resource state: String) async throws {
        try await cluster.entry.run([
            "pvesh", "set", "/cluster/ha/resources/\(resourceID)", "--state", state,
        ])
    }

    /// Whatever has become of it: a removal takes it away from high availability.
    func giveBack(resource state: String) async throws {
        if try await resource() == nil {
            try await create(resource: state)
        } else {
            try await set(resource: state)
        }
    }

    private func create(resource state: String) async throws {
        try await cluster.entry.run([
            "pvesh", "create", "/cluster/ha/resources", "--sid", resourceID, "--state", state,
        ])
    }
}

extension ProxmoxCluster {
    static func resourceID(_ kind: GuestKind, _ number: Int) -> String {
        "\(kind.prefix):\(number)"
    }

    /// What high availability wants of a resource; nil when it does not manage it.
    func resource(_ id: String) async throws -> String? {
        let all = try await entry.get("/cluster/ha/resources").array ?? []
        return all.first { $0["sid"].string == id }.map { $0["state"].string ?? "started" }
    }

    /// Ends and removes a guest, with its disks.
    ///
    /// - Parameter isOwn: It is what an earlier attempt has left: its lock means nothing any more,
    ///   and volumes that nothing refers to are what it was writing.
    /// - Returns: What went with it that does not come back.
    @discardableResult
    func remove(_ guest: Guest, isOwn: Bool, timeout: TimeSpan) async throws -> [String] {
        let (program, number) = (guest.kind.program, "\(guest.number)")
        guard let owner = member(guest.node) else { return [] }
        let programs = entry.programs(of: owner)
        if isOwn {
            _ = try await programs.run(ProgramCall([program, "unlock", number], timeout: timeout))
        }
        var calls: [[String]] = []
        if guest.status == "running" { calls.append([program, "stop", number]) }
        calls.append([
            program, "destroy", number, "--destroy-unreferenced-disks", isOwn ? "1" : "0",
        ])
        // High availability does not let go of it otherwise; it gets it back in the end.
        let isManaged = try await resource(Self.resourceID(guest.kind, guest.number)) != nil
        if isManaged { calls[calls.count - 1] += ["--purge", "1"] }
        for words in calls {
            let result = try await programs.run(ProgramCall(words, timeout: timeout))
            guard result.succeeded else {
                throw result.failure(
                    "\(words.prefix(3).joined(separator: " ")) on \(owner.name)", side: .target)
            }
        }
        guard isManaged else { return [] }
        return ["backup and replication jobs that named \(number) do so no more: look at them"]
    }
}

/// Waits for a guest that was started.
struct GuestCheck: Sendable {
    let place: GuestPlace
    let wait: TimeSpan

    private static let pause: Duration = .seconds(1)

    /// - Throws: `Failure` when it has not come up in time.
    func pass() async throws -> ReplayOutcome {
        let end = ContinuousClock.now + wait.duration
        var last = ""
        repeat {
            switch await ask() {
            case nil:
                // Without an agent the node itself can only wait.
                if !place.record.hasAgent, let seconds = place.record.startup.up {
                    try await Task.sleep(for: .seconds(seconds))
                }
                return ReplayOutcome()
            case let problem?: last = problem
            }
            try await Task.sleep(for: Self.pause)
        } while ContinuousClock.now < end
        throw Failure(
            .failed, "guest \(place.number) did not come up within \(wait)",
            hint: "look at its console on \(place.member.name)",
            cause: last.isEmpty ? nil : last, side: .target)
    }

    /// Nil when it is up, else what is missing.
    private func ask() async -> String? {
        let base = "/nodes/\(place.member.name)/\(place.record.kind.rawValue)/\(place.number)"
        do {
            if place.record.hasAgent, place.record.kind == .qemu {
                try await place.cluster.pingAgent(of: place.number, on: place.member.name)
                return nil
            }
            let status = try await place.cluster.entry.get("\(base)/status/current")
            let word = status["status"].string ?? "unknown"
            return word == "running" ? nil : "it is \(printable(word.utf8))"
        } catch {
            return Failure(wrapping: error).description
        }
    }
}
