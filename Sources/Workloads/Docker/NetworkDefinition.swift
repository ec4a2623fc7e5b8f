import Model

/// A network as it was; the content of `network/<name>.json`.
struct NetworkDefinition: Sendable, Hashable, Codable {
    var format: Int = 1
    var name: String
    /// What the Engine says of it, less what it generates.
    var network: JSONValue

    init(json: JSONValue) {
        name = json["Name"].string ?? ""
        network = ContainerDefinition.pruned(json)
        for key in ["Id", "Created", "Containers", "Services", "Peers", "Status", "Name"] {
            network[key] = .null
        }
    }

    /// Those every Engine makes itself.
    static let predefined: Set<String> = ["bridge", "host", "none"]

    var subnets: [String] {
        network["IPAM"]["Config"].array?.compactMap { $0["Subnet"].string } ?? []
    }

    /// What the Engine is asked to create.
    ///
    /// - Parameter keepingAddresses: Whether the same subnets are asked for.
    func creation(keepingAddresses: Bool) -> JSONValue {
        var body = network
        body["Name"] = .string(name)
        body["CheckDuplicate"] = .bool(true)
        body["Scope"] = body["Scope"].string == "local" ? .null : body["Scope"]
        if !keepingAddresses {
            var ipam = body["IPAM"]
            ipam["Config"] = .null
            body["IPAM"] = ipam
        }
        return body
    }

    /// Whether a network that exists does for this one.
    func isSame(as other: NetworkDefinition) -> Bool {
        func shape(_ json: JSONValue) -> [JSONValue] {
            [json["Driver"], json["Options"], json["Internal"], json["EnableIPv6"], json["Labels"]]
        }
        return name == other.name && shape(network) == shape(other.network)
            && (subnets.isEmpty || other.subnets.isEmpty || subnets == other.subnets)
    }
}

/// A volume as it was; the content of `volume/<name>.json`.
struct VolumeDefinition: Sendable, Hashable, Codable {
    var format: Int = 1
    var name: String
    var driver: String
    var options: [String: String]
    var labels: [String: String]
    /// The snapshot's part that holds its content; nil when none does.
    var part: String?
    /// Why there is no content.
    var omitted: String?

    init(_ volume: VolumeInspection, part: String?, omitted: String?) {
        name = volume.name
        driver = volume.driver
        options = volume.options
        labels = volume.json["Labels"].stringMap
        self.part = part
        self.omitted = omitted
    }

    /// What the Engine is asked to create.
    var creation: JSONValue {
        var body: JSONValue = .object(["Name": .string(name), "Driver": .string(driver)])
        if !options.isEmpty { body["DriverOpts"] = JSONValue(options) }
        if !labels.isEmpty { body["Labels"] = JSONValue(labels) }
        return body
    }

    /// The directory that the local driver only mounts: what lies in it is the volume.
    var boundDirectory: String? { Self.boundDirectory(driver: driver, options: options) }

    static func boundDirectory(driver: String, options: [String: String]) -> String? {
        guard driver == "local", let device = options["device"], device.hasPrefix("/"),
            options["o"]?.split(separator: ",").contains(where: { $0 == "bind" || $0 == "rbind" })
                ?? false
        else { return nil }
        return device
    }
}
