import Model

extension DockerSnapshot {
    /// What was placed beside the originals, cut off from all that is not the drill's.
    ///
    /// Every network becomes one that leads nowhere, every volume one of the Engine's own, no port
    /// is published and nothing starts again by itself.
    mutating func isolate(at place: TargetPlace, _ isolation: DrillIsolation) {
        containers = containers.map { $0.isolated(at: place, isolation) }
        // Also those that were not captured: the Engine's own, and what the configuration left out.
        var names: [String] = []
        for name in networks.map(\.name) + containers.flatMap(\.networks).map(\.network)
        where !names.contains(name) {
            names.append(name)
        }
        networks = names.sorted().map { NetworkDefinition(isolated: $0, isolation) }
        volumes = volumes.map { $0.isolated(isolation) }
        // They are there already, where the originals have them.
        composeFiles = []
    }

    /// The containers that a drill makes, and how they are reached.
    func endpoints(of service: ServiceName, at place: TargetPlace) -> [DrillEndpoint] {
        let left = obstacles(at: place)
        return containers.filter { left[$0.name] == nil && $0.wasRunning }.map { container in
            var published: [Int: Int] = [:]
            var exposed: Set<Int> = []
            for (port, places) in container.hostConfig["PortBindings"].object ?? [:] {
                guard let inside = Int(port.prefix { $0 != "/" }), port.hasSuffix("/tcp") else {
                    continue
                }
                exposed.insert(inside)
                for place in places.array ?? [] {
                    if let number = place["HostPort"].string.flatMap({ Int($0) }), number > 0 {
                        published[number] = inside
                    }
                }
            }
            for port in container.config["ExposedPorts"].object?.keys.map({ String($0) }) ?? [] {
                if let inside = Int(port.prefix { $0 != "/" }) { exposed.insert(inside) }
            }
            return DrillEndpoint(
                service: service, container: container.name, published: published,
                exposed: exposed)
        }
    }
}

extension ContainerDefinition {
    /// Abilities with which a container reaches beyond itself.
    private static let farCapabilities: Set<String> = [
        "ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO", "SYS_BOOT", "SYS_TIME", "SYS_PTRACE",
        "DAC_READ_SEARCH", "BPF", "PERFMON",
    ]

    /// Why a drill leaves it out: without this it does not work, with it it would reach the machine.
    var isolationObstacle: String? {
        if managesContainers { return "it manages containers through the Engine, others' as well" }
        for (key, what) in [
            ("NetworkMode", "network"), ("PidMode", "processes"), ("IpcMode", "shared memory"),
            ("UTSMode", "name"),
        ] where hostConfig[key].string == "host" {
            return "it uses the \(what) of the machine itself"
        }
        if hostConfig["Privileged"].bool == true { return "it is privileged" }
        for key in ["Devices", "DeviceRequests", "DeviceCgroupRules"]
        where !hostConfig[key].isEmpty {
            return "it uses devices of the machine"
        }
        let abilities = hostConfig["CapAdd"].strings.map {
            $0.hasPrefix("CAP_") ? String($0.dropFirst(4)) : $0
        }
        if let far = abilities.first(where: Self.farCapabilities.contains) {
            return "it may do what concerns the whole machine (\(far))"
        }
        for mount in mounts where mount.isOutside {
            let source = mount.source ?? mount.destination
            if mount.isWritable { return "it writes to \(source) of the machine" }
            if mount.omitted == MountRules.isSpecial {
                return "it needs \(source) of the machine"
            }
        }
        return nil
    }

