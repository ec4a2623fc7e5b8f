import Engine
import Model

extension GuestReplay {
    /// What stands in the way in the cluster, all of it.
    func findings(_ steps: [ReplayStep], _ context: WorkloadContext) async throws
        -> [PreflightFinding]
    {
        let cluster: ProxmoxCluster
        do { cluster = try await ProxmoxCluster.look(from: entry) } catch let error as Failure {
            return [PreflightFinding(.blocker, error.description, hint: error.hint)]
        }
        var findings: [PreflightFinding] = []
        if !cluster.isQuorate {
            let failure = GuestPlace.withoutQuorum(entry)
            findings.append(PreflightFinding(.blocker, failure.message, hint: failure.hint))
        }
        let pools = try await cluster.pools()
        var survey = PlacementSurvey(cluster: cluster)
        for guest in guests {
            let record = guest.record
            let place: GuestPlace
            do {
                place = try GuestPlace(record, placement: placement, cluster: cluster)
            } catch let error as Failure {
                findings.append(PreflightFinding(.blocker, error.message, hint: error.hint))
                continue
            }
            let bytes = try await guest.configurationBytes(in: source)
            let configuration = GuestConfiguration(isolation?.configuration(bytes) ?? bytes)
            if let existing = cluster.guest(place.number) {
                findings.append(
                    PreflightFinding(
                        .conflict,
                        "guest \(place.number) exists already on \(existing.node)"
                            + (existing.name.isEmpty ? "" : " (\(printable(existing.name.utf8)))"),
                        hint: "it would be removed; restore: {vm: …} gives another number",
                        name: name(of: record)))
                let removal = GuestRemoval(
                    guest: guest, configuration: configuration, existing: existing)
                findings += try await removal.losses(in: cluster).map {
                    PreflightFinding(
                        .blocker, $0, hint: GuestRemoval.hint, name: name(of: record))
                }
            }
            findings += try await survey.add(
                guest, configuration, at: place, in: source.snapshot,
                isStarted: isStarted(record))
            if let pool = place.pool, !pools.contains(pool) {
                findings.append(
                    PreflightFinding(
                        .warning,
                        "\(record.title): there is no pool \(printable(pool.utf8))"))
            }
            findings += configuration.hardware.map {
                PreflightFinding(
                    .warning, "\(record.title): \($0) ties it to the machine it ran on",
                    hint: "it may not start elsewhere until that is changed")
            }
        }
        return findings + survey.space()
    }
}

/// What the nodes offer, and how much of it the guests of a snapshot take.
private struct PlacementSurvey {
    private struct Node {
        var storages: [String: JSONValue] = [:]
        var bridges: Set<String> = []
    }

    /// What is written to one storage.
    private struct Load {
        var bytes: UInt64 = 0
        var data: UInt64 = 0
        var offer: JSONValue
        var node: String
    }

    let cluster: ProxmoxCluster
    private var nodes: [String: Node] = [:]
    private var loads: [String: Load] = [:]
    /// Kinds of storage that take room for data alone.
    private static let thin: Set<String> = [
        "lvmthin", "zfspool", "zfs", "rbd", "btrfs", "dir", "nfs", "cifs", "cephfs", "glusterfs",
    ]

    init(cluster: ProxmoxCluster) { self.cluster = cluster }

    private mutating func node(_ name: String) async throws -> Node {
        if let known = nodes[name] { return known }
        let storages = try await cluster.entry.get("/nodes/\(name)/storage", ["--enabled", "1"])
        let bridges = try await cluster.entry.get(
            "/nodes/\(name)/network", ["--type", "any_bridge"])
        var node = Node()
        for storage in storages.array ?? [] {
            guard let id = storage["storage"].string else { continue }
            node.storages[id] = storage
        }
        node.bridges = Set(bridges.array?.compactMap { $0["iface"].string } ?? [])
        nodes[name] = node
        return node
    }

