public import Model

/// How workloads are laid out in a directory they are restored to: `<directory>/<service>/<name>`.
///
/// The service comes first because two services may each have a workload `files`.
public enum ReplayDirectory {
    /// The place of a snapshot's workload.
    ///
    /// Names come from a repository: what would lead out of the directory is made harmless.
    public static func path(_ directory: String, for snapshot: SnapshotRecord) -> String {
        let id = snapshot.workload.text
        let prefix = "\(snapshot.service.text)/\(snapshot.kind.rawValue):"
        let name = id.hasPrefix(prefix) ? String(id.dropFirst(prefix.count)) : id
        return join(directory, [fileName(snapshot.service.text)] + components(name))
    }

    /// `path`, an absolute path of the captured machine, beneath `directory`.
    public static func path(_ directory: String, beneath path: String) -> String {
        join(directory, components(path))
    }

    /// `name` as the name of one file: no slash, and nothing that is hidden or means a directory.
    public static func fileName(_ name: String) -> String {
        var text = ""
        for byte in name.utf8.prefix(200) {
            switch byte {
            case UInt8(ascii: "/"), UInt8(ascii: "%"), 0..<32, 127:
                text += "%" + Hexadecimal.encode([byte])
            default: text.unicodeScalars.append(Unicode.Scalar(byte))
            }
        }
        let bytes = text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        text = String(decoding: bytes, as: UTF8.self)
        if text.isEmpty { return "%" }
        return text.hasPrefix(".") ? "%2e" + text.dropFirst() : text
    }

    private static func components(_ path: String) -> [String] {
        path.split(separator: "/").filter { $0 != "." }.map { $0 == ".." ? "%2e%2e" : String($0) }
    }

    private static func join(_ directory: String, _ components: [String]) -> String {
        let base = directory.hasSuffix("/") ? String(directory.dropLast()) : directory
        return ([base] + components).joined(separator: "/")
    }
}
