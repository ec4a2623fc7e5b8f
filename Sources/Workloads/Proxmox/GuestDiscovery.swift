import Engine
import Model

/// Proposes a service for every guest of the cluster that this machine is a node of.
struct GuestDiscovery: Sendable {
    let programs: any ProgramRunner
    /// Whether something of this name is wanted.
    let isWanted: @Sendable (String) -> Bool
    /// Where the cluster's own files are brought back to: never over a cluster that runs.
    let restored: String

    private static let clusterDirectory = "/etc/pve"

    /// Adds proposals to `discovery`.
    ///
    /// - Throws: `CancellationError`.
    func run(_ discovery: inout Discovery, names: inout ServiceNames) async throws {
        let cluster: ProxmoxCluster
        do {
            cluster = try await ProxmoxCluster.look(
                from: ProxmoxNode(ssh: nil, programs: programs))
        } catch {
            if error is CancellationError { throw error }
            discovery.problems.append("Proxmox VE: \(Failure(wrapping: error))")
            return
        }
        let wanted = cluster.guests.filter {
            !$0.isDrilled
                && (isWanted($0.name) || isWanted("\($0.number)")
                    || ($0.pool.map(isWanted) ?? false))
        }
        var found: [(order: Int, guest: ProxmoxCluster.Guest, configuration: GuestConfiguration)] =
            []
        for guest in wanted.sorted(by: { $0.number < $1.number }) {
            let title =
                "\(guest.kind.title) \(guest.number) \(printable(guest.name.utf8)) on "
                + printable(guest.node.utf8)
            if guest.isTemplate {
                discovery.leftOut.append(
                    "\(title): it is a template, and what is made of it is dumped whole; "
                        + "proxmox: {vm: \(guest.number)} saves it as well")
                continue
            }
            guard cluster.member(guest.node)?.isOnline == true else {
                discovery.leftOut.append("\(title): its node is offline")
                continue
            }
            do {
                let configuration = try await cluster.configuration(of: guest)
                if guest.kind == .qemu, Self.dumpedDisks(configuration).isEmpty {
                    discovery.leftOut.append("\(title): it has no disk that is part of dumps")
                    continue
                }
                found.append((configuration.startup.order ?? .max, guest, configuration))
            } catch {
                if error is CancellationError { throw error }
                discovery.leftOut.append("\(title): \(Failure(wrapping: error))")
            }
        }
        for (_, guest, configuration) in found.sorted(by: {
            ($0.order, $0.guest.number) < ($1.order, $1.guest.number)
        }) {
            discovery.services.append(propose(guest, configuration, &names))
            discovery.leftOut += Self.undumped(configuration, guest)
        }
        try await proposeCluster(&discovery, &names)
    }

    /// The cluster's configuration is a file system of its own, which no guest's dump and no copy of
    /// `/etc` holds.
    private func proposeCluster(
        _ discovery: inout Discovery, _ names: inout ServiceNames
    ) async throws {
        let directory = Self.clusterDirectory
        let isThere = try await BlockingPool.shared.run { FileSystem().isDirectory(directory) }
        guard isThere, isWanted("proxmox") || isWanted(directory) else { return }
        var service = ProposedService(name: names.make("proxmox"))
        service.remarks.append(
            "Configuration of the Proxmox VE cluster, its keys among it. It comes back beside a "
                + "running cluster, never over it: look there, and copy what you need.")
        service.files = FilesSpecification(paths: [directory], exclude: [], oneFileSystem: true)
        service.files?.restoreTo = "\(restored)/proxmox"
        service.subjects = ["mount/\(directory)"]
        discovery.services.append(service)
    }

    private func propose(
        _ guest: ProxmoxCluster.Guest, _ configuration: GuestConfiguration,
        _ names: inout ServiceNames
    ) -> ProposedService {
        var service = ProposedService(
            name: names.make(
                guest.name.isEmpty ? "\(guest.kind.prefix)-\(guest.number)" : guest.name))
        let title = guest.kind == .qemu ? "Virtual machine" : "Container"
        var facts = ["\(guest.status)"]
        if let pool = guest.pool { facts.append("in the pool \(printable(pool.utf8))") }
        if !guest.tags.isEmpty {
            facts.append("tags \(guest.tags.map { printable($0.utf8) }.joined(separator: ", "))")
        }
        service.remarks.append(
            "\(title) \(guest.number) of Proxmox VE on \(printable(guest.node.utf8)), "
                + facts.joined(separator: ", ") + ".")
        let kept =
            guest.kind == .qemu
            ? Self.dumpedDisks(configuration)
            : configuration.mounts.filter { $0.key == "rootfs" || $0.options["backup"] == "1" }
        service.remarks.append(
            "Dumped with it: "
                + kept.map { volume in
                    "\(volume.key) on \(printable((volume.storage ?? volume.place).utf8))"
                        + (volume.options["size"].map { " (\(printable($0.utf8)))" } ?? "")
                }.joined(separator: ", ") + ".")
        if let order = configuration.startup.order {
            let up = configuration.startup.up.map { ", with \($0) s behind it" } ?? ""
            service.remarks.append(
                "It starts as number \(order)\(up): a restore keeps that order by itself. Say with "
                    + "after: what it really needs.")
        }
        if guest.kind == .qemu, !configuration.hasAgent {
            service.remarks.append(
                "It has no guest agent: snapshots are as after a power cut. Install "
                    + "qemu-guest-agent in it, then: qm set \(guest.number) --agent enabled=1")
        }
        service.guest = ProposedService.Guest(
            number: guest.number, name: guest.name, pool: guest.pool, tags: guest.tags)
        service.subjects = ["guest/\(guest.number)"]
        return service
    }

    private static func dumpedDisks(
        _ configuration: GuestConfiguration
    ) -> [GuestConfiguration.Volume] {
        configuration.disks.filter {
            !$0.isMedium && $0.place != "none" && $0.options["backup"] != "0"
                && !$0.place.contains("cloudinit")
        }
    }

    /// What a guest has and `vzdump` leaves out.
    private static func undumped(
        _ configuration: GuestConfiguration, _ guest: ProxmoxCluster.Guest
    ) -> [String] {
        let title = "\(guest.kind.prefix) \(guest.number) \(printable(guest.name.utf8))"
        if guest.kind == .qemu {
            return configuration.disks.filter {
                !$0.isMedium && $0.options["backup"] == "0"
            }.map {
                "\(title): \($0.key) is excluded from dumps; qm set \(guest.number) --\($0.key) … "
                    + "without backup=0 takes it in"
            }
        }
        return configuration.mounts.filter {
            $0.key != "rootfs" && ($0.storage == nil || $0.options["backup"] != "1")
        }.map { mount in
            let place = printable((mount.options["mp"] ?? "").utf8)
            return mount.storage == nil
                ? "\(title): \(mount.key) at \(place) is a directory of the node; files: saves it"
                : "\(title): \(mount.key) at \(place) is not part of dumps; backup=1 takes it in"
        }
    }
}