    mutating func add(
        _ guest: SnapshotGuest, _ configuration: GuestConfiguration, at place: GuestPlace,
        in snapshot: SnapshotRecord, isStarted: Bool
    ) async throws -> [PreflightFinding] {
        let node = try await node(place.member.name)
        let content = guest.record.kind == .qemu ? "images" : "rootdir"
        let title = guest.record.title
        var findings: [PreflightFinding] = []
        for (name, bytes, data) in wanted(guest, configuration, at: place, in: snapshot) {
            guard let offer = node.storages[name], offer["active"].looseFlag else {
                findings.append(
                    PreflightFinding(
                        .blocker,
                        "\(title): there is no storage \(printable(name.utf8)) on "
                            + "\(place.member.name), or it is not active",
                        hint: "say which one takes its disks: restore: {storage: …}"))
                continue
            }
            let contents = (offer["content"].string ?? "").split(separator: ",")
            guard contents.contains(content[...]) else {
                findings.append(
                    PreflightFinding(
                        .blocker,
                        "\(title): the storage \(printable(name.utf8)) takes no \(content)",
                        hint: "say which one takes its disks: restore: {storage: …}"))
                continue
            }
            let key = offer["shared"].looseFlag ? name : "\(place.member.name)/\(name)"
            var load = loads[key] ?? Load(offer: offer, node: place.member.name)
            load.bytes += bytes
            load.data += data
            loads[key] = load
        }
        for bridge in Set(configuration.networks.compactMap(\.bridge)).sorted()
        where !node.bridges.contains(bridge) {
            findings.append(
                PreflightFinding(
                    isStarted ? .blocker : .warning,
                    "\(title): there is no bridge \(printable(bridge.utf8)) on "
                        + "\(place.member.name)",
                    hint: "make it there first, or set restore: {start: false}"))
        }
        for medium in configuration.disks
        where medium.isMedium && medium.place != "none" && !medium.place.contains("cloudinit") {
            findings.append(
                PreflightFinding(
                    .warning,
                    "\(title): it does not start while \(printable(medium.place.utf8)) is missing",
                    hint: "make sure that it is there"))
        }
        return findings
    }

    /// For each storage what it gets: bytes of disks, and how many of them are no holes.
    private func wanted(
        _ guest: SnapshotGuest, _ configuration: GuestConfiguration, at place: GuestPlace,
        in snapshot: SnapshotRecord
    ) -> [(storage: String, bytes: UInt64, data: UInt64)] {
        switch guest.record.kind {
        case .qemu:
            return guest.record.disks.map { disk in
                let part = snapshot.part(guest.prefix + VMACapture.part(disk.device))
                let data = part?.attributes["data"].flatMap { UInt64($0) } ?? disk.bytes
                let own = disk.storage.isEmpty ? "local" : disk.storage
                return (place.storage ?? own, disk.bytes, data)
            }
        case .lxc:
            let bytes = snapshot.part(guest.prefix + SnapshotGuest.root)?.bytes.bytes ?? 0
            return configuration.mounts.filter {
                $0.key == "rootfs" || $0.options["backup"] == "1"
            }.compactMap { mount in
                guard let storage = place.storage ?? mount.storage else { return nil }
                let size = mount.options["size"].flatMap(GuestConfiguration.bytes) ?? bytes
                return (storage, size, mount.key == "rootfs" ? bytes : 0)
            }
        }
    }

    /// Storages that have not enough room.
    func space() -> [PreflightFinding] {
        loads.sorted { $0.key < $1.key }.compactMap { key, load in
            guard let free = load.offer["avail"].looseInteger.flatMap({ UInt64(exactly: $0) }),
                load.bytes > free
            else { return nil }
            let isThin = Self.thin.contains(load.offer["type"].string ?? "")
            let name = printable((load.offer["storage"].string ?? key).utf8)
            let place = "the storage \(name) on \(load.node)"
            guard isThin, load.data <= free else {
                let needed = ByteCount(isThin ? load.data : load.bytes)
                return PreflightFinding(
                    .blocker, "\(place) has \(ByteCount(free)) free, and \(needed) are needed",
                    hint: "free some space there, or choose another one: restore: {storage: …}")
            }
            return PreflightFinding(
                .warning,
                "\(place) has \(ByteCount(free)) free for disks of \(ByteCount(load.bytes)): "
                    + "it would be full before they are")
        }
    }
}
