import Model

@testable import Workloads

/// What must be the same of a container that came back, taken from the Engine's own words and not
/// through `dr`'s definition.
struct InspectionShape {
    private(set) var fields: [String: JSONValue] = [:]

    init(of container: ContainerInspection) {
        let short = String(container.id.prefix(12))
        for (key, value) in container.config.object ?? [:] where !value.isEmpty {
            fields["Config.\(key)"] = value
        }
        if container.config["Hostname"].string == short { fields["Config.Hostname"] = nil }
        for (key, value) in container.hostConfig.object ?? [:] where !value.isEmpty {
            fields["HostConfig.\(key)"] = value
        }
        // An anonymous volume comes back as the same volume, so under its name.
        let binds = container.hostConfig["Binds"].strings
            .filter { ($0.split(separator: ":").first?.utf8.count ?? 0) != 64 }
        fields["HostConfig.Binds"] = JSONValue(binds.sorted())
        for mount in container.json["Mounts"].array ?? [] {
            var kept = mount
            // `z` is what the Engine notes where no mode was given.
            kept["Mode"] = .null
            fields["Mounts.\(mount["Destination"].string ?? "")"] = kept
        }
        for (name, endpoint) in container.networks {
            let aliases = endpoint["Aliases"].strings.filter { $0 != short }.sorted()
            fields["Networks.\(name).Aliases"] = JSONValue(aliases)
            for key in ["IPAMConfig", "Links", "DriverOpts"] where !endpoint[key].isEmpty {
                fields["Networks.\(name).\(key)"] = endpoint[key]
            }
        }
        fields["Image"] = container.json["Image"]
        fields["Name"] = container.json["Name"]
        fields["Status"] = .string(container.status)
        fields["Ports"] = container.json["NetworkSettings"]["Ports"]
    }

    func differences(from other: InspectionShape) -> [String] {
        Set(fields.keys).union(other.fields.keys).sorted().compactMap { key in
            let (mine, theirs) = (fields[key] ?? .null, other.fields[key] ?? .null)
            return mine == theirs ? nil : "\(key): \(mine) <> \(theirs)"
        }
    }
}
