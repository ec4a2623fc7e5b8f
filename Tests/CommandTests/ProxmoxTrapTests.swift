import FoundationEssentials
import Model
import TestSupport
import Testing

/// Where Proxmox VE says that all is well and it is not, or leaves something behind.
@Suite(
    "A cluster that misleads",
    .enabled(if: ProxmoxLab.isPossible, "needs root, sshd and python3"))
struct ProxmoxTrapTests {
    private static let one = "  db: {proxmox: {vm: 101, node: {ssh: root@pve1}}}"

    private func with(
        _ services: String = one, _ body: (ProxmoxLab) async throws -> Void
    ) async throws {
        try await ProxmoxLab.with { lab in
            try lab.makeMachine(
                101, on: "pve1", disks: [("scsi0", 1 << 20)], "agent: 1\nname: db1", seed: 11)
            try lab.write(configuration: services)
            try await body(lab)
        }
    }

    @Test("A dump that is empty, breaks off or complains is no snapshot, whatever vzdump says")
    func badDumps() async throws {
        try await with { lab in
            for (trap, text, message) in [
                ("moved-101", "9", "wrote nothing"),
                ("cut-101", "0", "it ends without cluster 0 of drive-scsi0"),
                ("error-101", "1", "Input/output error"),
            ] {
                try lab.trap(trap, text)
                try require(
                    await lab.dr.run("backup", "--json"), endsWith: .failed, saying: message)
                try await OutsideProgram.run(["rm", "-f", lab.scratch.path("lab/traps/\(trap)")])
            }
            #expect(try await lab.dr.run("snapshots").text.contains("101") == false)
            try lab.write(configuration: "  db: {proxmox: {vm: 999, node: {ssh: root@pve1}}}")
            try require(
                await lab.dr.run("backup"), endsWith: .failed, saying: "there is no guest 999",
                "101 db1")
        }
    }

    @Test("A freeze that failed makes a snapshot crash-consistent, not a failure")
    func failedFreeze() async throws {
        try await with { lab in
            try lab.trap("freeze-101")
            try lab.trap("warn-101")
            try require(
                await lab.dr.run("backup"), endsWith: .done, saying: "got timeout",
                "an old machine version")
            let list = try await lab.dr.run("snapshots", "--json")
            try require(list, endsWith: .done, saying: "\"consistency\":\"crash\"")
        }
    }

    @Test("A guest whose dumps are locked says what holds it")
    func lockedGuest() async throws {
        try await with { lab in
            let text = try lab.configuration("pve1", "qemu-server", 101)
            try lab.scratch.write("lab/nodes/pve1/qemu-server/101.conf", "lock: backup\n" + text)
            try require(
                await lab.dr.run("backup"), endsWith: .failed, saying: "VM is locked (backup)",
                "qm unlock 101")
        }
    }

    @Test("A restore that fails leaves nothing behind, and the next one succeeds")
    func failedRestore() async throws {
        try await with { lab in
            let sum = try await lab.sum("pve1", "local-lvm/vm-101-disk-0")
            try require(await lab.dr.run("backup"), endsWith: .done)
            try lab.destroyGuests()
            try lab.trap("restore-101")
            try require(
                await lab.dr.run("restore", "--to", "here", "--yes"), endsWith: .failed,
                saying: "No space left on device")
            #expect(try lab.names("lab/nodes/pve1/qemu-server") == [])
            #expect(try lab.names("lab/storage/pve1/local-lvm") == [])
            try require(await lab.dr.run("restore", "--to", "here", "--yes"), endsWith: .done)
            #expect(try await lab.sum("pve1", "local-lvm/vm-101-disk-0") == sum)
        }
    }

