public import Engine
public import Model

/// Finds and removes guests that drills made in Proxmox VE clusters, by the label in their notes:
/// never anything else.
public struct DrillGuests: Sendable {
    private let programs: any ProgramRunner
    /// Ways into clusters; nil is this machine.
    private let ways: [String?]

    private static let patience = TimeSpan(seconds: 300)
    private static let attempts = 10
    private static let pause: Duration = .seconds(1)

    /// - Parameter ways: What `ssh` reaches, for example `root@pve1`; nil for this machine.
    public init(programs: any ProgramRunner, ways: Set<String?>) {
        self.programs = programs
        self.ways = ways.sorted { ($0 ?? "") < ($1 ?? "") }
    }

    private struct Found {
        var cluster: ProxmoxCluster
        var guest: ProxmoxCluster.Guest
        /// The drill; nil for none of the repository's.
        var run: String?
        var remain: DrillRemain { DrillRemain("guest", "\(guest.number)", run: run) }
    }

    private func clusters() async throws -> [(way: String?, cluster: ProxmoxCluster)] {
        var clusters: [(way: String?, cluster: ProxmoxCluster)] = []
        for way in ways {
            let entry = try ProxmoxNode(ssh: way, programs: programs)
            clusters.append((way, try await ProxmoxCluster.look(from: entry)))
        }
        return clusters
    }

    // MARK: Numbers

    /// Gives copies numbers that nothing has, in any of the clusters.
    ///
    /// - Throws: `Failure` when there are too few, or when something that is no drill's has a number
    ///   of `range`.
    public func number(
        _ guests: [DrillGuest], from range: ClosedRange<Int>
    ) async throws -> [DrillGuest] {
        var taken = Set(guests.map(\.original))
        for (_, cluster) in try await clusters() {
            // A disk that no guest has is somebody's all the same.
            taken.formUnion(try await volumes(of: Set(range), in: cluster).map(\.number))
            for guest in cluster.guests where range.contains(guest.number) {
                guard guest.isDrilled else {
                    throw Failure(
                        .failed,
                        "guest \(guest.number) (\(printable(guest.name.utf8))) on "
                            + "\(printable(guest.node.utf8)) has a number of drills and is none",
                        hint: "give drills numbers that nothing else uses: drill: {guests: {from: "
                            + "…, to: …}}", side: .target)
                }
                taken.insert(guest.number)
            }
        }
        if let original = guests.first(where: { range.contains($0.original) }) {
            throw Failure(
                .failed, "guest \(original.original) was saved with a number of drills",
                hint: "give drills numbers that nothing else uses", side: .target)
        }
        var free = range.lazy.filter { !taken.contains($0) }.makeIterator()
        return try guests.map { guest in
            guard let number = free.next() else {
                throw Failure(
                    .failed,
                    "\(guests.count) guests have to get numbers from \(range.lowerBound) to "
                        + "\(range.upperBound), which are not enough",
                    hint: "widen drill: {guests: {from: …, to: …}}", side: .target)
            }
            return DrillGuest(ssh: guest.ssh, original: guest.original, number: number)
        }
    }

    // MARK: What is there

    /// All that bears the label of a repository's drills.
    ///
    /// - Parameter run: Only this drill's; nil for all drills of the repository.
    private func find(
        of repository: RepositoryID, run: RunID?
    ) async throws -> [Found] {
        var found: [Found] = []
        for (_, cluster) in try await clusters() {
            for guest in cluster.guests
            where guest.isDrilled
                // Two ways may lead into one cluster.
                && !found.contains(where: { $0.guest == guest })
            {
                let notes = try await cluster.configuration(of: guest).values["description"] ?? ""
                guard let label = DrillIsolation.run(inNotes: notes, of: repository),
                    run == nil || label == run.map({ "\($0)" })
                else { continue }
                found.append(Found(cluster: cluster, guest: guest, run: label))
            }
        }
        return found
    }

    public func remains(of repository: RepositoryID, run: RunID? = nil) async throws
        -> [DrillRemain]
    {
        try await find(of: repository, run: run).map(\.remain)
    }

    /// What a drill has made: also what it had only begun to make, which bears no label yet but was
    /// written down, and disks that no guest has any more.
    public func remains(of isolation: DrillIsolation, names: [String]) async throws
        -> [DrillRemain]
    {
        try await all(of: isolation, names: names).map(\.remain)
            + (try await orphans(of: isolation)).map(\.volume.remain)
    }

    private struct Volume: Hashable {
        var id: String
        var member: ProxmoxCluster.Member
        var number: Int
        var remain: DrillRemain { DrillRemain("disk", "\(id) on \(member.name)") }
    }

