import Model

extension ContainerDefinition {
    /// What the Engine is asked to create.
    struct Creation {
        var body: JSONValue
        /// Networks to connect afterwards: older Engines take one at creation.
        var further: [NetworkAttachment]
    }

    /// - Parameters:
    ///   - image: What the Engine knows the image by.
    ///   - version: The Engine's; decides where a MAC address is written.
    func creation(image: String, version: DockerAPIVersion) -> Creation {
        var config = config
        config["Image"] = .string(image)
        // An absent entry point would be filled in from the image, an empty one is one of its own.
        if config["Entrypoint"] == .null { config["Entrypoint"] = .array([]) }
        var host = hostConfig
        host["VolumesFrom"] = .null
        fillMounts(&host)

        let mode = host["NetworkMode"].string ?? "default"
        if mode.hasPrefix("container:") {
            for key in ["Hostname", "Domainname", "ExposedPorts"] { config[key] = .null }
        } else if host["UTSMode"].string == "host" {
            config["Hostname"] = .null
        }
        var attachments = networks.filter { !Self.hasNoEndpoint($0.network) }
        var first = attachments.firstIndex { $0.network == mode }
        if mode.hasPrefix("container:") || Self.hasNoEndpoint(mode) { first = nil }
        if let first {
            var primary = attachments.remove(at: first)
            if version < DockerAPIVersion(1, 44) {
                config["MacAddress"] = primary.endpoint["MacAddress"]
                primary.endpoint["MacAddress"] = .null
            }
            config["NetworkingConfig"] = .object([
                "EndpointsConfig": .object([primary.network: primary.endpoint])
            ])
        }
        if mode.hasPrefix("container:") || mode == "none" || mode == "host" { attachments = [] }
        // The default bridge comes by itself when it is the mode.
        if mode == "default" || mode == "bridge" {
            attachments.removeAll { $0.network == "bridge" }
        }
        config["HostConfig"] = host
        return Creation(body: config, further: attachments)
    }

    /// Host and none are modes rather than places to be connected to.
    private static func hasNoEndpoint(_ network: String) -> Bool {
        ["host", "none", "default"].contains(network)
    }

    /// Names the volumes that the Engine would otherwise make anew: anonymous ones, and those taken
    /// over from another container.
    private func fillMounts(_ host: inout JSONValue) {
        var named = Set(host["Binds"].strings.map(Self.destination(ofBind:)))
        named.formUnion(host["Tmpfs"].object?.keys.map { String($0) } ?? [])
        var requested = host["Mounts"].array ?? []
        for index in requested.indices {
            let target = requested[index]["Target"].string ?? ""
            named.insert(target)
            guard requested[index]["Source"].isEmpty, requested[index]["Type"].string == "volume",
                let mount = mounts.first(where: { $0.destination == target }), let name = mount.name
            else { continue }
            requested[index]["Source"] = .string(name)
        }
        if !requested.isEmpty { host["Mounts"] = .array(requested) }
        let missing = mounts.filter { mount in
            !named.contains(mount.destination) && ["volume", "bind"].contains(mount.type)
        }
        guard !missing.isEmpty else { return }
        let binds = missing.map { mount in
            "\(mount.name ?? mount.source ?? ""):\(mount.destination)"
                + (mount.isWritable ? "" : ":ro")
        }
        host["Binds"] = JSONValue(host["Binds"].strings + binds)
    }

    /// `source:destination[:options]`, or a destination alone.
    private static func destination(ofBind text: String) -> String {
        let fields = text.split(separator: ":")
        return String(fields.count > 1 ? fields[1] : fields.first ?? "")
    }
}
