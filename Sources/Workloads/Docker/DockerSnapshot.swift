import Engine
import Model

/// What a snapshot holds of Docker, read from its documents.
struct DockerSnapshot: Sendable {
    /// Sorted by name.
    var containers: [ContainerDefinition] = []
    var networks: [NetworkDefinition] = []
    var volumes: [VolumeDefinition] = []
    /// Paths of this machine that containers have mounted.
    var binds: [Bind] = []
    /// The files that Compose made the containers from, by their paths.
    var composeFiles: [Bind] = []
    private var bytes: [String: ByteCount] = [:]

    struct Bind: Sendable {
        var path: String
        /// nil when only the empty directory is made.
        var part: String?
        var owner: ContainerDefinition.DirectoryOwner?
    }

    init(reading source: any ReplaySource) async throws {
        for part in source.snapshot.parts {
            bytes[part.name] = part.bytes
            guard part.kind == .document, part.name.hasSuffix(".json") else {
                guard part.kind == .tree, let path = part.attributes["path"] else { continue }
                if part.name.hasPrefix("bind/") {
                    binds.append(Bind(path: path, part: part.name))
                } else if part.name.hasPrefix("compose/") {
                    composeFiles.append(Bind(path: path, part: part.name))
                }
                continue
            }
            let document = try await source.document(part.name)
            if part.name.hasPrefix("container/") {
                containers.append(try Self.decode(ContainerDefinition.self, document, part.name))
            } else if part.name.hasPrefix("network/") {
                networks.append(try Self.decode(NetworkDefinition.self, document, part.name))
            } else if part.name.hasPrefix("volume/") {
                volumes.append(try Self.decode(VolumeDefinition.self, document, part.name))
            }
        }
        containers.sort { $0.name < $1.name }
        networks.sort { $0.name < $1.name }
        volumes.sort { $0.name < $1.name }
        for mount in containers.flatMap(\.mounts) {
            guard let owner = mount.owner, let path = mount.source,
                !binds.contains(where: { $0.path == path })
            else { continue }
            binds.append(Bind(path: path, part: nil, owner: owner))
        }
        binds.sort { $0.path < $1.path }
    }

    private static func decode<Value: Decodable>(
        _ type: Value.Type, _ bytes: [UInt8], _ part: String
    ) throws -> Value {
        let format = try JSONValue(parsing: bytes)["format"].integer
        guard format == 1 else {
            throw Failure(
                .unsupportedRepository,
                "\(part) has format \(format ?? 0), which this dr cannot read",
                hint: "use a newer dr")
        }
        return try StableJSON.decode(type, from: bytes)
    }

    func bytes(of part: String?) -> ByteCount { part.flatMap { bytes[$0] } ?? ByteCount(0) }

    func container(_ name: String) throws -> ContainerDefinition {
        try found(containers.first { $0.name == name }, "container \(name)")
    }
    func network(_ name: String) throws -> NetworkDefinition {
        try found(networks.first { $0.name == name }, "network \(name)")
    }
    func volume(_ name: String) throws -> VolumeDefinition {
        try found(volumes.first { $0.name == name }, "volume \(name)")
    }
    func bind(_ path: String) throws -> Bind {
        try found(binds.first { $0.path == path }, "bind mount \(path)")
    }
    func composeFile(_ path: String) throws -> Bind {
        try found(composeFiles.first { $0.path == path }, "Compose file \(path)")
    }
    func image(_ id: String) throws -> ContainerDefinition.ImageIdentity {
        try found(containers.map(\.image).first { $0.id == id }, "image \(id)")
    }

    private func found<Value>(_ value: Value?, _ what: String) throws -> Value {
        guard let value else { throw Failure(.failed, "the snapshot holds no \(what)") }
        return value
    }
}

/// What a docker step does; its id is `kind:name`.
enum DockerStepKind: String {
    case network, volume, bind, compose, image, container, start, healthy, completed

    static func parse(_ id: String) throws -> (kind: DockerStepKind, name: String) {
        guard let colon = id.firstIndex(of: ":"),
            let kind = DockerStepKind(rawValue: String(id[..<colon]))
        else { throw Failure(.failed, "no step of the docker driver: \(id)") }
        return (kind, String(id[id.index(after: colon)...]))
    }

    func id(_ name: String) -> String { "\(rawValue):\(name)" }
}
