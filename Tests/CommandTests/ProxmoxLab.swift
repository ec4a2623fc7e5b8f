import FoundationEssentials
import Glibc
import Model
import Repository
import TestSupport
import Testing

/// Two nodes of a Proxmox VE that is none: `Tests/ProxmoxLab/pve-lab` behind two real sshd.
struct ProxmoxLab {
    let scratch: TemporaryDirectory
    var dr: DrBinary
    static let nodes = ["pve1", "pve2"]
    private static let commands = ["vzdump", "qmrestore", "qm", "pct", "pvesm", "pvesh", "ssh"]

    static let isPossible =
        TemporarySSHServer.isPossible && TestEnvironment.hasProgram("python3")
        && TestEnvironment.hasProgram("tar")

    /// Runs `body` with a lab, a repository and a `dr` that reaches both.
    static func with(_ body: (ProxmoxLab) async throws -> Void) async throws {
        try await TemporaryDirectory.with("lab1") { first in
            try await TemporaryDirectory.with("lab2") { second in
                try await body(try await ProxmoxLab(in: first, second))
            }
        }
    }

    private init(in scratch: TemporaryDirectory, _ other: TemporaryDirectory) async throws {
        self.scratch = scratch
        for directory in ["running", "started", "traps", "firewall", "tmp"] {
            try scratch.makeDirectory("lab/\(directory)")
        }
        var hosts = ""
        for (node, place) in zip(Self.nodes, [scratch, other]) {
            for kind in ["qemu-server", "lxc"] {
                try scratch.makeDirectory("lab/nodes/\(node)/\(kind)")
            }
            for storage in ["local-lvm", "local-zfs"] {
                try scratch.makeDirectory("lab/storage/\(node)/\(storage)")
            }
            try scratch.makeDirectory("bin/\(node)")
            for command in Self.commands {
                let file = try scratch.write(
                    "bin/\(node)/\(command)",
                    """
                    #!/bin/sh
                    export LAB='\(scratch.path("lab"))' LAB_NODE=\(node) LAB_COMMAND=\(command)
                    export LAB_SSH_CONFIG='\(scratch.path("ssh_config"))'
                    exec '\(try Self.python())' '\(Checkout.path("Tests/ProxmoxLab/pve-lab"))' "$@"

                    """)
                chmod(file, 0o755)
            }
            let server = try await TemporarySSHServer(
                in: place, programs: scratch.path("bin/\(node)"))
            hosts += """
                Host \(node)
                  HostName 127.0.0.1
                  Port \(server.port)
                  Include \(server.words[2])

                """
        }
        try scratch.write("ssh_config", hosts)
        try scratch.write(
            "lab/cluster.json",
            """
            {"nodes": {"pve1": {"ip": "192.0.2.1"}, "pve2": {"ip": "192.0.2.2"}}, "quorate": true,
             "storages": {
               "local-lvm": {"type": "lvmthin", "content": "images,rootdir", "avail": 99000000000},
               "local-zfs": {"type": "zfspool", "content": "images,rootdir", "avail": 99000000000}},
             "bridges": ["vmbr0"], "pools": ["shop"], "members": {}, "ha": {}}
            """)
        dr = try DrBinary(in: scratch)
        dr.environment["DR_CONFIG"] = "dr.yaml"
        dr.environment["DR_PASSWORD"] = "correct horse battery staple"
        dr.environment["DR_SSH_COMMAND"] = "ssh -F \(scratch.path("ssh_config"))"
        _ = try await BackupRepository.create(
            in: DirectoryStore(root: scratch.path("repo")),
            credential: .password("correct horse battery staple"), label: "test", scryptCost: 2)
    }

    /// The interpreter itself: what stands in `PATH` may be a shim that wants a home.
    private static func python() throws -> String {
        for path in ["/usr/bin/python3", "/usr/local/bin/python3"] where access(path, X_OK) == 0 {
            return path
        }
        return "python3"
    }

    // MARK: Guests

    /// - Parameter more: Other keys than services.
    func write(configuration services: String, _ more: String = "") throws {
        try scratch.write(
            "dr.yaml",
            "repository: repo\nbackup: {attempts: 1}\n\(more)\nservices:\n\(services)\n")
    }

    /// Makes a machine with disks of some data between holes.
    ///
    /// - Parameter disks: Bytes of each, by its key.
    func makeMachine(
        _ number: Int, on node: String, disks: [(key: String, bytes: Int)], _ more: String,
        seed: UInt64
    ) throws {
        var random = SeededRandom(seed: seed)
        var text = "#A machine of the lab\n\(more)\n"
        for (index, disk) in disks.enumerated() {
            let name = "vm-\(number)-disk-\(index)"
            try fill("lab/storage/\(node)/local-lvm/\(name)", disk.bytes, &random)
            text += "\(disk.key): local-lvm:\(name),size=1G\n"
        }
        text += "net0: virtio=BC:24:11:00:00:\(number % 90 + 10),bridge=vmbr0\n"
        // A snapshot's section is not part of what is dumped.
        text += "[before]\nmemory: 1\n"
        try scratch.write("lab/nodes/\(node)/qemu-server/\(number).conf", text)
        try scratch.write("lab/running/\(number)", "0")
    }

