import Model

extension ContainerDefinition {
    /// Names that only the Engine can tell, looked up before a definition is made.
    struct Surroundings {
        /// The names of containers, by id.
        var containerNames: [String: String] = [:]
        /// The host name of the Engine's machine: what a container on its network is called.
        var hostName = ""
    }

    /// The definition in what the Engine says, less everything that it generates.
    init(
        of container: ContainerInspection, image: ImageIdentity, mounts: [MountDefinition],
        managesContainers: Bool, surroundings: Surroundings
    ) {
        name = container.name
        self.image = image
        self.mounts = mounts.sorted { $0.destination < $1.destination }
        self.managesContainers = managesContainers
        wasRunning = container.isRunning
        let shortID = String(container.id.prefix(12))

        var host = Self.pruned(container.hostConfig, keeping: ["MaskedPaths", "ReadonlyPaths"])
        host["ContainerIDFile"] = .null
        for key in ["NetworkMode", "IpcMode", "PidMode", "Cgroup", "UsernsMode"] {
            guard let mode = host[key].string, mode.hasPrefix("container:") else { continue }
            let id = String(mode.dropFirst("container:".count))
            if let other = surroundings.containerNames[id] {
                host[key] = .string("container:\(other)")
            }
        }
        // The Engine lists `/other:/this/alias` and takes `other:alias`.
        if let links = host["Links"].array {
            host["Links"] = JSONValue(links.compactMap(\.string).map(Self.link))
        }
        // The Engine's own lists differ between versions: a newer one knows more to hide.
        for key in ["MaskedPaths", "ReadonlyPaths"]
        where host[key].strings.contains(where: { $0 == "/proc/kcore" || $0 == "/proc/sys" }) {
            host[key] = .null
        }

        var config = Self.pruned(container.config, keeping: ["Entrypoint"])
        let hostname = config["Hostname"].string
        if hostname == shortID
            || (host["NetworkMode"].string == "host" && hostname == surroundings.hostName)
        {
            config["Hostname"] = .null
        }
        let address = config["MacAddress"].string
        config["MacAddress"] = .null

        let networks = container.networks
        if let mode = host["NetworkMode"].string,
            let named = networks.first(where: { $0.value["NetworkID"].string == mode })
        {
            host["NetworkMode"] = .string(named.key)
        }
        let primary = host["NetworkMode"].string
        self.networks = networks.map { name, endpoint in
            var kept: JSONValue = .object([:])
            let aliases = endpoint["Aliases"].strings.filter { $0 != shortID }
            if !aliases.isEmpty { kept["Aliases"] = JSONValue(aliases) }
            for key in ["IPAMConfig", "Links", "DriverOpts", "GwPriority"] {
                let value = Self.pruned(endpoint[key])
                if !value.isEmpty, value != .integer(0) { kept[key] = value }
            }
            if name == primary, let address, !address.isEmpty {
                kept["MacAddress"] = .string(address)
            }
            return NetworkAttachment(network: name, endpoint: kept)
        }.sorted { $0.network < $1.network }
        self.config = config
        hostConfig = host
    }

    /// Without what is null or empty, which is what the Engine writes for what nobody asked for.
    ///
    /// - Parameter keeping: Members where empty means something else than not asked for.
    static func pruned(_ value: JSONValue, keeping: Set<String> = []) -> JSONValue {
        guard let members = value.object else { return value }
        var kept: [String: JSONValue] = [:]
        for (key, member) in members where member != .null {
            if keeping.contains(key) || !member.isEmpty { kept[key] = member }
        }
        return .object(kept)
    }

    private static func link(_ text: String) -> String {
        let parts = text.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, text.hasPrefix("/") else { return text }
        let alias = parts[1].split(separator: "/").last ?? parts[1]
        return "\(parts[0].dropFirst()):\(alias)"
    }
}
