/// A named target of the configuration: an Engine, and how things are called there.
///
/// The same input always has the same name at the target, so that all that refers to it still does.
public struct TargetPlace: Sendable, Hashable, Codable {
    public var name: String
    /// The Docker Engine; nil for the one that each workload came from.
    public var engine: String?
    /// Put before the names of containers, volumes, networks and Compose projects.
    public var prefix: String
    /// Names that are given one by one, without the prefix.
    public var names: [String: String]
    /// Added to the numbers of published ports.
    public var portOffset: Int
    /// Published ports that are given one by one.
    public var ports: [Int: Int]
    /// The directory below which paths of the machine come back; nil for where they were.
    public var root: String?
    /// IPv4 networks in CIDR notation, by the ones they stand for.
    public var subnets: [String: String]
    /// Names and addresses of machines, by the ones they stand for.
    public var hosts: [String: String]
    /// Connection URIs of PostgreSQL servers, by service.
    public var servers: [String: String]
    /// Labels other than Compose's stay although names are others.
    public var keepsLabels: Bool
    /// Where published ports are reached; nil for the Engine's own machine.
    public var address: String?
    /// Drills only, under names of their own: nothing there reaches what it is a copy of.
    public var isIsolated: Bool?
    /// The drill that is carried out there; nil for a restore.
    public var isolation: DrillIsolation?

    public init(name: String) {
        self.name = name
        prefix = ""
        names = [:]
        portOffset = 0
        ports = [:]
        subnets = [:]
        hosts = [:]
        servers = [:]
        keepsLabels = false
    }

    /// Whether what it was made from may run beside it: nothing of that may be touched.
    public var isBeside: Bool { !prefix.isEmpty || !names.isEmpty }

    /// Whether paths may be those of what it was made from.
    public var sharesPaths: Bool { isBeside && root == nil }

    /// What a container, volume, network or Compose project is called.
    public func name(of original: String) -> String { names[original] ?? prefix + original }

    /// The Engine that stands for one of a service's own; nil for the common one. A drill's copies are
    /// all in one, whichever the originals are in.
    public func engine(of original: String?) -> String? {
        engine ?? (isolation == nil ? original : nil)
    }

    /// Where a path of the machine is.
    public func path(of original: String) -> String { root.map { $0 + original } ?? original }

    /// What a machine is called.
    public func host(of original: String) -> String { hosts[original] ?? original }

    /// The number of a published port.
    ///
    /// - Throws: `Failure` with code `usage` when there is no such port.
    public func port(of original: Int) throws -> Int {
        let number = ports[original] ?? original + portOffset
        guard (1...65535).contains(number) else {
            throw Failure(
                .usage, "port \(original) would be \(number) at \(name), and there is no such port",
                hint: "give it one with ports: {map: {\"\(original)\": 8080}} of the target")
        }
        return number
    }

    /// Where published ports are reached, in any case.
    public var reachedAt: String {
        if let address { return address }
        guard let engine, engine.hasPrefix("ssh://") else { return "127.0.0.1" }
        let authority = engine.dropFirst("ssh://".count).prefix { $0 != "/" }
        let machine = authority.split(separator: "@").last ?? authority
        return String(machine.prefix { $0 != ":" })
    }

    /// A check as it is made of the copy; nil when it can only look at what it was made for.
    ///
    /// - Parameter service: Whose check it is.
    /// - Throws: `Failure` with code `usage` for a port that does not exist.
    public func check(_ check: CheckSpecification, of service: ServiceName? = nil) throws
        -> CheckSpecification?
    {
        if let isolation { return isolatedCheck(check, of: service, isolation) }
        var placed = check
        switch check.kind {
        case .http(let url, _, _):
            guard let place = WebPlace(url) else { return nil }
            var ports = [place.port: try port(of: place.port)]
            // Where a redirect may lead.
            for common in [80, 443] where ports[common] == nil {
                ports[common] = try? port(of: common)
            }
            placed.through = Detour(
                host: hosts[place.host] ?? reachedAt, port: place.port, ports: ports)
        case .tcp(let host, let port):
            placed.kind = .tcp(host: hosts[host] ?? reachedAt, port: try self.port(of: port))
        case .container(let container): placed.kind = .container(name(of: container))
        case .sql: break
        case .command: return nil
        }
        return placed
    }

    /// What is called otherwise, one line each, for people.
    public var remarks: [String] {
        var lines = engine.map { ["\(name) is the Docker Engine at \($0)"] } ?? []
        if !prefix.isEmpty { lines.append("at \(name) names begin with \(prefix)") }
        for (old, new) in names.sorted(by: { $0.key < $1.key }) {
            lines.append("\(old) is called \(new) at \(name)")
        }
        if portOffset != 0 {
            lines.append("at \(name) published ports are \(portOffset) higher")
        }
        for (old, new) in ports.sorted(by: { $0.key < $1.key }) {
            lines.append("port \(old) is \(new) at \(name)")
        }
        if let root { lines.append("paths of the machine come back below \(root)") }
        if isolation != nil {
            lines.append("networks reach nothing outside the drill, and no port is published")
        }
        if isBeside, !keepsLabels {
            lines.append("labels other than Compose's are left out: others act on them")
        }
        return lines
    }
}

/// Another machine and other ports than an address names; the address itself is asked for as it is.
public struct Detour: Sendable, Hashable, Codable, CustomStringConvertible {
    /// A machine; a container's name where ``isContainer`` says so.
    public var host: String
    /// Its address is known when it runs; nil for a machine.
    public var isContainer: Bool?
    /// The address's own port.
    public var port: Int
    /// The ports to connect to, by those that addresses name.
    public var ports: [Int: Int]

    public init(host: String, port: Int, ports: [Int: Int]) {
        self.host = host
        self.port = port
        self.ports = ports
    }

    /// As it stands in an address.
    public var shownHost: String { host.contains(":") ? "[\(host)]" : host }

    public var description: String { "\(shownHost):\(ports[port] ?? port)" }
}

/// Where a web address leads.
struct WebPlace {
    var host: String
    var port: Int

    init?(_ url: String) {
        let parts = url.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        var authority = parts[2].prefix { !"/?#".contains($0) }
        if let at = authority.lastIndex(of: "@") {
            authority = authority[authority.index(after: at)...]
        }
        port = parts[0] == "https:" ? 443 : 80
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            host = String(authority[authority.index(after: authority.startIndex)..<end])
            authority = authority[authority.index(after: end)...]
        } else {
            host = String(authority.prefix { $0 != ":" })
            authority = authority.dropFirst(host.count)
        }
        if authority.hasPrefix(":"), let number = Int(authority.dropFirst()) { port = number }
        if host.isEmpty { return nil }
    }
}
