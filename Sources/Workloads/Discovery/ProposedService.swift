public import Model

/// A service that `discover` proposes, with the reasons for each choice.
public struct ProposedService: Sendable, Hashable {
    /// A service that must be there before, and why.
    public struct Need: Sendable, Hashable {
        public var service: String
        public var reason: String
    }

    /// Unique among the proposals, and a name that the configuration takes.
    public var name: String
    /// What was seen, for people.
    public var remarks: [String]
    public var docker: DockerSpecification?
    /// A database server that is dumped.
    public var server: Server?
    public var files: FilesSpecification?
    public var guest: Guest?
    public var command: CommandSpecification?
    public var after: [Need]
    /// The container that must run before the service counts as back.
    public var check: String?
    public var consistency: CaptureMode
    /// Why an empty result is as it should be; nil when it would not be.
    public var emptiness: String?
    /// What it saves, for example `container/umami`: a configuration that covers all of it needs
    /// no such service.
    public var subjects: Set<String>
    /// The Compose project that its container belongs to.
    public var project: String?

    /// A guest of the Proxmox VE cluster that the machine is part of.
    public struct Guest: Sendable, Hashable {
        public var number: Int
        public var name: String
        public var pool: String?
        public var tags: [String]

        /// Whether a workload of this machine's cluster saves it.
        public func isMeant(by subject: ProxmoxSpecification.Subject) -> Bool {
            switch subject {
            case .guest(let number): self.number == number
            case .name(let name): self.name == name
            case .pool(let pool): self.pool == pool
            case .tag(let tag): tags.contains(tag)
            }
        }
    }

    /// Where a database server is found.
    public enum Server: Sendable, Hashable {
        case postgres(PostgresSpecification)
        case mariadb(MariaDBSpecification)
    }

    init(name: String) {
        self.name = name
        remarks = []
        after = []
        consistency = .live
        subjects = []
    }
}

/// What `discover` has found on a machine.
public struct Discovery: Sendable {
    /// In the order in which they should stand in a configuration: what others need first.
    public var services: [ProposedService]
    /// What is not proposed, and why.
    public var leftOut: [String]
    /// The Engine that was looked at, when it is not the one that is found without being named.
    public var engine: String?
    /// What could not be looked at.
    public var problems: [String]

    init() {
        services = []
        leftOut = []
        problems = []
    }
}

/// Names of services: made from others' names, valid, each given once.
struct ServiceNames {
    private var given: Set<String> = []

    /// A name like `text` that was not given yet.
    mutating func make(_ text: String) -> String {
        var name = String(
            text.map { character in
                let isValid =
                    character.isASCII && (character.isLetter || character.isNumber)
                    || "._-".contains(character)
                return isValid ? character : "-"
            }.drop { !$0.isLetter && !$0.isNumber }.prefix(60))
        if name.isEmpty { name = "service" }
        var unique = name
        var number = 2
        while !given.insert(unique).inserted {
            unique = "\(name)-\(number)"
            number += 1
        }
        return unique
    }
}