    /// Without ways out: networks of the drill, no ports, no log that others collect.
    fileprivate func isolated(
        at place: TargetPlace, _ isolation: DrillIsolation
    ) -> ContainerDefinition {
        var isolated = self
        var host = hostConfig
        let outside = Set(mounts.filter(\.isOutside).map(\.destination))
        isolated.mounts.removeAll { outside.contains($0.destination) }
        if let binds = host["Binds"].array {
            host["Binds"] = JSONValue(
                binds.compactMap(\.string).filter { text in
                    let fields = text.split(separator: ":", omittingEmptySubsequences: false)
                    return fields.count < 2 || !outside.contains(String(fields[1]))
                })
        }
        if let requested = host["Mounts"].array {
            host["Mounts"] = .array(
                requested.filter { !outside.contains($0["Target"].string ?? "") }.map { mount in
                    var plain = mount
                    // Its driver's options lead to what the original has.
                    if mount["Type"].string == "volume" { plain["VolumeOptions"] = .null }
                    return plain
                })
        }
        for key in [
            "PortBindings", "VolumeDriver", "Dns", "DnsSearch", "DnsOptions", "CgroupParent",
            "UsernsMode", "ContainerIDFile", "AutoRemove", "Links",
        ] { host[key] = .null }
        host["PublishAllPorts"] = .bool(false)
        host["RestartPolicy"] = .object(["Name": .string("no")])
        host["LogConfig"] = .object(["Type": .string("json-file")])
        host["ExtraHosts"] = JSONValue(
            hostConfig["ExtraHosts"].strings.filter { !$0.hasSuffix("host-gateway") })
        if host["ExtraHosts"].isEmpty { host["ExtraHosts"] = .null }
        if host["CgroupnsMode"].string == "host" { host["CgroupnsMode"] = .null }
        isolated.connect(&host, at: place)
        isolated.hostConfig = host
        var labels = labels.merging(isolation.labels) { $1 }
        labels["com.centurylinklabs.watchtower.enable"] = "false"
        isolated.config["Labels"] = JSONValue(labels)
        isolated.config["MacAddress"] = .null
        return isolated
    }

    /// On networks of the drill instead of the Engine's own bridge; with names, without addresses.
    private mutating func connect(_ host: inout JSONValue, at place: TargetPlace) {
        let mode = host["NetworkMode"].string ?? "default"
        guard !mode.hasPrefix("container:"), mode != "none" else { return }
        let bridge = place.name(of: "bridge")
        if mode == "default" || mode == "bridge" { host["NetworkMode"] = .string(bridge) }
        let original = place.isolation.map { _ in String(name.dropFirst(place.prefix.count)) }
        let links = hostConfig["Links"]
        var attachments = networks.filter { $0.network != "host" && $0.network != "none" }
        if attachments.isEmpty {
            attachments = [NetworkAttachment(network: bridge, endpoint: .null)]
        }
        networks = attachments.map { attachment in
            var own = attachment
            if own.network == "bridge" || own.network == "default" { own.network = bridge }
            var aliases = attachment.endpoint["Aliases"].strings
            if let original, !aliases.contains(original) { aliases.append(original) }
            own.endpoint = .object(["Aliases": JSONValue(aliases)])
            let asked = attachment.endpoint["Links"].isEmpty ? links : attachment.endpoint["Links"]
            if !asked.isEmpty { own.endpoint["Links"] = asked }
            return own
        }
    }
}

extension ContainerDefinition.MountDefinition {
    /// It leads to the machine itself, and not to a copy.
    fileprivate var isOutside: Bool { type == "bind" && !moves }
}

extension NetworkDefinition {
    /// One that leads nowhere outside.
    fileprivate init(isolated name: String, _ isolation: DrillIsolation) {
        self.init(
            json: .object([
                "Name": .string(name), "Driver": .string("bridge"), "Internal": .bool(true),
                "Labels": JSONValue(isolation.labels),
            ]))
    }
}

extension VolumeDefinition {
    /// One of the Engine's own, whatever the original lies on.
    fileprivate func isolated(_ isolation: DrillIsolation) -> VolumeDefinition {
        var isolated = self
        isolated.driver = "local"
        if options["type"] != "tmpfs" || driver != "local" { isolated.options = [:] }
        isolated.labels = labels.merging(isolation.labels) { $1 }
        return isolated
    }
}
