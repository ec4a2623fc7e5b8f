import Engine
import Model

/// What a cluster says of itself: its nodes and guests.
struct ProxmoxCluster: Sendable {
    struct Member: Sendable, Hashable {
        var name: String
        /// Where the other nodes reach it.
        var address: String
        var isOnline: Bool
        /// It is the one that was asked.
        var isHere: Bool
    }

    enum GuestKind: String, Sendable, Hashable, Codable {
        case qemu, lxc

        /// The kind in the names of parts.
        var prefix: String { self == .qemu ? "vm" : "ct" }
        var title: String { self == .qemu ? "virtual machine" : "container" }
        /// The program that starts and stops it.
        var program: String { self == .qemu ? "qm" : "pct" }
    }

    struct Guest: Sendable, Hashable {
        var number: Int
        var kind: GuestKind
        var name: String
        var node: String
        var status: String
        var tags: [String]
        var pool: String?
        var isTemplate: Bool
        /// It was made by a drill, and is removed when that ends.
        var isDrilled: Bool { tags.contains(DrillIsolation.guestTag) }
    }

    var entry: ProxmoxNode
    var members: [Member]
    /// Whether enough of its nodes see each other; without that nothing can be changed.
    var isQuorate: Bool
    var guests: [Guest]
    /// Of the node that was asked, for example `9.2`; nil where it does not say.
    var release: (major: Int, minor: Int)?

    /// Asks a node.
    static func look(from entry: ProxmoxNode) async throws -> ProxmoxCluster {
        async let version = entry.get("/version")
        async let status = entry.get("/cluster/status")
        async let resources = entry.get("/cluster/resources", ["--type", "vm"])
        var cluster = ProxmoxCluster(
            entry: entry, members: [], isQuorate: true,
            guests: try await resources.array?.compactMap(Guest.init) ?? [],
            release: release(try await version))
        for item in try await status.array ?? [] {
            switch item["type"].string {
            case "cluster": cluster.isQuorate = item["quorate"].looseFlag
            case "node":
                guard let name = item["name"].string else { continue }
                cluster.members.append(
                    Member(
                        name: name, address: item["ip"].string ?? name,
                        isOnline: item["online"].looseFlag || item["local"].looseFlag,
                        isHere: item["local"].looseFlag))
            default: break
            }
        }
        guard cluster.members.contains(where: \.isHere) else {
            throw Failure(
                .failed, "\(entry.address) does not say which node of its cluster it is",
                hint: "is this a Proxmox VE node?", side: .source)
        }
        return cluster
    }

    private static func release(_ version: JSONValue) -> (major: Int, minor: Int)? {
        let text = version["version"].looseText ?? version["release"].looseText ?? ""
        let numbers = text.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { Int($0) }
        return numbers.count == 2 ? (numbers[0], numbers[1]) : nil
    }

    /// Whether it is at least of this release.
    func isAtLeast(_ major: Int, _ minor: Int) -> Bool {
        guard let release else { return true }
        return (release.major, release.minor) >= (major, minor)
    }

    func member(_ name: String) -> Member? { members.first { $0.name == name } }
    var here: Member? { members.first(where: \.isHere) }
    func guest(_ number: Int) -> Guest? { guests.first { $0.number == number } }

    /// The guests that are meant, by their numbers.
    ///
    /// - Throws: `Failure` where there is none, or a name that several have.
    func guests(_ subject: ProxmoxSpecification.Subject) throws -> [Guest] {
        let found: [Guest]
        let what: String
        switch subject {
        case .guest(let number):
            found = guests.filter { $0.number == number }
            what = "guest \(number)"
        case .name(let name):
            found = guests.filter { $0.name == name }
            what = "guest named \(printable(name.utf8))"
        case .pool(let pool):
            found = guests.filter { $0.pool == pool }
            what = "guest in the pool \(printable(pool.utf8))"
        case .tag(let tag):
            found = guests.filter { $0.tags.contains(tag) }
            what = "guest with the tag \(printable(tag.utf8))"
        }
        guard !found.isEmpty else {
            throw Failure(
                .failed, "there is no \(what) in the cluster of \(entry.address)",
                hint: "it knows: " + (guests.isEmpty ? "none" : known), side: .source)
        }
        if case .name = subject, found.count > 1 {
            throw Failure(
                .failed, "there are \(found.count) of \(what) in the cluster of \(entry.address)",
                hint: "name it by its number, one of "
                    + found.map { "\($0.number)" }.joined(separator: ", "), side: .source)
        }
        return found.sorted { $0.number < $1.number }
    }

    /// What a guest is made of, as it is now.
    func configuration(
        of guest: Guest, _ options: [String] = []
    ) async throws -> GuestConfiguration {
        GuestConfiguration(
            try await entry.get(
                "/nodes/\(guest.node)/\(guest.kind.rawValue)/\(guest.number)/config", options))
    }

    /// - Throws: `Failure` when the guest agent of a virtual machine does not answer.
    func pingAgent(of number: Int, on node: String) async throws {
        try await entry.run(
            ["pvesh", "create", "/nodes/\(node)/qemu/\(number)/agent/ping"],
            timeout: TimeSpan(seconds: 30))
    }

    /// The names of its pools.
    func pools() async throws -> Set<String> {
        Set(try await entry.get("/pools").array?.compactMap { $0["poolid"].string } ?? [])
    }

    private var known: String {
        let shown = guests.sorted { $0.number < $1.number }.prefix(12).map {
            "\($0.number) \(printable($0.name.utf8))"
        }
        return shown.joined(separator: ", ") + (guests.count > 12 ? ", …" : "")
    }
}

extension ProxmoxCluster.Guest {
    /// Nil for what is no guest.
    init?(_ value: JSONValue) {
        guard let number = value["vmid"].looseInteger.flatMap({ Int(exactly: $0) }),
            let kind = value["type"].string.flatMap(ProxmoxCluster.GuestKind.init),
            let node = value["node"].string
        else { return nil }
        self.number = number
        self.kind = kind
        self.node = node
        name = value["name"].looseText ?? ""
        status = value["status"].string ?? "unknown"
        tags = (value["tags"].string ?? "").split(whereSeparator: { ";, ".contains($0) })
            .map(String.init)
        pool = value["pool"].string
        isTemplate = value["template"].looseFlag
    }
}