    /// Disks with the number of a drill's copy that no guest has any more: when it was given, nothing
    /// had it.
    private func orphans(
        of isolation: DrillIsolation
    ) async throws -> [(cluster: ProxmoxCluster, volume: Volume)] {
        var found: [(cluster: ProxmoxCluster, volume: Volume)] = []
        for (way, cluster) in try await clusters() {
            let bare = (isolation.guests ?? []).filter {
                $0.ssh == way && cluster.guest($0.number) == nil
            }
            found += try await volumes(of: Set(bare.map(\.number)), in: cluster).map {
                (cluster, $0)
            }
        }
        return found
    }

    private func volumes(
        of numbers: Set<Int>, in cluster: ProxmoxCluster
    ) async throws -> [Volume] {
        var found: Set<Volume> = []
        for member in cluster.members where member.isOnline && !numbers.isEmpty {
            let place = "/nodes/\(member.name)/storage"
            let storages = try await cluster.entry.get(place, ["--enabled", "1"])
            for storage in storages.array ?? [] where storage["active"].looseFlag {
                let contents = (storage["content"].string ?? "").split(separator: ",")
                guard let id = storage["storage"].string,
                    contents.contains("images") || contents.contains("rootdir")
                else { continue }
                for volume in try await cluster.entry.get("\(place)/\(id)/content").array ?? [] {
                    guard let number = volume["vmid"].looseInteger, numbers.contains(Int(number)),
                        volume["content"].string != "backup", let id = volume["volid"].looseText
                    else { continue }
                    found.insert(Volume(id: id, member: member, number: Int(number)))
                }
            }
        }
        return found.sorted { ($0.member.name, $0.id) < ($1.member.name, $1.id) }
    }

    private func all(of isolation: DrillIsolation, names: [String]) async throws -> [Found] {
        var found = try await find(of: isolation.repository, run: isolation.run)
        for (way, cluster) in try await clusters() {
            for copy in isolation.guests ?? [] where copy.ssh == way {
                guard let guest = cluster.guest(copy.number),
                    names.contains("guest/\(cluster.entry.address)/\(copy.number)"),
                    !found.contains(where: { $0.guest == guest }),
                    try await cluster.configuration(of: guest).values["lock"] == "create"
                else { continue }
                found.append(Found(cluster: cluster, guest: guest, run: "\(isolation.run)"))
            }
        }
        return found
    }

    // MARK: Removing

    /// Removes what a drill has made.
    ///
    /// - Parameter names: What it wrote down before it made it.
    public func remove(_ isolation: DrillIsolation, names: [String]) async throws -> DrillRemoval {
        var removal = DrillRemoval()
        for attempt in 0..<Self.attempts {
            // A restore that has lost its drill ends by itself, and holds on to its guest until then.
            if attempt > 0 { try await Task.sleep(for: Self.pause) }
            let step = try await remove(try await all(of: isolation, names: names))
            removal.removed += step.removed
            removal.problems = step.problems
            var kept: [String] = []
            for (cluster, volume) in try await orphans(of: isolation)
            where names.contains("guest/\(cluster.entry.address)/\(volume.number)") {
                let result = try await cluster.entry.programs(of: volume.member).run(
                    ProgramCall(["pvesm", "free", volume.id], timeout: Self.patience))
                if result.succeeded {
                    removal.removed.append(volume.remain)
                } else {
                    let failure = result.failure("pvesm free \(volume.id)", side: .target)
                    kept.append("\(volume.remain): \(failure)")
                }
            }
            if try await remains(of: isolation, names: names).isEmpty { break }
            // Else it went by another node, whose disk it is too.
            removal.problems += kept
        }
        return removal
    }

    /// Removes what any drill of a repository has made.
    public func remove(_ repository: RepositoryID) async throws -> DrillRemoval {
        try await remove(try await find(of: repository, run: nil))
    }

    private func remove(_ all: [Found]) async throws -> DrillRemoval {
        var removal = DrillRemoval()
        for found in all {
            do {
                try await found.cluster.remove(found.guest, isOwn: true, timeout: Self.patience)
                removal.removed.append(found.remain)
            } catch {
                try Task.checkCancellation()
                removal.problems.append("\(found.remain): \(Failure(wrapping: error))")
            }
        }
        return removal
    }

    /// What is no drill's: each guest by what must not change while a drill goes on.
    public func liveSide() async throws -> [String: String] {
        var live: [String: String] = [:]
        for (_, cluster) in try await clusters() {
            for guest in cluster.guests where !guest.isDrilled {
                let values = try await cluster.configuration(of: guest).values
                let facts = values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
                live["guest \(guest.number)"] =
                    "\(guest.node) \(guest.status) " + facts.joined(separator: " ")
            }
        }
        return live
    }
}
