import Model

/// What is lost for good when a guest is removed for one of a snapshot.
struct GuestRemoval: Sendable {
    let guest: SnapshotGuest
    /// That of the snapshot.
    let configuration: GuestConfiguration
    let existing: ProxmoxCluster.Guest

    static let hint =
        "give it to another guest first (Reassign Owner), or restore to another number: "
        + "restore: {vm: …}"

    /// The volumes that go with the guest and are no part of the snapshot, for people.
    func losses(in cluster: ProxmoxCluster) async throws -> [String] {
        var found: Set<GuestConfiguration.Volume> = []
        // What is to change with its next start goes too, before and after the change.
        for options in [[], ["--current", "1"]] {
            let now = try await cluster.configuration(of: existing, options)
            found.formUnion(volumes(notHeldOf: now))
        }
        return found.map { "\($0.key) (\(printable($0.place.utf8)))" }.sorted().map {
            "guest \(existing.number) on \(existing.node) has \($0), which is no part of the "
                + "snapshot: its removal would destroy it"
        }
    }

    func volumes(notHeldOf now: GuestConfiguration) -> [GuestConfiguration.Volume] {
        let all = existing.kind == .qemu ? now.disks : now.mounts
        let held = held
        return (all + now.unused).filter { volume in
            guard isRemoved(volume) else { return false }
            guard let place = held[volume.key] else { return true }
            // What is left out of dumps is no later state of another volume.
            return isLeftOut(volume) && place != volume.place
        }
    }

    /// The volumes of the snapshot by their keys, as they were named then.
    private var held: [String: String] {
        // A guest of the other kind has nothing in common with it but the number.
        guard existing.kind == guest.record.kind else { return [:] }
        let dumped: [GuestConfiguration.Volume]
        switch guest.record.kind {
        case .qemu:
            let keys = Set(guest.record.disks.map(\.key))
            dumped = configuration.disks.filter { keys.contains($0.key) }
        case .lxc: dumped = configuration.mounts.filter { !isLeftOut($0) }
        }
        return Dictionary(dumped.map { ($0.key, $0.place) }) { first, _ in first }
    }

    private func isLeftOut(_ volume: GuestConfiguration.Volume) -> Bool {
        switch existing.kind {
        case .qemu: volume.options["backup"] == "0"
        case .lxc: volume.key != "rootfs" && volume.options["backup"] != "1"
        }
    }

    /// Whether it goes with the guest: paths of the node, media and what another guest owns stay.
    private func isRemoved(_ volume: GuestConfiguration.Volume) -> Bool {
        guard volume.storage != nil, !volume.isMedium, !volume.place.contains("cloudinit") else {
            return false
        }
        // For example `local:105/vm-105-disk-0.qcow2`.
        let name = volume.place.split(whereSeparator: { $0 == ":" || $0 == "/" }).last ?? ""
        let words = name.split(separator: "-")
        guard words.count > 2, ["vm", "base", "subvol", "basevol"].contains(words[0]),
            let owner = Int(words[1])
        else { return true }
        return owner == existing.number
    }
}
