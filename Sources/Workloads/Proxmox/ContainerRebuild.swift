import Engine
import Model

/// Rebuilds the archive of a container from a snapshot, for `pct restore`.
struct ContainerRebuild: Sendable {
    let source: any ReplaySource
    let guest: SnapshotGuest
    /// The drill that it is a copy for; nil for a restore.
    let isolation: DrillIsolation?

    /// Writes the archive to `descriptor`: the configuration first, as vzdump has it.
    ///
    /// - Returns: The number of bytes of its files.
    func write(to descriptor: Int32) async throws -> UInt64 {
        let names = [SnapshotGuest.containerConfiguration, SnapshotGuest.containerFirewall]
        var leading: [(path: String, bytes: [UInt8])] = []
        for name in names where source.snapshot.part(guest.prefix + name) != nil {
            var bytes = try await source.document(guest.prefix + name)
            if let isolation, name == SnapshotGuest.containerConfiguration {
                bytes = isolation.configuration(bytes)
            }
            leading.append(("./\(SnapshotGuest.containerDirectory)\(name)", bytes))
        }
        let (files, asOf) = (leading, source.snapshot.asOf)
        try await BlockingPool.shared.run {
            let tar = TarWriter { bytes in
                try withoutBrokenPipeSignal {
                    try FileSystem().write(bytes, to: descriptor, path: "pipe")
                }
            }
            for (path, bytes) in files {
                var entry = TreeEntry(path: [], type: .file)
                entry.mode = 0o600
                entry.modified = asOf
                entry.size = UInt64(bytes.count)
                try tar.begin(entry, name: Array(path.utf8))
                try bytes.withUnsafeBytes { try tar.data($0) }
                try tar.end()
            }
            try tar.pause()
        }
        let summary = try await source.archive(
            guest.prefix + SnapshotGuest.root, called: ".", to: descriptor)
        if let problem = summary.problems.first {
            throw Failure(
                .damaged, problem, hint: "run 'dr check --read-data' to see what is affected",
                side: .repository)
        }
        return summary.bytes.bytes
    }

    /// What `pct restore` does not find out from a pipe, and what does not come back.
    func options(_ configuration: GuestConfiguration, _ place: GuestPlace) throws -> (
        words: [String], notes: [String]
    ) {
        var words: [String] = []
        var notes: [String] = []
        for mount in configuration.mounts {
            guard mount.key == "rootfs" || mount.options["backup"] == "1",
                let storage = place.storage ?? mount.storage
            else {
                notes.append(
                    "\(mount.key) at \(printable((mount.options["mp"] ?? "").utf8)) was not dumped "
                        + "and is not made again: \(printable(mount.place.utf8))")
                continue
            }
            let size = Self.gibibytes(mount.options["size"], atLeast: contentBytes)
            let kept = mount.options.filter { $0.key != "size" }.sorted { $0.key < $1.key }
            words += [
                "--\(mount.key)",
                (["\(storage):\(size)"] + kept.map { "\($0.key)=\($0.value)" })
                    .joined(separator: ","),
            ]
        }
        guard words.contains("--rootfs") else {
            throw Failure(
                .failed,
                "the configuration of container \(guest.record.number) names no storage "
                    + "for its root file system",
                hint: "say which one gets it: restore: {storage: …}", side: .target)
        }
        words += ["--unprivileged", configuration.isUnprivileged ? "1" : "0"]
        return (words, notes)
    }

    private var contentBytes: UInt64 {
        source.snapshot.part(guest.prefix + SnapshotGuest.root)?.bytes.bytes ?? 0
    }

    /// A size as `pct` takes it; where the configuration has none, half as much again as there is.
    private static func gibibytes(_ text: String?, atLeast content: UInt64) -> String {
        let unit = UInt64(1) << 30
        let bytes = text.flatMap(GuestConfiguration.bytes) ?? (content + content / 2 + unit)
        if bytes % unit == 0 { return "\(bytes / unit)" }
        // Thousandths, rounded up.
        let thousandths = (bytes * 1000 + unit - 1) / unit
        let rest = "\(thousandths % 1000)"
        return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
    }
}
