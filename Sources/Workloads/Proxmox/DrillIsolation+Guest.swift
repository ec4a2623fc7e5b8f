import Model

extension DrillIsolation {
    /// Keys that reach beyond the copy, or would keep it from being removed again: hardware and
    /// directories of the node, scripts, its start with the node. Numbered ones stand without number.
    private static let dropped: Set<String> = [
        "onboot", "startup", "protection", "hookscript", "tags", "description", "hostpci", "usb",
        "virtiofs", "parallel", "serial", "dev", "args", "unused", "lock", "ivshmem",
    ]

    /// A guest's configuration as that of the drill's copy: it bears the label, has a name of its own
    /// and is unplugged from every network, from its first moment on.
    func configuration(_ bytes: [UInt8]) -> [UInt8] {
        var lines = ["#\(guestLabel)", "tags: \(Self.guestTag)"]
        for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
            if line.hasPrefix("#qmdump#") {
                lines.append(String(line))
                continue
            }
            guard !line.hasPrefix("#"), let colon = line.firstIndex(of: ":") else { continue }
            let key = line[..<colon]
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            var family = key
            while family.last?.isNumber == true { family.removeLast() }
            // A socket and a viewer's device are no hardware.
            let isHarmless = value == "socket" || value.hasPrefix("spice")
            let isDropped = Self.dropped.contains(String(family)) && !isHarmless
            if isDropped || key.hasPrefix("lxc.") { continue }
            if key == "name" || key == "hostname" {
                lines.append("\(key): \(Self.prefix(of: run))\(value)")
            } else if family == "net", key != family {
                let kept = value.split(separator: ",").filter { !$0.hasPrefix("link_down=") }
                lines.append("\(key): \((kept + ["link_down=1"]).joined(separator: ","))")
            } else {
                lines.append(String(line))
            }
        }
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }
}
