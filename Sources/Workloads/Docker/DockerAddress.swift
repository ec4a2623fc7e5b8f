import FoundationEssentials
import Model

/// Where a Docker Engine listens.
public enum DockerAddress: Sendable, Hashable, CustomStringConvertible {
    /// The path of a unix socket.
    case unix(String)
    /// `[user@]host[:port]`, reached over SSH.
    case ssh(String)
    case tcp(host: String, port: Int)

    /// The Engine of a machine that says nothing else.
    public static let standard = DockerAddress.unix("/var/run/docker.sock")

    /// Parses what `DOCKER_HOST` holds, for example `unix:///var/run/docker.sock`.
    public init(parsing text: String) throws {
        func rest(_ scheme: String) -> String? {
            text.hasPrefix(scheme) ? String(text.dropFirst(scheme.count)) : nil
        }
        if let path = rest("unix://"), path.hasPrefix("/") {
            self = .unix(path)
        } else if let host = rest("ssh://"), !host.isEmpty {
            self = .ssh(host)
        } else if let place = rest("tcp://"), !place.isEmpty {
            let colon = place.lastIndex(of: ":")
            let port = colon.flatMap { Int(place[place.index(after: $0)...].prefix { $0 != "/" }) }
            self = .tcp(
                host: String(place[..<(colon ?? place.endIndex)]), port: port ?? 2375)
        } else {
            throw Failure(
                .usage, "not the address of a Docker Engine: \(text)",
                hint: "write it as unix:///var/run/docker.sock")
        }
    }

    public var description: String {
        switch self {
        case .unix(let path): "unix://\(path)"
        case .ssh(let host): "ssh://\(host)"
        case .tcp(let host, let port): "tcp://\(host):\(port)"
        }
    }

    /// The Engine that a person at this machine would talk to.
    ///
    /// What the configuration says, else `DOCKER_HOST`, else the Docker context (`DOCKER_CONTEXT` or
    /// the current one of `~/.docker/config.json`), else `/var/run/docker.sock`.
    ///
    /// - Parameters:
    ///   - configured: `docker.host` of the configuration; nil when it has none.
    ///   - environment: nil for this process's own.
    public static func resolve(
        configured: String?,
        environment: [String: String]? = nil
    ) throws -> DockerAddress {
        let environment = environment ?? ProcessInfo.processInfo.environment
        if let configured, !configured.isEmpty { return try DockerAddress(parsing: configured) }
        if let host = environment["DOCKER_HOST"], !host.isEmpty {
            return try DockerAddress(parsing: host)
        }
        let home = environment["HOME"] ?? "/root"
        let directory = environment["DOCKER_CONFIG"] ?? "\(home)/.docker"
        guard
            let context = environment["DOCKER_CONTEXT"]
                ?? read("\(directory)/config.json")?["currentContext"].string,
            !context.isEmpty, context != "default"
        else { return standard }
        let contexts = "\(directory)/contexts/meta"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: contexts)) ?? []
        for name in names {
            guard let meta = read("\(contexts)/\(name)/meta.json"),
                meta["Name"].string == context,
                let host = meta["Endpoints"]["docker"]["Host"].string
            else { continue }
            return try DockerAddress(parsing: host)
        }
        throw Failure(
            .usage, "the Docker context \(context) does not exist in \(contexts)",
            hint: "set docker.host in the configuration, or choose one with `docker context use`")
    }

    private static func read(_ path: String) -> JSONValue? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        return try? JSONValue(parsing: Array(data))
    }
}

/// A version of the Engine's interface, for example 1.41.
public struct DockerAPIVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var major: Int
    public var minor: Int

    public init(_ major: Int, _ minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// Parses `1.41`.
    public init?(_ text: String) {
        let parts = text.split(separator: ".")
        guard parts.count == 2, let major = Int(parts[0]), let minor = Int(parts[1]) else {
            return nil
        }
        self.init(major, minor)
    }

    /// The oldest that `dr` speaks: Docker 20.10.
    public static let oldest = DockerAPIVersion(1, 41)
    /// The newest whose changes `dr` knows.
    public static let newest = DockerAPIVersion(1, 51)

    public var description: String { "\(major).\(minor)" }
    public static func < (left: Self, right: Self) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }
}
