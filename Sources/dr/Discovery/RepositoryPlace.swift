import Engine
import Model

/// Where backups of a machine could go: a file system of their own, when there is one.
struct RepositoryPlace: Sendable {
    var path: String
    var remarks: [String]

    private static let standard = "/var/backups/dr"
    private static let parents = ["/mnt", "/media", "/backup", "/backups", "/srv"]
    private static let skipped: Set<String> = [
        "tmpfs", "proc", "sysfs", "overlay", "squashfs", "devtmpfs", "autofs", "iso9660", "ramfs",
        "nsfs", "cgroup", "cgroup2", "devpts", "mqueue",
    ]

    /// Looks at the mount table. May block.
    static func found() -> RepositoryPlace {
        let table = (try? FileSystem().read("/proc/self/mounts")) ?? []
        var best: (path: String, free: UInt64)?
        for line in String(decoding: table, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 3, !skipped.contains(String(fields[2])),
                !fields[3].split(separator: ",").contains("ro"), !fields[1].contains("\\")
            else { continue }
            let path = String(fields[1])
            guard parents.contains(where: { path == $0 || path.hasPrefix($0 + "/") }),
                FileSystem().isDirectory(path), let free = try? FileSystem().freeBytes(at: path),
                free > best?.free ?? 0
            else { continue }
            best = (path, free)
        }
        guard let best else {
            return RepositoryPlace(
                path: standard,
                remarks: [
                    "On the same disk as what it saves: enough to come back from a mistake, not from "
                        + "a broken disk or a lost machine. Better another disk or another machine's."
                ])
        }
        return RepositoryPlace(
            path: "\(best.path)/dr",
            remarks: [
                "\(printable(best.path.utf8)) has the most room, \(ByteCount(best.free)) free. If it "
                    + "is lost together with this machine, so are the backups."
            ])
    }
}
