/// What keeps a drill's copies away from what they are copies of.
///
/// All that the drill makes bears ``label``, lies in ``directory`` or was written down before it was
/// made: nothing else is ever removed as a drill's.
public struct DrillIsolation: Sendable, Hashable, Codable {
    /// The drill.
    public var run: RunID
    public var repository: RepositoryID
    /// Holds every file of the drill that is in no volume.
    public var directory: String
    /// The containers of the drill, and where the ports of the originals lead.
    public var endpoints: [DrillEndpoint]
    /// Proxmox VE's guests of the drill; nil without any.
    public var guests: [DrillGuest]?

    public init(run: RunID, repository: RepositoryID, directory: String) {
        self.run = run
        self.repository = repository
        self.directory = directory
        endpoints = []
    }

    /// Bears the drill's run.
    public static let label = "dr.drill"
    /// Bears the repository, so that two installations on one Engine leave each other's drills alone.
    public static let repositoryLabel = "dr.drill.repository"

    public var labels: [String: String] {
        [Self.label: "\(run)", Self.repositoryLabel: "\(repository)"]
    }

    /// Put before the names of everything that the drill makes in an Engine.
    public static func prefix(of run: RunID) -> String { "drill-\(run.short)-" }

    /// What a step of the drill, or a name in it, is called where it came from.
    public func originalName(_ text: String) -> String {
        text.replacing(Self.prefix(of: run), with: "").replacing(root, with: "")
    }

    /// Where files of the machine come back.
    public var root: String { "\(directory)/files" }

    /// The one tag of guests: what is saved by its tag is never a drill's copy.
    public static let guestTag = "dr-drill"

    /// The line of a guest's notes that tells whose it is.
    public var guestLabel: String {
        labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
    }

    /// The drill that a guest's notes name, when it is one of a repository's; nil otherwise.
    public static func run(inNotes text: String, of repository: RepositoryID) -> String? {
        let words = text.split { $0 == " " || $0 == "\n" }
        guard words.contains("\(repositoryLabel)=\(repository)"),
            let run = words.first(where: { $0.hasPrefix("\(label)=") })
        else { return nil }
        return String(run.dropFirst(label.count + 1))
    }

    public static let serverPrefix = "postgres-"

    /// The directory of the scratch PostgreSQL server of a service.
    public func server(of service: ServiceName) -> String {
        "\(directory)/\(Self.serverPrefix)\(service)"
    }
}

/// A guest of Proxmox VE that a drill makes a copy of.
public struct DrillGuest: Sendable, Hashable, Codable {
    /// The node, for example `root@pve1`, whose cluster it is in; nil for this machine's.
    public var ssh: String?
    public var original: Int
    /// The copy's.
    public var number: Int

    public init(ssh: String?, original: Int, number: Int) {
        self.ssh = ssh
        self.original = original
        self.number = number
    }
}

/// One container of a drill, by what the original is asked for.
public struct DrillEndpoint: Sendable, Hashable, Codable {
    public var service: ServiceName
    /// The original's name.
    public var container: String
    /// Ports inside, by the ports of the machine that lead to them.
    public var published: [Int: Int]
    /// Ports that it listens on inside, as far as it says so.
    public var exposed: Set<Int>

    public init(
        service: ServiceName, container: String, published: [Int: Int], exposed: Set<Int>
    ) {
        self.service = service
        self.container = container
        self.published = published
        self.exposed = exposed
    }
}

extension TargetPlace {
    /// A place beside the originals that cannot reach them.
    public init(name: String, isolation: DrillIsolation) {
        self.init(name: name)
        prefix = DrillIsolation.prefix(of: isolation.run)
        root = isolation.root
        self.isolation = isolation
    }

    /// A check as it is made of a drill's copy; nil when nothing in the drill can answer it.
    ///
    /// Ports are published nowhere: the container is asked at its own address.
    func isolatedCheck(
        _ check: CheckSpecification, of service: ServiceName?, _ isolation: DrillIsolation
    ) -> CheckSpecification? {
        var placed = check
        switch check.kind {
        case .http(let url, _, _):
            guard let place = WebPlace(url),
                let (endpoint, port) = isolation.endpoint(place.host, place.port, of: service)
            else { return nil }
            var ports = endpoint.published
            for common in [80, 443] where ports[common] == nil { ports[common] = common }
            ports[place.port] = port
            var through = Detour(host: name(of: endpoint.container), port: place.port, ports: ports)
            through.isContainer = true
            placed.through = through
        case .tcp(let host, let port):
            guard let (endpoint, inside) = isolation.endpoint(host, port, of: service) else {
                return nil
            }
            let container = name(of: endpoint.container)
            placed.kind = .tcp(host: container, port: inside)
            var through = Detour(host: container, port: inside, ports: [:])
            through.isContainer = true
            placed.through = through
        case .container(let container):
            guard isolation.endpoints.contains(where: { $0.container == container }) else {
                return nil
            }
            placed.kind = .container(name(of: container))
        case .sql: break
        case .command: return nil
        }
        return placed
    }
}

extension DrillIsolation {
    /// Who answers for a host and port of the originals, and at which port inside.
    fileprivate func endpoint(_ host: String, _ port: Int, of service: ServiceName?)
        -> (DrillEndpoint, Int)?
    {
        // What the machine publishes, whatever name it is called by.
        for endpoint in endpoints {
            if let inside = endpoint.published[port] { return (endpoint, inside) }
        }
        if let named = endpoints.first(where: { $0.container == host }) { return (named, port) }
        let own = endpoints.filter { $0.service == service }
        if let listening = own.first(where: { $0.exposed.contains(port) }) {
            return (listening, port)
        }
        return own.count == 1 ? own.first.map { ($0, port) } : nil
    }
}
