import Model

/// The text of a guest's configuration, `key: value` a line, as `/etc/pve` has it.
struct GuestConfiguration: Sendable {
    /// A disk, mount point or CD-ROM.
    struct Volume: Sendable, Hashable {
        /// For example `scsi0`, `rootfs` or `mp0`.
        var key: String
        /// `storage:volume`, a path, or `none`.
        var place: String
        var options: [String: String]

        /// Nil for a path of the node and for no volume at all.
        var storage: String? {
            guard !place.hasPrefix("/"), let colon = place.firstIndex(of: ":") else { return nil }
            return String(place[..<colon])
        }
        var isMedium: Bool { options["media"] == "cdrom" }
    }

    struct Network: Sendable, Hashable {
        var key: String
        var bridge: String?
        var address: String?
    }

    /// A disk of a dump, and what it belongs to.
    struct DumpedDisk: Sendable, Hashable {
        var key: String
        /// The name in the archive.
        var device: String
        var storage: String
        var format: String
    }

    /// What says when it starts.
    struct Startup: Sendable, Hashable, Codable {
        var order: Int?
        /// Seconds to wait behind it.
        var up: Int?
        var down: Int?
    }

    private(set) var values: [String: String] = [:]
    private(set) var dumped: [DumpedDisk] = []

    init(_ bytes: [UInt8]) {
        for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
            // Snapshots and pending changes follow.
            if line.hasPrefix("[") { break }
            let map = "#qmdump#map:"
            if line.hasPrefix(map) {
                let fields = line.dropFirst(map.count).split(
                    separator: ":", omittingEmptySubsequences: false)
                guard fields.count >= 4 else { continue }
                dumped.append(
                    DumpedDisk(
                        key: String(fields[0]), device: String(fields[1]),
                        storage: String(fields[2]), format: String(fields[3])))
                continue
            }
            guard !line.hasPrefix("#"), let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            values[String(line[..<colon])] = String(value)
        }
    }

    /// As the cluster tells it in JSON.
    init(_ value: JSONValue) {
        values = value.object?.compactMapValues(\.looseText) ?? [:]
    }

    var name: String? { values["name"] ?? values["hostname"] }
    var startsWithNode: Bool { values["onboot"] == "1" }
    var hasAgent: Bool {
        guard let agent = values["agent"] else { return false }
        let first = Self.options(agent).first { $0.key.isEmpty || $0.key == "enabled" }
        return first?.value == "1"
    }
    var isUnprivileged: Bool { values["unprivileged"] == "1" }

    var startup: Startup {
        var startup = Startup()
        for (key, value) in Self.options(values["startup"] ?? "") {
            switch key {
            case "", "order": startup.order = Int(value)
            case "up": startup.up = Int(value)
            case "down": startup.down = Int(value)
            default: break
            }
        }
        return startup
    }

    /// Disks of a virtual machine, by their keys.
    var disks: [Volume] {
        volumes { key in
            ["ide", "sata", "scsi", "virtio", "efidisk", "tpmstate"].contains { prefix in
                key.hasPrefix(prefix) && !key.dropFirst(prefix.count).isEmpty
                    && key.dropFirst(prefix.count).allSatisfy(\.isNumber)
            }
        }
    }

    /// The file systems of a container: its root and its mount points.
    var mounts: [Volume] {
        volumes { $0 == "rootfs" || ($0.hasPrefix("mp") && $0.dropFirst(2).allSatisfy(\.isNumber)) }
    }

    /// Volumes that it owns and has no use for.
    var unused: [Volume] {
        volumes { $0.hasPrefix("unused") && $0.dropFirst(6).allSatisfy(\.isNumber) }
    }

    private func volumes(_ isOne: (String) -> Bool) -> [Volume] {
        values.keys.filter(isOne).sorted().map { key in
            let options = Self.options(values[key] ?? "")
            var volume = Volume(key: key, place: "", options: [:])
            for (name, value) in options {
                if name.isEmpty || name == "file" || name == "volume" {
                    volume.place = value
                } else {
                    volume.options[name] = value
                }
            }
            return volume
        }
    }

    var networks: [Network] {
        values.keys.filter { $0.hasPrefix("net") && $0.dropFirst(3).allSatisfy(\.isNumber) }
            .sorted().map { key in
                let options = Self.options(values[key] ?? "")
                func option(_ names: String...) -> String? {
                    options.first { names.contains($0.key) }?.value
                }
                let model = options.first.map { $0.value }
                return Network(
                    key: key, bridge: option("bridge"),
                    address: option("hwaddr", "macaddr")
                        ?? (model?.split(separator: ":").count == 6 ? model : nil))
            }
    }

    /// What ties it to the machine it ran on.
    var hardware: [String] {
        let prefixes = ["hostpci", "usb", "virtiofs", "parallel", "serial", "dev"]
        return values.filter { key, value in
            if key == "args" { return true }
            guard
                let prefix = prefixes.first(where: { key.hasPrefix($0) }),
                key.dropFirst(prefix.count).allSatisfy(\.isNumber)
            else { return false }
            // A socket and a viewer's device are no hardware.
            return value != "socket" && !value.hasPrefix("spice")
        }.keys.sorted()
    }

    /// `a,b=c` as pairs; what has no name gets an empty one.
    private static func options(_ text: String) -> [(key: String, value: String)] {
        text.split(separator: ",").map { part in
            guard let sign = part.firstIndex(of: "=") else { return ("", String(part)) }
            return (String(part[..<sign]), String(part[part.index(after: sign)...]))
        }
    }

    /// `32G` in bytes; nil for what is no size.
    static func bytes(_ text: String) -> UInt64? {
        guard let last = text.last else { return nil }
        let units: [Character: UInt64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
        guard let unit = units[last] else { return UInt64(text) }
        guard let number = Double(text.dropLast()), number >= 0, number < 1e6 else { return nil }
        return UInt64(number * Double(unit))
    }
}
