import Engine
import Model

/// What is known of a captured guest beside its data: the document `guest.json`.
struct GuestRecord: Sendable, Codable {
    struct Disk: Sendable, Codable {
        /// In the configuration, for example `scsi0`.
        var key: String
        /// In the archive, for example `drive-scsi0`.
        var device: String
        var bytes: UInt64
        var storage: String
        var format: String
    }

    struct Network: Sendable, Codable {
        var key: String
        var bridge: String?
        var address: String?
    }

    var number: Int
    var kind: ProxmoxCluster.GuestKind
    var name: String
    /// How the cluster was reached; nil for the machine that `dr` ran on, or for an export.
    var ssh: String?
    var node: String?
    var pool: String?
    var tags: [String]
    /// When it was captured, for example `running`; nil for an export.
    var status: String?
    /// What the cluster's high availability wanted of it, for example `started`.
    var resource: String?
    var startsWithNode: Bool
    var startup: GuestConfiguration.Startup
    var hasAgent: Bool
    /// The disks of a virtual machine.
    var disks: [Disk]
    var networks: [Network]

    static let document = "guest.json"

    init(number: Int, kind: ProxmoxCluster.GuestKind, _ configuration: GuestConfiguration) {
        self.number = number
        self.kind = kind
        name = configuration.name ?? ""
        tags = (configuration.values["tags"] ?? "").split { ";, ".contains($0) }.map(String.init)
        startsWithNode = configuration.startsWithNode
        startup = configuration.startup
        hasAgent = configuration.hasAgent
        disks = []
        networks = configuration.networks.map {
            Network(key: $0.key, bridge: $0.bridge, address: $0.address)
        }
    }

    mutating func add(_ devices: [VMAHeader.Device], of configuration: GuestConfiguration) {
        disks = configuration.dumped.compactMap { dumped in
            guard let device = devices.first(where: { $0.name == dumped.device }) else {
                return nil
            }
            return Disk(
                key: dumped.key, device: dumped.device, bytes: device.length,
                storage: dumped.storage, format: dumped.format)
        }
    }

    /// For people, for example `virtual machine 101 (web1)`.
    var title: String {
        "\(kind.title) \(number)" + (name.isEmpty ? "" : " (\(printable(name.utf8)))")
    }
}

/// A guest of a snapshot.
struct SnapshotGuest: Sendable {
    var record: GuestRecord
    /// What the names of its parts begin with, for example `vm-101/`.
    var prefix: String

    static let root = "rootfs"
    static let containerConfiguration = "pct.conf"
    static let containerFirewall = "pct.fw"
    /// Where archives of containers have their configuration.
    static let containerDirectory = "etc/vzdump/"

    static func prefix(_ kind: ProxmoxCluster.GuestKind, _ number: Int) -> String {
        "\(kind.prefix)-\(number)/"
    }

    /// All of a snapshot, by their numbers.
    static func all(in source: any ReplaySource) async throws -> [SnapshotGuest] {
        var guests: [SnapshotGuest] = []
        for part in source.snapshot.parts where part.name.hasSuffix("/\(GuestRecord.document)") {
            let record = try StableJSON.decode(
                GuestRecord.self, from: try await source.document(part.name))
            guests.append(
                SnapshotGuest(
                    record: record, prefix: String(part.name.dropLast(GuestRecord.document.count))))
        }
        return guests.sorted { $0.record.number < $1.record.number }
    }

    /// The configuration as the dump had it.
    func configurationBytes(in source: any ReplaySource) async throws -> [UInt8] {
        try await source.document(
            prefix
                + (record.kind == .qemu
                    ? VMACapture.configurationName : Self.containerConfiguration))
    }

    func disks(in snapshot: SnapshotRecord) -> [SnapshotPart] {
        snapshot.parts.filter { $0.kind == .disk && $0.name.hasPrefix(prefix) }
            .sorted { $0.name < $1.name }
    }

    /// Bytes that are brought back, holes counted.
    func bytes(in snapshot: SnapshotRecord) -> ByteCount {
        snapshot.parts.filter { $0.name.hasPrefix(prefix) }.reduce(into: ByteCount(0)) {
            $0 += $1.bytes
        }
    }
}
