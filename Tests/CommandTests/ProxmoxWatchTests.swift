import FoundationEssentials
import Model
import TestSupport
import Testing

/// What is said of a cluster before something happens: by `dr doctor` and `dr discover`.
@Suite(
    "A cluster, looked at",
    .enabled(if: ProxmoxLab.isPossible, "needs root, sshd and python3"))
struct ProxmoxWatchTests {
    private func with(_ body: (ProxmoxLab) async throws -> Void) async throws {
        try await ProxmoxLab.with { lab in
            try lab.makeMachine(
                101, on: "pve1", disks: [("scsi0", 1 << 20)],
                "agent: 1\nname: db1\nstartup: order=2,up=5", seed: 21)
            try lab.makeMachine(
                102, on: "pve2", disks: [("scsi0", 1 << 20), ("scsi1", 1 << 20)], "name: app1",
                seed: 22)
            try lab.makeMachine(
                103, on: "pve2", disks: [("scsi0", 70_144)], "name: jobs1\ntags: batch", seed: 23)
            try lab.makeMachine(
                900, on: "pve1", disks: [("scsi0", 70_144)], "name: golden\ntemplate: 1", seed: 24)
            try lab.makeContainer(105, on: "pve1", "startup: order=1", seed: 25)
            let file = "lab/nodes/pve2/qemu-server/102.conf"
            try lab.scratch.write(
                file,
                try lab.configuration("pve2", "qemu-server", 102).replacing(
                    "disk-1,size=1G", with: "disk-1,backup=0,size=1G"))
            try await body(lab)
        }
    }

    /// The parts of a document, each in its result.
    private func expect(
        _ outcome: OutsideProgram.Outcome, _ texts: [String],
        at place: SourceLocation = #_sourceLocation
    ) {
        for text in texts {
            #expect(outcome.text.contains(text), "\(text)\n\(outcome)", sourceLocation: place)
        }
    }

    @Test("dr doctor names what keeps guests from being saved, and the command that mends it")
    func doctor() async throws {
        try await with { lab in
            try lab.write(
                configuration: """
                      db: {proxmox: {vm: 101, node: {ssh: root@pve1}}}
                      app: {proxmox: {name: app1, node: {ssh: root@pve2}}}
                      gone: {proxmox: {vm: 999, node: {ssh: root@pve1}}}
                      nas: {proxmox: {vm: 105, exports: \(lab.scratch.path("lab/tmp"))}}
                    """)
            let found = try await lab.dr.run("doctor")
            #expect(found.status == 1)
            expect(
                found,
                [
                    "ok     Proxmox VE: root@pve1 answers: Proxmox VE 9.2, 2 of 2 nodes online, "
                        + "with quorum\n",
                    "ok     db/proxmox:101: 101 db1 on pve1\n",
                    "ok     app/proxmox:app1: 102 app1 on pve2\n",
                    "advice app/proxmox:app1: guest 102 (app1) has no guest agent",
                    "then on pve2: qm set 102 --agent enabled=1",
                    "wrong  gone/proxmox:999: there is no guest 999 in the cluster of root@pve1",
                    "hint: it knows: 101 db1",
                    "wrong  nas/proxmox:105:", "has no vzdump file of guest 105",
                    "advice coverage: guests not saved: 103 jobs1 on pve2\n",
                    "proxmox: {vm: 103}",
                ])
            // Two ways into one cluster are one cluster.
            #expect(found.text.split(separator: "with quorum").count == 2, "\(found)")
            #expect(!found.text.contains("root@pve2 answers"), "\(found)")
        }
    }

