public import Model

/// What the Engine says of one container.
public struct ContainerInspection: Sendable, Hashable {
    /// The whole answer.
    public let json: JSONValue

    public init(json: JSONValue) { self.json = json }

    /// 64 hexadecimal digits.
    public var id: String { json["Id"].string ?? "" }
    /// Without the slash that the Engine puts before it.
    public var name: String {
        let name = json["Name"].string ?? ""
        return name.hasPrefix("/") ? String(name.dropFirst()) : name
    }
    /// The image's id, `sha256:` included.
    public var imageID: String { json["Image"].string ?? "" }
    /// What was asked for inside: command, environment, labels.
    public var config: JSONValue { json["Config"] }
    /// What was asked of the machine: mounts, ports, limits.
    public var hostConfig: JSONValue { json["HostConfig"] }
    public var labels: [String: String] { config["Labels"].stringMap }

    /// The environment, the image's part included; the last of two equal names counts.
    public var environment: [String: String] {
        var map: [String: String] = [:]
        for line in config["Env"].strings {
            guard let sign = line.firstIndex(of: "=") else { continue }
            map[String(line[..<sign])] = String(line[line.index(after: sign)...])
        }
        return map
    }

    /// `created`, `running`, `paused`, `restarting`, `exited`, `dead`.
    public var status: String { json["State"]["Status"].string ?? "" }
    /// Also when it is paused or waits for its next start.
    public var isRunning: Bool { json["State"]["Running"].bool ?? false }
    public var isPaused: Bool { json["State"]["Paused"].bool ?? false }
    public var isRestarting: Bool { json["State"]["Restarting"].bool ?? false }
    public var exitCode: Int64 { json["State"]["ExitCode"].integer ?? 0 }
    /// When it ended last; nil when it never did.
    public var finishedAt: Timestamp? {
        json["State"]["FinishedAt"].string.flatMap { Timestamp(rfc3339: $0) }
    }
    /// `starting`, `healthy`, `unhealthy`; nil without a health check.
    public var health: String? {
        guard let status = json["State"]["Health"]["Status"].string, status != "none" else {
            return nil
        }
        return status
    }
    /// The process id of its first process, as this machine sees it; nil when it does not run.
    public var processID: Int32? {
        json["State"]["Pid"].integer.flatMap { $0 > 0 ? Int32($0) : nil }
    }
    /// The name of its Compose project.
    public var project: String? { labels["com.docker.compose.project"] }
    public var mounts: [ContainerMount] {
        json["Mounts"].array?.map(ContainerMount.init(json:)) ?? []
    }
    /// By the network's name.
    public var networks: [String: JSONValue] {
        json["NetworkSettings"]["Networks"].object ?? [:]
    }
}

/// A place inside a container that lies elsewhere.
public struct ContainerMount: Sendable, Hashable {
    /// `volume`, `bind`, `tmpfs`, or what newer Engines add.
    public var type: String
    /// A volume's name.
    public var name: String?
    /// The path on the Engine's machine.
    public var source: String
    public var destination: String
    public var driver: String?
    public var isWritable: Bool
    public var propagation: String

    init(json: JSONValue) {
        type = json["Type"].string ?? ""
        name = json["Name"].string
        source = json["Source"].string ?? ""
        destination = json["Destination"].string ?? ""
        driver = json["Driver"].string
        isWritable = json["RW"].bool ?? true
        propagation = json["Propagation"].string ?? ""
    }
}

/// One line of the Engine's list of containers.
public struct ContainerSummary: Sendable, Hashable {
    public let json: JSONValue

    init(json: JSONValue) { self.json = json }

    public var id: String { json["Id"].string ?? "" }
    /// The container's own name, not those that links give it.
    public var name: String {
        let names = json["Names"].strings.map { $0.hasPrefix("/") ? String($0.dropFirst()) : $0 }
        return names.first { !$0.contains("/") } ?? names.first ?? ""
    }
    public var state: String { json["State"].string ?? "" }
    public var labels: [String: String] { json["Labels"].stringMap }
}
