import Engine
import Model

extension DockerEngine {
    /// What the Engine says of itself.
    func info() async throws -> EngineInformation {
        EngineInformation(json: try await call(request(.get, ["info"])))
    }

    /// A volume; nil when there is none of that name.
    func find(volume: String) async throws -> VolumeInspection? {
        try await find(request(.get, ["volumes", volume])).map(VolumeInspection.init(json:))
    }

    /// - Parameter filters: As the Engine has them, for example `["label": ["a=b"]]`.
    func volumes(filters: [String: [String]] = [:]) async throws -> [VolumeInspection] {
        let list = try await call(request(.get, ["volumes"], query: Self.query(filters)))
        return list["Volumes"].array?.map(VolumeInspection.init(json:)) ?? []
    }

    /// Creates a volume. The Engine gives back one that exists already, whatever it holds: look
    /// first.
    func createVolume(body: JSONValue) async throws -> VolumeInspection {
        VolumeInspection(
            json: try await call(request(.post, ["volumes", "create"], body: body)))
    }

    /// Removes a volume that no container has; one that is gone is no error.
    func remove(volume: String) async throws {
        try await removed(request(.delete, ["volumes", volume]))
    }

    /// A network, by name or id, as the Engine describes it; nil when there is none.
    func find(network: String) async throws -> JSONValue? {
        guard let json = try await find(request(.get, ["networks", network])),
            json["Name"].string == network || json["Id"].string == network
        else { return nil }
        return json
    }

    func networks(filters: [String: [String]] = [:]) async throws -> [JSONValue] {
        try await call(request(.get, ["networks"], query: Self.query(filters))).array ?? []
    }

    func createNetwork(body: JSONValue) async throws {
        try await call(request(.post, ["networks", "create"], body: body))
    }

    /// Removes a network that no container is on; one that is gone is no error.
    func remove(network: String) async throws {
        try await removed(request(.delete, ["networks", network]))
    }

    /// Puts a container on a network, beside those it is on.
    func connect(container: String, to network: String, endpoint: JSONValue) async throws {
        try await call(
            request(
                .post, ["networks", network, "connect"],
                body: .object(["Container": .string(container), "EndpointConfig": endpoint])))
    }
}

/// What an Engine says of itself.
struct EngineInformation: Sendable {
    let json: JSONValue

    /// Where it keeps images, layers and volumes, on its own machine.
    var dataRoot: String { json["DockerRootDir"].string ?? "/var/lib/docker" }
    /// The host name of its machine.
    var hostName: String { json["Name"].string ?? "" }
}

/// What an Engine says of a volume.
struct VolumeInspection: Sendable {
    let json: JSONValue

    var name: String { json["Name"].string ?? "" }
    var driver: String { json["Driver"].string ?? "local" }
    var options: [String: String] { json["Options"].stringMap }
    /// Where its content lies on the Engine's machine.
    var mountPoint: String { json["Mountpoint"].string ?? "" }
    /// Told apart from a later one of the same name by this.
    var createdAt: String { json["CreatedAt"].string ?? "" }
}
