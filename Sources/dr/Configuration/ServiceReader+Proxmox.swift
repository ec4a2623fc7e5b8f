import Engine
import Model

extension ServiceReader {
    /// The keys of `proxmox:`.
    func proxmox(
        _ value: ConfigurationValue, problems: inout ProblemList
    ) -> ProxmoxSpecification? {
        let subject: ProxmoxSpecification.Subject
        if let number = value["vm"]?.integer {
            subject = .guest(number)
        } else if let name = value["name"]?.text {
            subject = .name(name)
        } else if let pool = value["pool"]?.text {
            subject = .pool(pool)
        } else if let tag = value["tag"]?.text {
            subject = .tag(tag)
        } else {
            return nil
        }
        var proxmox = ProxmoxSpecification(subject: subject)
        if let ssh = value["node"]?["ssh"], let text = ssh.text {
            proxmox.ssh = text
            if (try? SSHDestination(parsing: text)) == nil {
                problems.add(
                    ssh.position, "must be a machine that ssh reaches, not \"\(text)\"",
                    hint: "write for example root@pve1.example.org")
            }
        }
        proxmox.exports = value["exports"]?.text.map(absolute)
        proxmox.mode = value["mode"]?.text.flatMap(ProxmoxSpecification.Mode.init) ?? .snapshot
        proxmox.fleecing = value["fleecing"]?.text
        proxmox.bandwidth = value["bwlimit"]?.integer ?? 0
        proxmox.images = value["images"]?.text.flatMap(ProxmoxSpecification.ImageForm.init) ?? .raw
        if let exports = value["exports"], value["vm"] == nil {
            problems.add(
                exports.position, "exports are found by the number of their guest",
                hint: "name it with vm:")
        }
        if let restore = value["restore"] {
            proxmox.restore = Self.placement(restore)
            if let number = restore["vm"], value["vm"] == nil, value["name"] == nil {
                problems.add(
                    number.position, "several guests cannot have one number",
                    hint: "use offset instead of vm")
            }
        }
        return proxmox
    }

    private static func placement(_ value: ConfigurationValue) -> ProxmoxPlacement {
        var placement = ProxmoxPlacement()
        placement.guest = value["vm"]?.integer
        placement.offset = value["offset"]?.integer ?? 0
        placement.storage = value["storage"]?.text
        placement.node = value["node"]?.text
        placement.pool = value["pool"]?.text
        placement.unique = value["unique"]?.flag
        placement.start = value["start"]?.flag
        placement.wait = value["wait"]?.span ?? placement.wait
        placement.bandwidth = value["bwlimit"]?.integer ?? 0
        return placement
    }
}
