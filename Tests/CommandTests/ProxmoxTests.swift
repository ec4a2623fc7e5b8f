import FoundationEssentials
import Model
import TestSupport
import Testing

/// Virtual machines and a container on two nodes: they must come back from nothing, in order.
@Suite(
    "A cluster, one disaster",
    .enabled(if: ProxmoxLab.isPossible, "needs root, sshd and python3"))
struct ProxmoxTests {
    private static let services = """
        db: {proxmox: {vm: 101, node: {ssh: root@pve1}}}
        app: {proxmox: {name: app1, node: {ssh: root@pve1}}}
        jobs: {proxmox: {tag: batch, node: {ssh: root@pve1}}}
        files: {proxmox: {vm: 105, node: {ssh: root@pve2}}}
        """.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n")

    private func makeGuests(_ lab: ProxmoxLab) async throws {
        let seed = TestEnvironment.seed
        print("guests seed \(seed)")
        try lab.makeMachine(
            101, on: "pve1", disks: [("efidisk0", 540_672), ("scsi0", 6 << 20)],
            "agent: 1\nname: db1\nonboot: 1\nstartup: order=1\nbios: ovmf", seed: seed)
        try lab.makeMachine(
            102, on: "pve2", disks: [("scsi0", 3 << 20), ("tpmstate0", 4 << 20)],
            "agent: 1\nname: app1\nonboot: 1\nstartup: order=3", seed: seed &+ 1)
        try lab.makeMachine(
            103, on: "pve1", disks: [("virtio0", 70_144)],
            "name: jobs1\ntags: batch;nightly\nstartup: order=4,up=1", seed: seed &+ 2)
        try lab.makeContainer(105, on: "pve2", "onboot: 1\nstartup: order=2", seed: seed &+ 3)
        try lab.scratch.write("lab/firewall/101.fw", "[OPTIONS]\nenable: 1\n")
        try await lab.change("c['ha']['vm:102'] = 'started'; c['members']['103'] = 'shop'")
    }

    @Test("Three machines and a container come back in startup order with one command")
    func clusterComesBack() async throws {
        try await ProxmoxLab.with { lab in
            try await makeGuests(lab)
            try lab.write(configuration: Self.services)
            let disks = [
                ("pve1", "local-lvm/vm-101-disk-0"), ("pve1", "local-lvm/vm-101-disk-1"),
                ("pve2", "local-lvm/vm-102-disk-0"), ("pve2", "local-lvm/vm-102-disk-1"),
                ("pve1", "local-lvm/vm-103-disk-0"),
            ]
            var sums: [String] = []
            for (node, volume) in disks { sums.append(try await lab.sum(node, volume)) }
            let tree = try lab.tree("pve2", "local-zfs/subvol-105-disk-0")
            try require(await lab.dr.run("backup"), endsWith: .done)

            let dumps = try lab.calls().filter { $0.call.first == "vzdump" }
            #expect(dumps.map(\.node).sorted() == ["pve1", "pve1", "pve2", "pve2"])
            #expect(try lab.calls().allSatisfy { $0.call.first != "vzdump-waits" })

            try lab.destroyGuests()
            let began = try lab.calls().count
            try require(await lab.dr.run("restore", "--to", "here", "--yes"), endsWith: .done)
            for (disk, sum) in zip(disks, sums) {
                #expect(try await lab.sum(disk.0, disk.1) == sum, "\(disk.1)")
            }
            let back = try lab.tree("pve2", "local-zfs/subvol-105-disk-0")
            #expect(back.differences(from: tree).filter(isLoss) == [])
            for number in [101, 102, 103, 105] { #expect(lab.isRunning(number)) }
            let machine = try lab.configuration("pve1", "qemu-server", 101)
            #expect(machine.contains("BC:24:11:00:00:21") && !machine.contains("[before]"))
            #expect(try lab.configuration("pve2", "lxc", 105).contains("unprivileged: 1"))

            let calls = try lab.calls()[began...].map(\.call)
            let starts = calls.filter { ["qm", "pct"].contains($0[0]) && $0[1] == "start" }
            #expect(starts.map { $0[2] } == ["101", "105", "102", "103"])
            #expect(calls.allSatisfy { $0[0] != "violation" })
            // High availability gets its guest back when everything else is done.
            let last = try #require(calls.last { $0[0] == "pvesh" && $0[1] != "get" })
            #expect(last.contains { $0.hasSuffix("vm:102") }, "\(last)")
            let cluster = try String(
                decoding: Data(contentsOf: URL(filePath: lab.scratch.path("lab/cluster.json"))),
                as: UTF8.self)
            #expect(cluster.contains("\"vm:102\": \"started\""))
            #expect(cluster.contains("\"103\": \"shop\""))

            let document = try await lab.dr.run("report", "--json")
            try require(document, endsWith: .done)
            let report = try JSONDecoder().decode(
                RecoveryReport.self, from: Data(document.output))
            try report.validate()
            #expect(report.services.allSatisfy { $0.state == .recovered })
        }
    }

    @Test("A second night of unchanged machines adds next to nothing")
    func unchangedAddsLittle() async throws {
        try await ProxmoxLab.with { lab in
            try lab.makeMachine(
                101, on: "pve1", disks: [("scsi0", 24 << 20)], "agent: 1\nname: db1", seed: 7)
            try lab.write(
                configuration: "  db: {proxmox: {vm: 101, node: {ssh: root@pve1}}}")
            try require(await lab.dr.run("backup"), endsWith: .done)
            let first = try await storedBytes(lab)
            try require(await lab.dr.run("backup"), endsWith: .done)
            // Two records, a catalog and the guest's documents; none of the disk.
            #expect(try await storedBytes(lab) < first + 200_000)
            let list = try await lab.dr.run("snapshots", "--json")
            try require(list, endsWith: .done, saying: "file system")
        }
    }

    /// Whether a difference is more than what vzdump's own archives lack: the time of `etc`, where they
    /// have a directory that does not stay, and attributes that tar was not told to take.
    private func isLoss(_ difference: String) -> Bool {
        if difference.hasPrefix("etc: ") { return false }
        let text = difference.replacing("trusted.dr=root\\x20only, ", with: "")
        guard let path = text.firstRange(of: ": ") else { return true }
        let sides = text[path.upperBound...].split(separator: " <> ")
        return sides.count != 2 || sides[0] != sides[1]
    }

    private func storedBytes(_ lab: ProxmoxLab) async throws -> Int {
        let outcome = try await OutsideProgram.run([
            "sh", "-c",
            "cat \(lab.scratch.path("repo"))/packs/* $(find "
                + "\(lab.scratch.path("repo"))/packs -type f) 2>/dev/null | wc -c",
        ])
        return Int(outcome.text.filter(\.isNumber)) ?? 0
    }
}
