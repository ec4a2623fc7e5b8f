import Model

extension ConfigurationDocument {
    func proxmox(_ proxmox: ProxmoxSpecification) -> JSONValue {
        let subject: JSONMember =
            switch proxmox.subject {
            case .guest(let number): JSONMember("vm", .integer(Int64(number)))
            case .name(let name): JSONMember("name", .string(name))
            case .pool(let pool): JSONMember("pool", .string(pool))
            case .tag(let tag): JSONMember("tag", .string(tag))
            }
        let placement = proxmox.restore
        let restore = JSONValue.members([
            "vm": placement.guest.map { .integer(Int64($0)) },
            "offset": placement.guest == nil ? .integer(Int64(placement.offset)) : nil,
            "storage": placement.storage.map { .string($0) },
            "node": placement.node.map { .string($0) },
            "pool": placement.pool.map { .string($0) },
            "unique": placement.unique.map { .bool($0) },
            "start": placement.start.map { .bool($0) }, "wait": value(placement.wait),
            "bwlimit": .integer(Int64(placement.bandwidth)),
        ])
        let rest = JSONValue.members([
            "node": proxmox.ssh.map { .members(["ssh": .string($0)]) },
            "exports": proxmox.exports.map { .string($0) },
            "mode": .string(proxmox.mode.rawValue),
            "fleecing": proxmox.fleecing.map { .string($0) },
            "bwlimit": .integer(Int64(proxmox.bandwidth)),
            "images": .string(proxmox.images.rawValue), "restore": restore,
        ])
        guard case .object(let members) = rest else { return rest }
        return .object([subject] + members)
    }
}
