// Virtual machines and containers of Proxmox VE.
extension ConfigurationShape {
    static let proxmoxKey = KeyShape(
        name: "proxmox", shape: .record(proxmox),
        summary: "Virtual machines and containers of a Proxmox VE cluster",
        example: "{vm: 105, node: {ssh: root@pve1.example.org}}")

    private static let numbers = 100...999_999_999

    private static let proxmox = RecordShape(
        keys: [
            KeyShape(
                name: "vm", shape: .integer(numbers),
                summary: "A virtual machine or container by its number", example: "105"),
            KeyShape(
                name: "name", shape: .text(.any),
                summary: "A virtual machine or container by its name", example: "web1"),
            KeyShape(
                name: "pool", shape: .text(.any), summary: "All guests of a pool",
                example: "shop"),
            KeyShape(
                name: "tag", shape: .text(.any), summary: "All guests that have a tag",
                example: "important"),
            KeyShape(
                name: "node", shape: .record(node),
                summary: "A node of the cluster; guests may live on any of its nodes",
                absent: "this machine", example: "{ssh: root@pve1.example.org}"),
            KeyShape(
                name: "exports", shape: .text(.path),
                summary:
                    "A directory of vzdump's files; the newest one is taken instead of dumping",
                absent: "the guest is dumped", example: "/mnt/pve/nas/dump"),
            KeyShape(
                name: "mode", shape: .choice(["snapshot", "suspend", "stop"]),
                summary: "How vzdump takes a running guest", absent: "snapshot", example: "stop"),
            KeyShape(
                name: "fleecing", shape: .text(.any),
                summary:
                    "The storage that keeps what a virtual machine overwrites during the dump, "
                    + "so that it need not wait", absent: "none", example: "local-lvm"),
            KeyShape(
                name: "bwlimit", shape: .integer(0...1_000_000_000),
                summary: "How fast the guest is read, in KiB a second", absent: "no limit",
                example: "200000"),
            KeyShape(
                name: "images", shape: .choice(["raw", "qcow2", "vma"]),
                summary: "What disks become in a directory", absent: "raw, with their holes",
                example: "qcow2"),
            KeyShape(
                name: "restore", shape: .record(placement),
                summary: "Where the guests come back", absent: "where they were",
                example: "{vm: 9105, storage: local-zfs}"),
        ],
        exactlyOne: ["vm", "name", "pool", "tag"])

    private static let node = RecordShape(keys: [
        KeyShape(
            name: "ssh", shape: .text(.any), summary: "How ssh reaches it", isRequired: true,
            example: "root@pve1.example.org")
    ])

    private static let placement = RecordShape(
        keys: [
            KeyShape(
                name: "vm", shape: .integer(numbers), summary: "The number it gets",
                absent: "its own", example: "9105"),
            KeyShape(
                name: "offset", shape: .integer(0...900_000_000),
                summary: "Added to the number of each guest", absent: "0", example: "9000"),
            KeyShape(
                name: "storage", shape: .text(.any), summary: "The storage of all its disks",
                absent: "where each was", example: "local-zfs"),
            KeyShape(
                name: "node", shape: .text(.any), summary: "The node that gets it",
                absent: "its own, or the one in `node` if that is gone", example: "pve2"),
            KeyShape(
                name: "pool", shape: .text(.any), summary: "The pool that gets it",
                absent: "its own", example: "drill"),
            KeyShape(
                name: "unique", shape: .flag,
                summary: "New network addresses and a new identity for a copy",
                absent: "only while the original exists", example: "true"),
            KeyShape(
                name: "start", shape: .flag, summary: "Start it, and wait for it",
                absent: "if it ran, or starts with its node", example: "false"),
            KeyShape(
                name: "wait", shape: .span,
                summary: "How long it may take to run, or its guest agent to answer",
                absent: "5m", example: "10m"),
            KeyShape(
                name: "bwlimit", shape: .integer(0...1_000_000_000),
                summary: "How fast it is written, in KiB a second", absent: "no limit",
                example: "200000"),
        ],
        atMostOne: ["vm", "offset"])
}