    @Test("How far a restore is comes from the programs that write, while they do")
    func progress() async throws {
        try await with("  all: {proxmox: {tag: all, node: {ssh: root@pve1}}}") { lab in
            try lab.makeMachine(
                101, on: "pve1", disks: [("scsi0", 8 << 20)], "name: db1\ntags: all", seed: 12)
            try lab.makeContainer(105, on: "pve2", "tags: all", seed: 13)
            try require(await lab.dr.run("backup"), endsWith: .done)
            try lab.destroyGuests()
            let restored = try await lab.dr.run("restore", "--to", "here", "--yes", "--json")
            try require(restored, endsWith: .done)
            struct Event: Decodable {
                var title: String?
                var state: String?
                var message: String?
            }
            let events = restored.text.split(separator: "\n").compactMap {
                try? JSONDecoder().decode(Event.self, from: Data($0.utf8))
            }
            let machine = events.filter { $0.title?.hasPrefix("restore virtual") == true }
            #expect(machine.first?.state == "started" && machine.last?.state == "done")
            let words = machine.compactMap { $0.state == "working" ? $0.message : nil }
            #expect(words.first == "made volume local-lvm:vm-101-disk-0")
            let percents = words.compactMap { word in
                word.hasSuffix(" % written") ? Int(word.prefix(while: \.isNumber)) : nil
            }
            #expect(percents.count > 2 && percents == percents.sorted(), "\(words)")
            #expect(percents.last == 100)
            #expect(
                events.compactMap { $0.title?.hasPrefix("restore cont") == true ? $0.message : nil }
                    == ["extracting the archive", "putting the configuration together"])
        }
    }

    @Test("What stands in the way is said before anything is changed")
    func preflight() async throws {
        try await with { lab in
            try require(await lab.dr.run("backup"), endsWith: .done)
            let before = try lab.configuration("pve1", "qemu-server", 101)
            let taken = try await lab.dr.run("restore", "--to", "here", "--yes")
            #expect(taken.status != 0)
            try require(taken, endsWith: .failed, saying: "guest 101 exists already on pve1 (db1)")
            #expect(try lab.configuration("pve1", "qemu-server", 101) == before)

            try lab.destroyGuests()
            try await lab.change(
                "c['quorate'] = False; c['bridges'] = ['vmbr9']; del c['storages']['local-lvm']")
            try require(
                await lab.dr.run("restore", "--to", "here", "--yes"), endsWith: .failed,
                saying: "has no quorum", "pvecm expected 1", "there is no bridge vmbr0",
                "there is no storage local-lvm")
            try await lab.change("c['quorate'] = True; c['bridges'] = ['vmbr0']")
            try await lab.change("c['storages']['local-zfs']['avail'] = 4096")
            try lab.write(
                configuration: "  db: {proxmox: {vm: 101, node: {ssh: root@pve1}, "
                    + "restore: {storage: local-zfs}}}")
            try require(
                await lab.dr.run("restore", "--to", "here", "--yes"), endsWith: .failed,
                saying: "the storage local-zfs on pve1 has")
            #expect(try lab.names("lab/nodes/pve1/qemu-server") == [])
        }
    }

    @Test("A copy beside its original gets another number, storage, node and addresses")
    func copy() async throws {
        try await with { lab in
            let sum = try await lab.sum("pve1", "local-lvm/vm-101-disk-0")
            try require(await lab.dr.run("backup"), endsWith: .done)
            try lab.write(
                configuration: "  db: {proxmox: {vm: 101, node: {ssh: root@pve1}, restore: "
                    + "{vm: 9101, storage: local-zfs, node: pve2, pool: shop, start: false}}}")
            try require(await lab.dr.run("restore", "--to", "here", "--yes"), endsWith: .done)
            #expect(try await lab.sum("pve2", "local-zfs/vm-9101-disk-0") == sum)
            #expect(!lab.isRunning(9101) && lab.isRunning(101))
            let text = try lab.configuration("pve2", "qemu-server", 9101)
            #expect(!text.contains("BC:24:11:00:00:21"))
            let restore = try #require(try lab.calls().first { $0.call[0] == "qmrestore" })
            #expect(restore.node == "pve2")
        }
    }

    @Test("What is replaced is removed first, also from high availability, which gets it back")
    func replaced() async throws {
        try await with { lab in
            try await lab.change("c['ha']['vm:101'] = 'started'")
            let sum = try await lab.sum("pve1", "local-lvm/vm-101-disk-0")
            try require(await lab.dr.run("backup"), endsWith: .done)
            try await OutsideProgram.run([
                "cp", "/dev/null", lab.scratch.path("lab/storage/pve1/local-lvm/vm-101-disk-0"),
            ])
            try require(
                await lab.dr.run("restore", "--to", "here", "--yes", "--replace"), endsWith: .done)
            #expect(try await lab.sum("pve1", "local-lvm/vm-101-disk-0") == sum)
            let calls = try lab.calls().map(\.call)
            let ignored = try #require(calls.firstIndex { $0.contains("ignored") })
            let destroyed = try #require(calls.firstIndex { $0.starts(with: ["qm", "destroy"]) })
            let given = try #require(calls.lastIndex { $0.contains("started") })
            #expect(ignored < destroyed && destroyed < given)
        }
    }
}
