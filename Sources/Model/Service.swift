/// A thing people want back, as the configuration describes it.
public struct Service: Sendable, Hashable {
    public var name: ServiceName
    public var workloads: [WorkloadSpecification]
    /// Services that must be healthy before this one is brought back.
    public var after: [ServiceName]
    /// What must pass before the service counts as healthy; all of them.
    public var checks: [CheckSpecification]
    /// What must hold as well when it was brought back by a drill.
    public var assertions: [CheckSpecification]
    /// What people do by hand on the way; nothing of it happens in a directory.
    public var manual: [ManualStep]
    public var objectives: Objectives
    public var consistency: CaptureMode
    /// Services with the same group are captured at one moment.
    public var group: String?
    /// An empty result is as it should be.
    public var allowEmpty: Bool
    /// Which of its snapshots are kept; nil for the rule of all services.
    public var retention: RetentionPolicy?
    /// Programs that run around the capture of the service's workloads.
    public var hooks: Hooks
    /// 0 to 100; what has more is captured earlier.
    public var priority: Int
    /// The longest capture of each of its workloads; nil for the rule of all services.
    public var timeout: TimeSpan?
    /// How much smaller a snapshot may be than the one before.
    public var plausibility: PlausibilityRules

    public init(name: ServiceName, workloads: [WorkloadSpecification]) {
        self.name = name
        self.workloads = workloads
        after = []
        checks = []
        assertions = []
        manual = []
        objectives = Objectives()
        consistency = .live
        group = nil
        allowEmpty = false
        retention = nil
        hooks = Hooks()
        priority = 50
        timeout = nil
        plausibility = PlausibilityRules()
    }
}

/// Something that a person has to do before a restore goes on.
public struct ManualStep: Sendable, Hashable {
    public enum Moment: String, Sendable, Hashable, Codable, CaseIterable {
        /// Before anything of the service is brought back.
        case before
        /// When all of it runs, before its checks.
        case after
    }
    /// What is to be done, for that person.
    public var message: String
    public var moment: Moment

    public init(_ message: String, _ moment: Moment = .after) {
        self.message = message
        self.moment = moment
    }
}

/// Longest tolerable outage and data loss; nil where none is set.
public struct Objectives: Sendable, Hashable, Codable {
    public var rto: TimeSpan?
    public var rpo: TimeSpan?

    public init(rto: TimeSpan? = nil, rpo: TimeSpan? = nil) {
        self.rto = rto
        self.rpo = rpo
    }
}

/// What happens to a container while its data is read.
public enum CaptureMode: String, Sendable, Hashable, Codable, CaseIterable {
    case live, pause, stop
}

/// Where one piece of a service's data lives.
public enum WorkloadSpecification: Sendable, Hashable {
    case files(FilesSpecification)
    case sqlite(SQLiteSpecification)
    case docker(DockerSpecification)
    case postgres(PostgresSpecification)
    case mariadb(MariaDBSpecification)
    case command(CommandSpecification)
    case proxmox(ProxmoxSpecification)

    public var kind: WorkloadKind {
        switch self {
        case .files: .files
        case .sqlite: .sqlite
        case .docker: .docker
        case .postgres: .postgres
        case .mariadb: .mariadb
        case .command: .command
        case .proxmox: .proxmox
        }
    }

    /// The name within the service, lasting over runs.
    public var name: String {
        switch self {
        case .files: "files"
        case .sqlite(let sqlite): sqlite.path
        case .docker(let docker): docker.name
        case .postgres(let postgres): postgres.name
        case .mariadb(let mariadb): mariadb.name
        case .command(let command): command.name
        case .proxmox(let proxmox): proxmox.name
        }
    }
}

/// Trees of files on this machine, or on another.
public struct FilesSpecification: Sendable, Hashable {
    /// Absolute paths of directories or single files.
    public var paths: [String]
    /// Glob patterns, against the path from the root of the file system, that are left out.
    public var exclude: [String]
    /// Stay on the file system of each path.
    public var oneFileSystem: Bool
    /// The directory beneath which they come back to this machine; nil for their own places.
    public var restoreTo: String?
    /// The machine, for example `ssh://root@nas.example.org`; nil for this one.
    public var host: String?

    public init(
        paths: [String], exclude: [String] = [], oneFileSystem: Bool = true, host: String? = nil
    ) {
        self.paths = paths
        self.exclude = exclude
        self.oneFileSystem = oneFileSystem
        self.host = host
    }
}

/// An SQLite database file on this machine.
public struct SQLiteSpecification: Sendable, Hashable {
    public var path: String
    public init(path: String) { self.path = path }
}

/// A container, a Compose project or a volume of a Docker Engine.
public struct DockerSpecification: Sendable, Hashable {
    /// What is named.
    public enum Subject: Sendable, Hashable {
        case container(String)
        case project(String)
        case volume(String)
    }
    /// Whether the image itself is saved.
    public enum ImagePolicy: String, Sendable, Hashable, Codable, CaseIterable {
        /// When no registry digest is known for it.
        case whenLocal = "when-local"
        case save
        case never
    }

    public var subject: Subject
    /// The Engine, for example `unix:///var/run/docker.sock`; nil for the one of this machine.
    public var engine: String?
    public var image: ImagePolicy
    /// Volumes and mount destinations whose data is captured by another workload or not at all.
    public var excludedMounts: [String]
    /// Those of them whose data a dump of the server in the container holds.
    public var dumpedMounts: [String] = []

    public init(
        subject: Subject, engine: String? = nil, image: ImagePolicy = .whenLocal,
        excludedMounts: [String] = []
    ) {
        self.subject = subject
        self.engine = engine
        self.image = image
        self.excludedMounts = excludedMounts
    }

