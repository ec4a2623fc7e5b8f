import FoundationEssentials
import Model
import TestSupport
import Testing

/// What `--replace` must not take away from a cluster.
@Suite(
    "A cluster whose guests are replaced",
    .enabled(if: ProxmoxLab.isPossible, "needs root, sshd and python3"))
struct ProxmoxReplaceTests {
    private static let replace = ["restore", "--to", "here", "--yes", "--replace"]

    private func with(
        _ more: String = "name: db1", _ body: (ProxmoxLab) async throws -> Void
    ) async throws {
        try await ProxmoxLab.with { lab in
            try lab.makeMachine(
                101, on: "pve1", disks: [("scsi0", 1 << 20), ("scsi1", 70_144)], more, seed: 31)
            try lab.write(configuration: "  db: {proxmox: {vm: 101, node: {ssh: root@pve1}}}")
            try await body(lab)
        }
    }

    private func cluster(_ lab: ProxmoxLab) throws -> String {
        String(
            decoding: try Data(contentsOf: URL(filePath: lab.scratch.path("lab/cluster.json"))),
            as: UTF8.self)
    }

    private func change(
        _ lab: ProxmoxLab, _ node: String, _ kind: String, _ number: Int,
        _ body: (String) -> String
    ) throws {
        try lab.scratch.write(
            "lab/nodes/\(node)/\(kind)/\(number).conf",
            body(try lab.configuration(node, kind, number)))
    }

    @Test("Volumes that the snapshot does not hold keep their guests from being removed")
    func unheldVolumes() async throws {
        try await with("name: db1\ntags: all") { lab in
            try lab.write(configuration: "  all: {proxmox: {tag: all, node: {ssh: root@pve1}}}")
            let mount = "mp0: local-zfs:subvol-105-disk-1,mp=/data,size=1G\n"
            try lab.makeContainer(
                105, on: "pve2", "tags: all\n\(mount)mp1: /srv/shared,mp=/shared", seed: 32)
            try lab.scratch.makeDirectory("lab/storage/pve2/local-zfs/subvol-105-disk-1")
            try lab.scratch.write("lab/storage/pve2/local-zfs/subvol-105-disk-1/kept", "data")
            try change(lab, "pve1", "qemu-server", 101) {
                $0.replacing("disk-1,size=1G", with: "disk-1,backup=0,size=1G")
            }
            let sum = try await lab.sum("pve1", "local-lvm/vm-101-disk-1")
            try require(await lab.dr.run("backup"), endsWith: .done)
            try change(lab, "pve1", "qemu-server", 101) {
                "unused0: local-lvm:vm-101-disk-7\nide2: local:iso/x.iso,media=cdrom\n" + $0
            }
            let began = try lab.calls().count
            let refused = try await lab.dr.program(Self.replace).run()
            try require(
                refused, endsWith: .failed, saying: "scsi1 (local-lvm:vm-101-disk-1)",
                "unused0 (local-lvm:vm-101-disk-7)", "mp0 (local-zfs:subvol-105-disk-1)",
                "restore: {vm: …}")
            let text = refused.text + refused.errorText
            for key in ["scsi0", "ide2", "rootfs", "mp1"] { #expect(!text.contains("\(key) (")) }
            let calls = try lab.calls()[began...].map(\.call)
            #expect(calls.allSatisfy { $0[0] == "pvesh" && $0[1] == "get" }, "\(calls)")
            #expect(lab.isRunning(101) && lab.isRunning(105))

            // What the guests do not have any more is nobody's to destroy.
            try change(lab, "pve1", "qemu-server", 101) { text in
                text.split(separator: "\n").filter {
                    !$0.hasPrefix("scsi1:") && !$0.hasPrefix("unused0:")
                }.joined(separator: "\n") + "\n"
            }
            try change(lab, "pve2", "lxc", 105) { $0.replacing(mount, with: "") }
            try require(await lab.dr.program(Self.replace).run(), endsWith: .done)
            #expect(try await lab.sum("pve1", "local-lvm/vm-101-disk-1") == sum)
            #expect(
                try lab.names("lab/storage/pve2/local-zfs/subvol-105-disk-1") == ["kept"])
        }
    }

    @Test("A guest stays when pieces of the snapshot that would replace it are missing")
    func incomplete() async throws {
        try await with { lab in
            try require(await lab.dr.run("backup"), endsWith: .done)
            // Documents are those of before; what the disks hold now lies in packs of its own.
            try await shell("sleep 0.05; touch stamp; sleep 0.05", in: lab.scratch)
            try await shell(
                "head -c 1048576 /dev/urandom > lab/storage/pve1/local-lvm/vm-101-disk-0",
                in: lab.scratch)
            let sum = try await lab.sum("pve1", "local-lvm/vm-101-disk-0")
            try require(await lab.dr.run("backup"), endsWith: .done)
            try await shell(
                "find repo/packs -type f -newer stamp -size +500k -delete -print | grep .",
                in: lab.scratch)
            try require(
                await lab.dr.program(Self.replace).run(), endsWith: .failed,
                saying: "the guest that is there would be removed")
            #expect(try lab.calls().allSatisfy { !$0.call.contains("destroy") })
            #expect(try await lab.sum("pve1", "local-lvm/vm-101-disk-0") == sum)
            #expect(lab.isRunning(101))
        }
    }

    @Test("High availability gets back what it manages only since the snapshot")
    func managedSince() async throws {
        try await with { lab in
            try require(await lab.dr.run("backup"), endsWith: .done)
            try await lab.change("c['ha']['vm:101'] = 'stopped'")
            try require(await lab.dr.program(Self.replace).run(), endsWith: .done)
            #expect(try cluster(lab).contains("\"vm:101\": \"stopped\""))
            let report = try await lab.dr.run("report", "--json")
            #expect(report.text.contains("backup and replication jobs that named 101"), "\(report)")
        }
    }

    @Test("A guest that cannot be removed is handed back to high availability")
    func protected() async throws {
        try await with("name: db1\nprotection: 1") { lab in
            try await lab.change("c['ha']['vm:101'] = 'started'")
            try require(await lab.dr.run("backup"), endsWith: .done)
            try require(
                await lab.dr.program(Self.replace).run(), endsWith: .failed,
                saying: "protection mode enabled")
            #expect(try cluster(lab).contains("\"vm:101\": \"started\""))
        }
    }
}
