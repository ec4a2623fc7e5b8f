// How nights go: the keys of `backup:`, and what services say of their own captures.
extension ConfigurationShape {
    static let night = RecordShape(keys: [
        KeyShape(
            name: "jobs", shape: .integer(1...32),
            summary: "How many workloads are captured at once", absent: "4", example: "4"),
        KeyShape(
            name: "jobs_per_host", shape: .integer(1...32),
            summary: "How many workloads of one machine are captured at once", absent: "2",
            example: "1"),
        KeyShape(
            name: "deadline", shape: .span,
            summary: "After this nothing more is begun, and what still runs is ended",
            absent: "no limit", example: "6h"),
        KeyShape(
            name: "timeout", shape: .span,
            summary: "The longest capture of one workload; what takes longer has failed",
            absent: "no limit", example: "2h"),
        KeyShape(
            name: "attempts", shape: .integer(1...10),
            summary: "How often a capture is begun if what made it fail may pass, such as a "
                + "server that restarts", absent: "3", example: "5"),
        KeyShape(
            name: "pause", shape: .span,
            summary: "The pause before the second attempt; each further one is four times as long, "
                + "5 minutes at most", absent: "10s", example: "30s"),
        KeyShape(
            name: "check", shape: .integer(0...100),
            summary: "How many percent of the repository are read back and checked after a run, "
                + "another part each time; never longer than a twentieth of the run", absent: "0",
            example: "2"),
        KeyShape(
            name: "hooks", shape: .record(hooks),
            summary: "Programs around the whole run; where `before` fails nothing is saved",
            absent: "none", example: "{before: [mount, /mnt/backup]}"),
    ])

    static let hooks = RecordShape(
        keys: [
            KeyShape(
                name: "before", shape: .words,
                summary: "Runs first; if it fails, nothing is captured", absent: "none",
                example: "[systemctl, stop, app]"),
            KeyShape(
                name: "after", shape: .words,
                summary: "Runs last, however it went, also when `dr` is interrupted",
                absent: "none", example: "[systemctl, start, app]"),
            KeyShape(
                name: "failed", shape: .words, summary: "Runs when something failed",
                absent: "none", example: "[logger, \"backup of app failed\"]"),
            KeyShape(
                name: "timeout", shape: .span,
                summary: "What runs longer is ended and counts as failed", absent: "5m",
                example: "10m"),
        ])

    static let hooksKey = KeyShape(
        name: "hooks", shape: .record(hooks),
        summary: "Programs around the capture of the service; they run without a shell, with "
            + "`DR_SERVICE` and, later, `DR_RESULT` (`saved` or `failed`) in their environment",
        absent: "none", example: "{before: [systemctl, stop, app], after: [systemctl, start, app]}")

    static let priorityKey = KeyShape(
        name: "priority", shape: .integer(0...100),
        summary: "What has more is captured earlier", absent: "50", example: "90")

    static let timeoutKey = KeyShape(
        name: "timeout", shape: .span,
        summary: "The longest capture of each of its workloads", absent: "`backup.timeout`",
        example: "30m")

    static let plausibilityKey = KeyShape(
        name: "plausibility", shape: .record(plausibility),
        summary: "By how many percent a snapshot may be smaller than the last good one before it "
            + "counts as suspicious",
        absent: "the common `plausibility`", example: "{rows: 20}")

    static let commonPlausibilityKey = KeyShape(
        name: "plausibility", shape: .record(plausibility), summary: plausibilityKey.summary,
        absent: "50 of each", example: "{rows: 20, bytes: 40, files: 40}")

    private static let plausibility = RecordShape(keys: [
        percent("rows", "Rows of the tables of a database"),
        percent("bytes", "Bytes of a dump, a volume, a tree or a program's output"),
        percent("files", "Files of a volume or a tree"),
    ])

    private static func percent(_ name: String, _ summary: String) -> KeyShape {
        KeyShape(
            name: name, shape: .integer(0...100), summary: summary, absent: "50", example: "20")
    }
}
