import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// Copies of virtual machines and containers beside the ones that live.
@Suite(
    "Drills of guests",
    .enabled(if: ProxmoxLab.isPossible, "needs root, sshd and python3"))
struct DrillGuestTests {
    /// What must be the same after a drill.
    private struct Live: Equatable {
        var configurations: [String: String] = [:]
        var disks: [String: String] = [:]
        var running: [String] = []
        var cluster: String
    }

    private static let services = """
          db: {proxmox: {vm: 101, node: {ssh: root@pve1}, restore: {wait: 3s}}}
          batch: {proxmox: {tag: batch, node: {ssh: root@pve1}}, after: [db]}
        """

    private func with(_ body: (ProxmoxLab) async throws -> Void) async throws {
        try await ProxmoxLab.with { lab in
            try lab.makeMachine(
                101, on: "pve1", disks: [("scsi0", 6 << 20)],
                "agent: 1\nname: db1\nonboot: 1\nprotection: 1\nhostpci0: 01:00.0\n"
                    + "hookscript: local:snippets/hook.pl", seed: 31)
            try lab.makeContainer(
                105, on: "pve2", "tags: batch\nmp0: /srv/shared,mp=/mnt\nlxc.cap.drop: ", seed: 32)
            try lab.scratch.write("lab/firewall/101.fw", "[OPTIONS]\nenable: 1\n")
            try await lab.change("c['ha']['vm:101'] = 'started'; c['members']['105'] = 'shop'")
            try lab.write(
                configuration: Self.services,
                "drill: {directory: \(lab.scratch.path), guests: {from: 9900, to: 9909}}")
            try require(await lab.dr.run("backup"), endsWith: .done)
            try await body(lab)
        }
    }

    private func live(_ lab: ProxmoxLab) async throws -> Live {
        let cluster = try Data(contentsOf: URL(filePath: lab.scratch.path("lab/cluster.json")))
        // The lab writes it anew, with other spaces.
        var live = Live(
            cluster: String(decoding: cluster, as: UTF8.self).filter { !$0.isWhitespace })
        for node in ProxmoxLab.nodes {
            for kind in ["qemu-server", "lxc"] {
                for name in try lab.names("lab/nodes/\(node)/\(kind)") {
                    let number = try #require(Int(name.prefix { $0 != "." }))
                    live.configurations["\(node)/\(number)"] = try lab.configuration(
                        node, kind, number)
                }
            }
            for storage in ["local-lvm", "local-zfs"] {
                for volume in try lab.names("lab/storage/\(node)/\(storage)") {
                    live.disks["\(node)/\(volume)"] =
                        storage == "local-lvm"
                        ? try await lab.sum(node, "\(storage)/\(volume)")
                        : "\(try lab.tree(node, "\(storage)/\(volume)"))"
                }
            }
        }
        live.running = try lab.names("lab/running") + lab.names("lab/firewall")
        return live
    }

    @Test("Copies start unplugged under numbers of their own, answer, and are gone again")
    func copies() async throws {
        try await with { lab in
            let before = try await live(lab)
            let began = try lab.calls().count
            let drill = try await lab.dr.run("drill", "--yes", "--json")
            try require(drill, endsWith: .done)
            #expect(try await live(lab) == before)

            let calls = try lab.calls()[began...]
            let made = calls.filter { $0.call[0] == "qmrestore" || $0.call[1] == "restore" }
            #expect(made.map(\.node).sorted() == ["pve1", "pve2"])
            #expect(made.allSatisfy { $0.call.joined(separator: " ").contains("--unique 1") })
            #expect(made.allSatisfy { !$0.call.contains("--pool") })
            // Nothing but the copies was changed by anyone.
            for call in calls.map(\.call) where ["qm", "pct"].contains(call[0]) {
                #expect(call.contains("9900") || call.contains("9901"), "\(call)")
            }
            #expect(calls.allSatisfy { $0.call[0] != "pvesh" || $0.call[1] != "set" })
            #expect(calls.contains { $0.call.contains("/nodes/pve1/qemu/9900/agent/ping") })

            for number in [9900, 9901] {
                let text = try String(
                    decoding: Data(
                        contentsOf: URL(filePath: lab.scratch.path("lab/started/\(number)"))),
                    as: UTF8.self)
                let lines = text.split(separator: "\n")
                #expect(lines.contains("tags: dr-drill"), "\(text)")
                let networks = lines.filter { $0.hasPrefix("net") }
                #expect(networks.count == 1 && networks[0].hasSuffix(",link_down=1"), "\(text)")
                for address in ["BC:24:11:00:00:21", "BC:24:11:00:01:25"] {
                    #expect(!text.contains(address), "\(text)")
                }
                #expect(text.contains("name: drill-"), "\(text)")
                for key in ["onboot", "protection", "hostpci", "hookscript", "mp0", "lxc."] {
                    #expect(!lines.contains { $0.hasPrefix(key) }, "\(key): \(text)")
                }
            }
            #expect(drill.text.contains("guest 9900") && drill.text.contains("guest 9901"))
        }
    }

    @Test(
        "A copy that never answers fails the drill, and is gone all the same",
        .enabled(if: TestEnvironment.isFull, "a minute of waiting; --full"))
    func neverAnswers() async throws {
        try await with { lab in
            let before = try await live(lab)
            try lab.trap("agent-9900", "always")
            try require(
                await lab.dr.run("drill", "--yes"), endsWith: .verificationFailed,
                saying: "guest 9900 did not come up within 3")
            #expect(try await live(lab) == before)
        }
    }

    @Test("What a killed drill has left is found, half made or running, and nothing else is")
    func killed() async throws {
        try await with { lab in
            let before = try await live(lab)
            var random = SeededRandom.announced("moment of death")
            let moments = ["lab/nodes/pve1/qemu-server/9900.conf", "lab/running/9900"]
            for moment in TestEnvironment.isFull
                ? moments : [moments.randomElement(using: &random)!]
            {
                let running = try lab.dr.start("drill", "--yes", "--quiet")
                let end = ContinuousClock.now + .seconds(60)
                while access(lab.scratch.path(moment), F_OK) != 0, ContinuousClock.now < end {
                    try await Task.sleep(for: .milliseconds(5))
                }
                running.signal(SIGKILL)
                _ = try await running.outcome()
                #expect(access(lab.scratch.path(moment), F_OK) == 0)
                try require(
                    await lab.dr.run("drill", "--cleanup"), endsWith: .done,
                    saying: "removed guest 9900")
                #expect(try await live(lab) == before)
            }
        }
    }

    @Test("A drill does not begin where a guest that lives has one of its numbers")
    func collision() async throws {
        try await with { lab in
            try lab.makeMachine(
                9907, on: "pve2", disks: [("scsi0", 70_144)], "name: mine", seed: 33)
            let before = try await live(lab)
            let began = try lab.calls().count
            try require(
                await lab.dr.run("drill", "--yes"), endsWith: .failed,
                saying: "guest 9907 (mine) on pve2 has a number of drills and is none")
            #expect(try await live(lab) == before)
            #expect(try lab.calls()[began...].allSatisfy { $0.call[0] == "pvesh" })
            // Without numbers guests are left out, and named.
            try lab.write(configuration: Self.services)
            try require(
                await lab.dr.run("drill", "--yes"), endsWith: .failed, saying: "nothing to drill",
                "virtual machine 101 (db1): drill: {guests: …} gives it no number")
        }
    }
}