    private func fill(_ name: String, _ count: Int, _ random: inout SeededRandom) throws {
        let path = scratch.path(name)
        let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
        guard descriptor >= 0, ftruncate(descriptor, off_t(count)) == 0 else {
            throw OutsideProgram.Problem("make \(path)")
        }
        defer { close(descriptor) }
        var position = 0
        while position < count {
            let piece = random.bytes(
                min(Int.random(in: 1...40_000, using: &random), count - position))
            _ = piece.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress, $0.count, off_t(position))
            }
            position += piece.count + Int.random(in: 0...300_000, using: &random)
        }
    }

    /// Makes a container with a small tree.
    func makeContainer(_ number: Int, on node: String, _ more: String, seed: UInt64) throws {
        let volume = "subvol-\(number)-disk-0"
        let root = try scratch.makeDirectory("lab/storage/\(node)/local-zfs/\(volume)")
        try scratch.makeDirectory("lab/storage/\(node)/local-zfs/\(volume)/etc")
        try scratch.write("lab/storage/\(node)/local-zfs/\(volume)/etc/hostname", "ct\n")
        try scratch.makeDirectory("lab/storage/\(node)/local-zfs/\(volume)/srv")
        var maker = TreeMaker(seed: seed)
        try maker.make(at: "\(root)/srv/tree", entries: 60)
        try scratch.write(
            "lab/nodes/\(node)/lxc/\(number).conf",
            """
            \(more)
            hostname: ct\(number)
            net0: name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:01:\(number % 90 + 10)
            rootfs: local-zfs:\(volume),size=2G
            unprivileged: 1

            """)
        try scratch.write("lab/running/\(number)", "0")
    }

    /// Everything of the guests is gone, as after the nodes' disks were.
    func destroyGuests() throws {
        for node in Self.nodes {
            for directory in [
                "nodes/\(node)/qemu-server", "nodes/\(node)/lxc", "storage/\(node)/local-lvm",
                "storage/\(node)/local-zfs",
            ] {
                try OutsideProgram(["rm", "-rf", scratch.path("lab/\(directory)")]).runSync()
                try scratch.makeDirectory("lab/\(directory)")
            }
        }
        for name in try names("lab/running") { unlink(scratch.path("lab/running/\(name)")) }
    }

    func names(_ directory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: scratch.path(directory)).sorted()
    }

    /// SHA-256 of a disk, or what `sha256sum` says in its place.
    func sum(_ node: String, _ volume: String) async throws -> String {
        let path = scratch.path("lab/storage/\(node)/\(volume)")
        return String(try await OutsideProgram.run(["sha256sum", path]).text.prefix(64))
    }

    func tree(_ node: String, _ volume: String) throws -> TreeFingerprint {
        try TreeFingerprint(
            of: scratch.path("lab/storage/\(node)/\(volume)"), aspects: .all.subtracting(.top))
    }

    func configuration(_ node: String, _ kind: String, _ number: Int) throws -> String {
        let path = scratch.path("lab/nodes/\(node)/\(kind)/\(number).conf")
        return String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
    }

    func isRunning(_ number: Int) -> Bool {
        access(scratch.path("lab/running/\(number)"), F_OK) == 0
    }

    func trap(_ name: String, _ text: String = "1") throws {
        try scratch.write("lab/traps/\(name)", text)
    }

    /// Changes the cluster by a piece of Python; `c` is what it says of itself.
    func change(_ statement: String) async throws {
        let script = """
            import json, sys
            c = json.load(open(sys.argv[1]))
            \(statement)
            json.dump(c, open(sys.argv[1], "w"))
            """
        let outcome = try await OutsideProgram.run([
            try Self.python(), "-c", script, scratch.path("lab/cluster.json"),
        ])
        try #require(outcome.status == 0, "\(outcome)")
    }

    /// One call of the lab's commands.
    struct Call: Decodable {
        var time: Double
        var node: String
        var call: [String]
    }

    /// All calls so far, in their order.
    func calls() throws -> [Call] {
        let bytes = try Data(contentsOf: URL(filePath: scratch.path("lab/calls")))
        return try bytes.split(separator: UInt8(ascii: "\n")).map {
            try JSONDecoder().decode(Call.self, from: Data($0))
        }
    }

}

extension OutsideProgram {
    /// Runs it to its end on this thread; it must end well.
    fileprivate func runSync() throws {
        let line = words.map { "'\($0)'" }.joined(separator: " ")
        guard system(line) == 0 else { throw Problem(line) }
    }
}
