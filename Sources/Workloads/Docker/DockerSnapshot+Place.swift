import Model

extension DockerSnapshot {
    /// The same under the names that things have at `place`, without what cannot be there.
    ///
    /// - Throws: ``Failure`` (usage) when two things would have the same name, and for ports that do
    ///   not exist.
    func placed(at place: TargetPlace) throws -> DockerSnapshot {
        let obstacles = obstacles(at: place)
        var placed = self
        placed.containers = try containers.filter { obstacles[$0.name] == nil }.map {
            try $0.placed(at: place, binds: binds)
        }
        placed.networks = networks.filter {
            !place.isBeside || place.isolation != nil || $0.reach == nil
        }.map { $0.placed(at: place) }
        placed.volumes = volumes.map { $0.placed(at: place) }
        placed.binds = binds.map { $0.placed(at: place) }
        placed.composeFiles = composeFiles.map { $0.placed(at: place) }
        if let isolation = place.isolation { placed.isolate(at: place, isolation) }
        try refuseTwins(containers.map(\.name), "containers", at: place)
        try refuseTwins(volumes.map(\.name), "volumes", at: place)
        try refuseTwins(networks.map(\.name), "networks", at: place)
        return placed
    }

    /// Why containers are left out at `place`, by their names.
    ///
    /// Beside the one that it is a copy of, a container must not reach what that one has: the Engine,
    /// the machine's network, a share. What shares something with one that is left out is so too.
    func obstacles(at place: TargetPlace) -> [String: String] {
        guard place.isBeside else { return [:] }
        var found: [String: String] = [:]
        for container in containers {
            found[container.name] =
                place.isolation == nil
                ? container.obstacle(networks) : container.isolationObstacle
        }
        var isSettled = false
        while !isSettled {
            isSettled = true
            for container in containers where found[container.name] == nil {
                guard let other = container.sharesWith.first(where: { found[$0] != nil }) else {
                    continue
                }
                found[container.name] = "it shares something with \(other), which is left out"
                isSettled = false
            }
        }
        return found
    }

    private func refuseTwins(_ names: [String], _ what: String, at place: TargetPlace) throws {
        var originals: [String: String] = [:]
        for name in names {
            if let other = originals.updateValue(name, forKey: place.name(of: name)) {
                throw Failure(
                    .usage,
                    "\(what) \(other) and \(name) would both be called \(place.name(of: name))",
                    hint: "correct names: of target \(place.name)")
            }
        }
    }
}

extension DockerSnapshot.Bind {
    fileprivate func placed(at place: TargetPlace) -> Self {
        var placed = self
        placed.path = place.path(of: path)
        return placed
    }
}

extension NetworkDefinition {
    /// How far it goes, where nothing may be on it twice; nil within this machine.
    var reach: String? {
        let driver = network["Driver"].string ?? "bridge"
        return driver == "bridge"
            ? nil : "its network \(name) (\(driver)) reaches beyond this machine"
    }

    /// Its addresses are others, unless the target says which.
    fileprivate func placed(at place: TargetPlace) -> NetworkDefinition {
        var placed = self
        placed.name = place.name(of: name)
        placed.network["Labels"] = ComposeLabels.placed(network["Labels"], at: place)
        guard place.isBeside || !place.subnets.isEmpty else { return placed }
        var options = network["Options"]
        options["com.docker.network.bridge.name"] = .null
        placed.network["Options"] = options.isEmpty ? .null : options
        var ipam = network["IPAM"]
        let configurations = (ipam["Config"].array ?? []).map {
            SubnetShift(place).shifted($0, keys: ["Subnet", "Gateway", "IPRange"])
        }
        if configurations.contains(nil) {
            ipam["Config"] = .null
            if network["EnableIPv6"] != .null { placed.network["EnableIPv6"] = .bool(false) }
        } else if !configurations.isEmpty {
            ipam["Config"] = .array(configurations.compactMap { $0 })
        }
        placed.network["IPAM"] = ipam
        return placed
    }
}

extension VolumeDefinition {
    /// Why two may not use it; nil when they may.
    func obstacle(at place: TargetPlace) -> String? {
        guard place.isBeside, driver != "local" || !options.isEmpty, boundDirectory == nil,
            options["type"] != "tmpfs"
        else { return nil }
        return
            "volume \(name) lies on \(options["device"] ?? "its driver \(driver)"), where what it "
            + "is a copy of has its data"
    }

    fileprivate func placed(at place: TargetPlace) -> VolumeDefinition {
        var placed = self
        placed.name = place.name(of: name)
        placed.labels =
            ComposeLabels.placed(JSONValue(labels), at: place).stringMap
        if let directory = boundDirectory { placed.options["device"] = place.path(of: directory) }
        return placed
    }
}

extension ComposeLabels {
    private static let project = "com.docker.compose.project"

    /// Labels as they are at `place`: another project, and beside the original none that others act on.
    static func placed(_ labels: JSONValue, at place: TargetPlace) -> JSONValue {
        var placed: [String: String] = [:]
        for (key, value) in labels.stringMap {
            switch key {
            case project: placed[key] = place.name(of: value)
            case "\(project).working_dir", "\(project).config_files",
                "\(project).environment_file":
                placed[key] = value.split(separator: ",").map {
                    $0.hasPrefix("/") ? place.path(of: String($0)) : String($0)
                }.joined(separator: ",")
            default:
                let isKept =
                    !place.isBeside || place.keepsLabels || key.hasPrefix("com.docker.compose.")
                if isKept { placed[key] = value }
            }
        }
        return placed.isEmpty ? .null : JSONValue(placed)
    }
}