    @Test("dr doctor finds a cluster in trouble, locks, silent agents and missing programs")
    func trouble() async throws {
        try await with { lab in
            try lab.write(
                configuration: """
                      db: {proxmox: {vm: 101, node: {ssh: root@pve1}, fleecing: local-zfs}}
                      app: {proxmox: {vm: 102, node: {ssh: root@pve1}, fleecing: nowhere}}
                      jobs: {proxmox: {tag: batch, node: {ssh: root@pve1}}}
                      files: {proxmox: {vm: 105, node: {ssh: root@pve1}}}
                      lost: {proxmox: {vm: 998, node: {ssh: root@nowhere.invalid}}}
                    """)
            // Started in the far future of the lab's clock: the agent is not up yet.
            try lab.scratch.write("lab/running/101", "1e12")
            try await lab.change("c['quorate'] = False; c['version'] = '7.4.1'")
            let jobs = try lab.configuration("pve2", "qemu-server", 103)
            try lab.scratch.write("lab/nodes/pve2/qemu-server/103.conf", "lock: backup\n" + jobs)
            try await OutsideProgram.run(["rm", lab.scratch.path("bin/pve2/qmrestore")])
            let found = try await lab.dr.run("doctor")
            #expect(found.status == 1)
            expect(
                found,
                [
                    "the cluster of root@pve1 has no quorum", "pvecm expected 1",
                    "advice Proxmox VE: root@pve1 runs Proxmox VE 7.4, which is too old",
                    "advice db/proxmox:101: the guest agent of guest 101 (db1) does not answer",
                    "systemctl enable --now qemu-guest-agent",
                    "wrong  app/proxmox:102: there is no storage nowhere on pve2 for fleecing",
                    "hint: name one of: local-lvm, local-zfs",
                    "wrong  jobs/proxmox:tag-batch: guest 103 (jobs1) is locked (backup)",
                    "qm unlock 103, on pve2",
                    "wrong  Proxmox VE: the node pve2 has no qmrestore in PATH",
                    "ok     files/proxmox:105: 105 ct105 on pve1\n",
                    "wrong  Proxmox VE: ssh to root@nowhere.invalid failed",
                    "ok     coverage: every guest in the cluster of root@pve1 is saved\n",
                ])
            try await lab.change("c['quorate'] = True; c['nodes']['pve2']['offline'] = True")
            expect(
                try await lab.dr.run("doctor"),
                [
                    "the node pve2 is offline",
                    "wrong  jobs/proxmox:tag-batch: guest 103 lives on pve2, which is offline",
                ])
        }
    }

    @Test("What dr discover writes on a node is saved as it is, and later it says what is new")
    func discover() async throws {
        try await with { lab in
            var dr = lab.dr
            dr.environment["PATH"] =
                lab.scratch.path("bin/pve1") + ":" + (dr.environment["PATH"] ?? "/usr/bin:/bin")
            let only = [
                "--only", "db1", "--only", "app1", "--only", "golden", "--only", "ct*",
            ]
            let found = try await dr.program(
                ["discover", "--repository", lab.scratch.path("repo")] + only
            ).run()
            try require(found, endsWith: .done)
            let text = found.text.replacing("\n  #   ", with: " ").replacing("\n#   ", with: " ")
            for part in [
                "# Virtual machine 101 of Proxmox VE on pve1, running.\n",
                "# Dumped with it: scsi0 on local-lvm (1G).\n",
                "# It starts as number 2, with 5 s behind it: a restore keeps that order by itself.",
                "  db1:\n    proxmox: {vm: 101}\n", "  app1:\n    proxmox: {vm: 102}\n",
                "  ct105:\n    proxmox: {vm: 105}\n",
                "qm set 102 --agent enabled=1",
                "# - vm 102 app1: scsi1 is excluded from dumps",
                "# - virtual machine 900 golden on pve1: it is a template",
            ] { #expect(text.contains(part), "\(part)\n\(found)") }
            // In the order in which they start; nothing is said to need the other.
            let places = ["ct105:", "db1:", "app1:"].map { text.firstRange(of: "  \($0)\n") }
            let starts = places.compactMap { $0?.lowerBound }
            #expect(starts.count == 3 && starts == starts.sorted())
            #expect(!text.contains("    after:"))

            try lab.scratch.write("dr.yaml", found.output)
            try require(await dr.run("backup"), endsWith: .done)
            let dumps = try lab.calls().filter { $0.call.first == "vzdump" }.map {
                "\($0.call[1]) \($0.node)"
            }
            #expect(dumps.sorted() == ["101 pve1", "102 pve2", "105 pve1"])

            try require(
                await dr.program(["discover"] + only).run(), endsWith: .done,
                saying: "covers everything that was found")
            let new = try await dr.program(["discover", "--diff", "--only", "jobs1"] + only)
                .run()
            try require(new, endsWith: .done)
            #expect(new.text.contains("  jobs1:\n    proxmox: {vm: 103}\n"), "\(new)")
            #expect(!new.text.contains("{vm: 101}") && !new.text.contains("repository:"))
        }
    }
}