    public var name: String {
        switch subject {
        case .container(let name): name
        case .project(let name): "project-\(name)"
        case .volume(let name): "volume-\(name)"
        }
    }
}

/// A PostgreSQL cluster.
public struct PostgresSpecification: Sendable, Hashable {
    /// How the server is reached.
    public enum Server: Sendable, Hashable {
        /// A container by name; its own client programs are used.
        case container(String, engine: String?)
        /// A connection URI; the password comes from elsewhere.
        case url(String)
    }

    public var server: Server
    /// Databases to capture; empty for all that allow connections.
    public var databases: [String]
    /// Superuser to connect as; nil for the container's `POSTGRES_USER`, the URI's, or `postgres`.
    public var user: String?
    public var password: SecretSource?
    /// The machine on which the client programs of a server with a URI run; nil for this one.
    public var host: String?

    public init(
        server: Server, databases: [String] = [], user: String? = nil,
        password: SecretSource? = nil, host: String? = nil
    ) {
        self.server = server
        self.databases = databases
        self.user = user
        self.password = password
        self.host = host
    }

    public var name: String {
        switch server {
        case .container(let name, _): name
        case .url: "server"
        }
    }
}

/// A program whose standard output is the data.
public struct CommandSpecification: Sendable, Hashable {
    public var name: String
    public var capture: [String]
    /// Reads the data on standard input; nil when it can only be restored to a directory.
    public var restore: [String]?
    /// The machine on which both run, for example `ssh://root@nas.example.org`; nil for this one.
    public var host: String?

    public init(
        name: String, capture: [String], restore: [String]? = nil, host: String? = nil
    ) {
        self.host = host
        self.name = name
        self.capture = capture
        self.restore = restore
    }
}

/// Where a secret comes from; never the secret itself.
public enum SecretSource: Sendable, Hashable, Codable {
    case environment(String)
    case file(String)
    case command([String])
}

/// What must hold for a service to be healthy.
public struct CheckSpecification: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// Answers with `status`, and `body` somewhere in its text when set.
        case http(url: String, status: Int, body: String?)
        case tcp(host: String, port: Int)
        /// Ends with exit code 0.
        case command([String])
        /// The first value of the first row is neither empty, false nor 0; asked of the PostgreSQL
        /// server of a service.
        case sql(query: String, database: String?, service: ServiceName)
        /// The container is running, and healthy where it has a health check.
        case container(String)
    }

    public var kind: Kind
    /// How long to go on trying before the check has failed.
    public var timeout: TimeSpan
    /// Where is connected to instead of where a web address leads; nil for there.
    public var through: Detour?

    public init(_ kind: Kind, timeout: TimeSpan = TimeSpan(seconds: 120)) {
        self.kind = kind
        self.timeout = timeout
    }

    /// For plans and reports, for example `http http://127.0.0.1:3000/ answers 200`.
    public var summary: String {
        switch kind {
        case .http(let url, let status, _):
            "http \(url) answers \(status)" + (through.map { " at \($0)" } ?? "")
        case .tcp(let host, let port): "tcp \(host):\(port) accepts"
        case .command(let words): "command \(words.first ?? "")"
        case .sql(let query, _, let service): "sql on \(service): \(query)"
        case .container(let name): "container \(name) is up"
        }
    }
}

/// Which snapshots retention keeps; 0 where a rule is not set.
public struct RetentionPolicy: Sendable, Hashable, Codable {
    public var last: Int
    public var daily: Int
    public var weekly: Int
    public var monthly: Int
    public var yearly: Int
    public var within: TimeSpan?

    public init(
        last: Int = 0, daily: Int = 0, weekly: Int = 0, monthly: Int = 0, yearly: Int = 0,
        within: TimeSpan? = nil
    ) {
        self.last = last
        self.daily = daily
        self.weekly = weekly
        self.monthly = monthly
        self.yearly = yearly
        self.within = within
    }
}

/// The whole configuration, as `dr.yaml` has it, defaults filled in.
public struct Configuration: Sendable, Hashable {
    /// The directory that holds the repository, or the address of a bucket or of a directory that
    /// SSH reaches.
    public var repository: String
    /// How it is reached.
    public var repositoryOptions: RepositoryOptions
    /// In the order of the file.
    public var copies: [RepositoryCopy]
    public var objectives: Objectives
    public var retention: RetentionPolicy
    /// In the order of the file.
    public var services: [Service]
    /// In the order of the file.
    public var targets: [TargetPlace]
    /// Where the catalog is; nil for the user's state directory.
    public var catalog: String?
    /// The Docker Engine of services that name none.
    public var dockerHost: String?
    /// zstd level, 1 to 19.
    public var compressionLevel: Int
    /// How a backup run does its work.
    public var night: NightRules
    /// Who is told how runs went.
    public var notify: [NotificationReceiver]
    /// The file that Prometheus' node_exporter reads; nil for none.
    public var metrics: String?
    /// The power supply to ask; nil for none.
    public var power: PowerRules?
    /// How much a restore does at once.
    public var recovery: RecoveryRules
    public var drill: DrillRules
    /// Who is called in an incident, in words.
    public var contacts: [String]

    public init(repository: String) {
        self.repository = repository
        repositoryOptions = RepositoryOptions()
        copies = []
        objectives = Objectives()
        retention = RetentionPolicy()
        services = []
        targets = []
        compressionLevel = 3
        night = NightRules()
        notify = []
        recovery = RecoveryRules()
        drill = DrillRules()
        contacts = []
    }

    /// Which snapshots of a service are kept; a service that is not configured has the common rule.
    public func retention(of service: ServiceName) -> RetentionPolicy {
        services.first { $0.name == service }?.retention ?? retention
    }
}
