import Model

/// Everything needed to make a container again as it was; the content of `container/<name>.json`.
///
/// The Engine's own two descriptions are kept as they are, less what it generates: what `dr` does
/// not know is not lost.
public struct ContainerDefinition: Sendable, Hashable, Codable {
    /// Changes when an older `dr` could not read it any more.
    public var format: Int = 1
    public var name: String
    public var image: ImageIdentity
    /// `Config`: command, environment, labels, health check…
    public var config: JSONValue
    /// `HostConfig`: mounts, ports, limits, restart policy…
    public var hostConfig: JSONValue
    /// Sorted by name.
    public var networks: [NetworkAttachment]
    /// Sorted by destination.
    public var mounts: [MountDefinition]
    /// Whether it is started again.
    public var wasRunning: Bool
    /// It has a writable way to the Engine, and may start or stop others: started last.
    public var managesContainers: Bool

    /// What a container's image is known by.
    public struct ImageIdentity: Sendable, Hashable, Codable {
        /// As the container names it, for example `postgres:16` or an id.
        public var reference: String
        /// `sha256:` and 64 digits; what it means differs between the Engine's image stores.
        public var id: String
        /// `repository@sha256:…`
        public var digests: [String]
        public var layers: [String]
        public var platform: String
        /// The snapshot's part that holds the image; nil when it was not saved.
        public var part: String?
    }

    /// A network that the container is on.
    public struct NetworkAttachment: Sendable, Hashable, Codable {
        public var network: String
        /// What was asked for: aliases, static addresses, links, driver options.
        public var endpoint: JSONValue
    }

    /// A place inside the container that lies elsewhere.
    public struct MountDefinition: Sendable, Hashable, Codable {
        /// `volume`, `bind`, `tmpfs`…
        public var type: String
        /// A volume's name.
        public var name: String?
        /// A bind mount's path on the Engine's machine.
        public var source: String?
        public var destination: String
        public var isWritable: Bool
        /// The snapshot's part that holds the data; nil when there is none.
        public var part: String?
        /// Why there is no data.
        public var omitted: String?
        /// Of a directory whose content is not held, so that an empty one can be made.
        public var owner: DirectoryOwner?
    }

    public struct DirectoryOwner: Sendable, Hashable, Codable {
        public var userID: UInt32
        public var groupID: UInt32
        public var mode: UInt32
    }

    /// Containers that must be there before this one can be made: it shares something of theirs.
    public var sharesWith: [String] {
        ["NetworkMode", "IpcMode", "PidMode"].compactMap { key in
            guard let mode = hostConfig[key].string, mode.hasPrefix("container:") else {
                return nil
            }
            return String(mode.dropFirst("container:".count))
        }
    }

    /// Containers that it names through legacy links.
    public var linksTo: [String] {
        hostConfig["Links"].strings.map { String($0.prefix { $0 != ":" }) }
    }

    public var labels: [String: String] { config["Labels"].stringMap }

    /// Whether it says of itself when it is healthy.
    public var hasHealthCheck: Bool {
        let test = config["Healthcheck"]["Test"].strings
        return !test.isEmpty && test != ["NONE"]
    }
}

/// What Compose writes on the containers of a project.
struct ComposeLabels {
    let labels: [String: String]

    var project: String? { labels["com.docker.compose.project"] }
    var service: String? { labels["com.docker.compose.service"] }

    /// The files that the project was made from, as Compose names them: absolute, or seen from its
    /// working directory.
    var files: [String] {
        let keys = ["config_files", "environment_file"].map { "com.docker.compose.project.\($0)" }
        var names = keys.flatMap { labels[$0]?.split(separator: ",").map(String.init) ?? [] }
        guard let directory = labels["com.docker.compose.project.working_dir"],
            directory.hasPrefix("/")
        else { return names.filter { $0.hasPrefix("/") } }
        if !names.isEmpty { names.append(".env") }
        return names.map { $0.hasPrefix("/") ? $0 : "\(directory)/\($0)" }
    }

    enum Condition: String {
        case started = "service_started"
        case healthy = "service_healthy"
        case completed = "service_completed_successfully"
    }

    /// Services that must be there before, and how far.
    var dependencies: [(service: String, condition: Condition)] {
        guard let text = labels["com.docker.compose.depends_on"] else { return [] }
        return text.split(separator: ",").compactMap { entry in
            let fields = entry.split(separator: ":", omittingEmptySubsequences: false)
            guard let service = fields.first, !service.isEmpty else { return nil }
            let condition = fields.count > 1 ? Condition(rawValue: String(fields[1])) : nil
            return (String(service), condition ?? .started)
        }
    }
}
