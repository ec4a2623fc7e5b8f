import Model

extension ContainerDefinition {
    /// Why it must not run beside the one that it is a copy of; nil when it may.
    func obstacle(_ networks: [NetworkDefinition]) -> String? {
        if managesContainers { return "it manages containers through the Engine, others' as well" }
        for (key, what) in [
            ("NetworkMode", "network"), ("PidMode", "processes"), ("IpcMode", "shared memory"),
        ] where hostConfig[key].string == "host" {
            return "it uses the \(what) of the machine itself"
        }
        for mount in mounts where mount.isWritable {
            guard mount.omitted?.hasPrefix(MountRules.isNetwork) == true else { continue }
            return "it writes to \(mount.source ?? mount.destination), which others use as well"
        }
        let own = Set(self.networks.map(\.network))
        return networks.filter { own.contains($0.name) }.compactMap(\.reach).first
    }

    /// Places of the machine that it writes to and that stay what they are, whatever it is called.
    var sharedPlaces: [String] {
        mounts.filter { $0.isWritable && $0.type == "bind" && !$0.moves }.compactMap(\.source)
    }

    /// The container as it is called at `place`, and all that it refers to.
    ///
    /// On networks with names of their own it is found under its own name too: that is how others
    /// ask for it.
    func placed(at place: TargetPlace, binds: [DockerSnapshot.Bind]) throws -> ContainerDefinition {
        var placed = self
        placed.name = place.name(of: name)
        placed.mounts = mounts.map { $0.placed(at: place, binds: binds) }
        placed.config["Labels"] = ComposeLabels.placed(config["Labels"], at: place)
        var host = hostConfig
        for key in ["NetworkMode", "IpcMode", "PidMode"] {
            guard let mode = host[key].string else { continue }
            if mode.hasPrefix("container:") {
                let other = String(mode.dropFirst("container:".count))
                host[key] = .string("container:\(place.name(of: other))")
            } else if key == "NetworkMode", Self.isOwnNetwork(mode) {
                host[key] = .string(place.name(of: mode))
            }
        }
        if let links = host["Links"].array {
            host["Links"] = JSONValue(links.compactMap(\.string).map { Self.link($0, at: place) })
        }
        placeMounts(&host, placed.mounts, at: place)
        host["PortBindings"] = try Self.ports(host["PortBindings"], at: place)
        placed.hostConfig = host
        placed.networks = networks.map { attachment in
            guard Self.isOwnNetwork(attachment.network) else { return attachment }
            var own = attachment
            own.network = place.name(of: attachment.network)
            own.endpoint = endpoint(attachment.endpoint, at: place)
            return own
        }
        return placed
    }

    /// Those that the Engine makes are the same everywhere.
    private static func isOwnNetwork(_ name: String) -> Bool {
        name != "default" && !NetworkDefinition.predefined.contains(name)
    }

    /// `other:alias`; the alias stays.
    private static func link(_ text: String, at place: TargetPlace) -> String {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        guard let other = parts.first else { return text }
        return "\(place.name(of: other)):\(parts.count == 2 ? parts[1] : other)"
    }

    private func endpoint(_ endpoint: JSONValue, at place: TargetPlace) -> JSONValue {
        var placed = endpoint
        var aliases = endpoint["Aliases"].strings
        if place.name(of: name) != name, !aliases.contains(name) { aliases.append(name) }
        placed["Aliases"] = aliases.isEmpty ? .null : JSONValue(aliases)
        if let links = endpoint["Links"].array {
            placed["Links"] = JSONValue(links.compactMap(\.string).map { Self.link($0, at: place) })
        }
        if place.isBeside || !place.subnets.isEmpty {
            placed["IPAMConfig"] =
                SubnetShift(place).shifted(endpoint["IPAMConfig"], keys: ["IPv4Address"]) ?? .null
        }
        return placed
    }

    /// `source:destination[:options]`, and the long form of the same.
    private func placeMounts(
        _ host: inout JSONValue, _ placed: [MountDefinition], at place: TargetPlace
    ) {
        func source(_ original: String, _ destination: String) -> String {
            guard original.hasPrefix("/") else { return place.name(of: original) }
            return placed.first { $0.destination == destination }?.source ?? original
        }
        if let binds = host["Binds"].array {
            host["Binds"] = JSONValue(
                binds.compactMap(\.string).map { text in
                    var fields = text.split(separator: ":", omittingEmptySubsequences: false)
                        .map(String.init)
                    guard fields.count > 1 else { return text }
                    fields[0] = source(fields[0], fields[1])
                    return fields.joined(separator: ":")
                })
        }
        guard var mounts = host["Mounts"].array else { return }
        for index in mounts.indices {
            guard let original = mounts[index]["Source"].string, !original.isEmpty else { continue }
            mounts[index]["Source"] = .string(
                source(original, mounts[index]["Target"].string ?? ""))
        }
        host["Mounts"] = .array(mounts)
    }

    /// - Throws: ``Failure`` (usage) for a port that does not exist.
    private static func ports(_ bindings: JSONValue, at place: TargetPlace) throws -> JSONValue {
        guard let members = bindings.object else { return bindings }
        return .object(
            try members.mapValues { places in
                guard let list = places.array else { return places }
                return .array(
                    try list.map { binding in
                        var placed = binding
                        if let port = binding["HostPort"].string, !port.isEmpty {
                            // One number, or the first and last of a range.
                            let numbers = port.split(separator: "-").compactMap { Int($0) }
                            placed["HostPort"] = .string(
                                try numbers.map { "\(try place.port(of: $0))" }
                                    .joined(separator: "-"))
                        }
                        if let address = binding["HostIp"].string, !address.isEmpty {
                            placed["HostIp"] = .string(place.host(of: address))
                        }
                        return placed
                    })
            })
    }
}

extension ContainerDefinition.MountDefinition {
    /// Whether its place is another one where paths are: it holds data, or would.
    var moves: Bool { part != nil || owner != nil || omitted == MountRules.isMissing }

    fileprivate func placed(at place: TargetPlace, binds: [DockerSnapshot.Bind]) -> Self {
        var placed = self
        placed.name = name.map(place.name(of:))
        if moves, let source {
            let holder = part.flatMap { part in binds.first { $0.part == part } }
            // What was reached through a link has its data at the link's end.
            let isBelow = holder.map { MountRules.lies(source, in: $0.path) } ?? true
            placed.source = place.path(of: isBelow ? source : holder?.path ?? source)
        }
        return placed
    }
}

/// Moves addresses from networks to those that stand for them at a target.
struct SubnetShift {
    private let pairs: [(from: Subnet, to: Subnet)]

    init(_ place: TargetPlace) {
        pairs = place.subnets.compactMap { old, new in
            guard let from = Subnet(old), let to = Subnet(new),
                from.last - from.first == to.last - to.first
            else { return nil }
            return (from, to)
        }
    }

    /// - Returns: Nil when one of the addresses is in none of the networks.
    func shifted(_ value: JSONValue, keys: [String]) -> JSONValue? {
        guard value.object != nil else { return nil }
        var shifted = value
        for key in keys {
            guard let text = value[key].string, !text.isEmpty else { continue }
            guard let moved = moved(text) else { return nil }
            shifted[key] = .string(moved)
        }
        guard let others = value["AuxiliaryAddresses"].object else { return shifted }
        let placed = others.mapValues { $0.string.flatMap(moved) }
        guard !placed.values.contains(nil) else { return nil }
        shifted["AuxiliaryAddresses"] = JSONValue(placed.compactMapValues { $0 })
        return shifted
    }

    /// An address, or a network in CIDR notation.
    private func moved(_ text: String) -> String? {
        let parts = text.split(separator: "/")
        guard let address = parts.first.flatMap({ Subnet("\($0)/32") })?.first,
            let pair = pairs.first(where: { $0.from.first <= address && address <= $0.from.last })
        else { return nil }
        let number = address - pair.from.first + pair.to.first
        let bytes = [24, 16, 8, 0].map { "\(number >> UInt32($0) & 0xff)" }
        return bytes.joined(separator: ".") + (parts.count > 1 ? "/\(parts[1])" : "")
    }
}
