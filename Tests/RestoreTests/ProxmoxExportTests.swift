import CLinux
import Engine
import Glibc
import Model
import Repository
import Restore
import TestSupport
import Testing
import Workloads

/// Exports of Proxmox VE into a repository and back out of it.
@Suite(.enabled(if: TestEnvironment.hasProgram("python3"), "needs python3"))
struct ProxmoxExportTests {
    private static let samples = Checkout.path("Tests/Fixtures/proxmox")
    private static let diskLength = 24 << 20
    private let driver = ProxmoxDriver()

    private func service(_ number: Int, in directory: String) -> Service {
        var specification = ProxmoxSpecification(subject: .guest(number))
        specification.exports = directory
        return Service(name: "db", workloads: [.proxmox(specification)])
    }

    private func run(_ words: String...) async throws {
        let outcome = try await OutsideProgram.run(["sh", "-ec", words.joined(separator: " ")])
        try #require(outcome.status == 0, "\(outcome)")
    }

    /// A disk of noise with a hole in it, and the configuration that names it.
    private func makeDisk(in scratch: TemporaryDirectory) async throws -> (
        disk: String, configuration: String
    ) {
        let disk = scratch.path("disk")
        try await run(
            "head -c \(Self.diskLength - (8 << 20)) /dev/urandom > \(disk);",
            "truncate -s \(Self.diskLength) \(disk)")
        let configuration = try scratch.write(
            "qemu-server.conf",
            "name: db1\nscsi0: local-lvm:vm-101-disk-0,size=24M\n"
                + "#qmdump#map:scsi0:drive-scsi0:local-lvm:raw:\n")
        return (disk, configuration)
    }

    /// An export as the real one would be: another identity and another order each time.
    private func export(
        _ disk: String, _ configuration: String, to directory: String, hour: Int
    ) async throws {
        try await run(
            "python3 \(Checkout.path("Tests/ProxmoxLab/vma.py")) create \(configuration)",
            "-d drive-scsi0=\(disk)",
            "> \(directory)/vzdump-qemu-101-2025_07_0\(hour)-02_00_00.vma")
    }

    private func stored(_ night: NightFixture) async throws -> UInt64 {
        try await night.store.list("").reduce(0) { $0 + $1.size }
    }

    /// Brings a snapshot back into a directory and gives the path of its workload.
    private func restore(
        _ snapshot: SnapshotRecord, _ night: NightFixture, to directory: String,
        _ form: ProxmoxSpecification.ImageForm = .raw
    ) async throws -> String {
        var service = service(101, in: "/nowhere")
        if case .proxmox(var specification) = service.workloads[0] {
            specification.images = form
            service.workloads = [.proxmox(specification)]
        }
        let source = night.source(snapshot)
        let context = WorkloadContext(secrets: NoSecrets())
        let target = ReplayTarget.directory(directory)
        for step in try await driver.replaySteps(for: source, service: service, target: target) {
            _ = try await driver.perform(
                step, from: source, service: service, target: target, context: context)
        }
        return ReplayDirectory.path(directory, for: snapshot)
    }

    @Test func anUnchangedMachineAddsNextToNothingAndAChangedOneWhatChanged() async throws {
        var random = SeededRandom.announced()
        try await TemporaryDirectory.with("exports") { scratch in
            let night = try await NightFixture(in: scratch)
            let dump = try scratch.makeDirectory("dump")
            let (disk, configuration) = try await makeDisk(in: scratch)
            try await export(disk, configuration, to: dump, hour: 1)
            let first = try await night.backup(service(101, in: dump), with: driver)
            let before = try await stored(night)
            #expect(before > UInt64(Self.diskLength - (8 << 20)))

            try await export(disk, configuration, to: dump, hour: 2)
            let second = try await night.backup(service(101, in: dump), with: driver)
            let unchanged = try await stored(night) - before
            #expect(unchanged < UInt64(Self.diskLength / 1000), "added \(unchanged)")
            let name = "vm-101/disk-drive-scsi0.raw"
            #expect(first.part(name)?.content == second.part(name)?.content)
            #expect(second.asOf < night.clock.wall)

            let descriptor = open(disk, O_WRONLY | O_CLOEXEC)
            defer { close(descriptor) }
            let blocks = Self.diskLength / 4096
            for _ in 0..<(blocks / 100) {
                let block = Int.random(in: 0..<blocks, using: &random)
                let bytes = random.bytes(4096)
                _ = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, 4096, block * 4096) }
            }
            try await export(disk, configuration, to: dump, hour: 3)
            let start = try await stored(night)
            let third = try await night.backup(service(101, in: dump), with: driver)
            let changed = try await stored(night) - start
            #expect(changed <= UInt64(Self.diskLength * 17 / 100), "added \(changed)")

            let back = try await restore(third, night, to: scratch.path("back"))
            try await run("cmp \(back)/\(name) \(disk)")
            var status = stat()
            let original = try await restore(first, night, to: scratch.path("first"))
            #expect(stat("\(original)/\(name)", &status) == 0)
            // The hole is one again.
            #expect(Int(status.st_blocks) * 512 < Self.diskLength - (7 << 20))
        }
    }

    @Test func theArchiveThatComesBackIsTheSameWhateverOrderTheExportHad() async throws {
        try await TemporaryDirectory.with("exports") { scratch in
            let night = try await NightFixture(in: scratch)
            let (disk, configuration) = try await makeDisk(in: scratch)
            var archives: [String] = []
            for hour in 1...2 {
                let dump = try scratch.makeDirectory("dump\(hour)")
                try await export(disk, configuration, to: dump, hour: hour)
                let snapshot = try await night.backup(service(101, in: dump), with: driver)
                let back = try await restore(
                    snapshot, night, to: scratch.path("back\(hour)"), .vma)
                archives.append("\(back)/vm-101.vma")
            }
            try await run("cmp", archives[0], archives[1])
            try await run(
                "python3 \(Checkout.path("Tests/ProxmoxLab/vma.py")) extract",
                "\(scratch.path("out")) < \(archives[0]);",
                "cmp \(scratch.path("out"))/disk-drive-scsi0.raw \(disk);",
                "cmp \(scratch.path("out"))/qemu-server.conf \(configuration)")
        }
    }

    @Test func samplesOfTheRealToolComeBackByTheirSums() async throws {
        try await TemporaryDirectory.with("exports") { scratch in
            let night = try await NightFixture(in: scratch)
            let dump = try scratch.makeDirectory("dump")
            try await run(
                "cp \(Self.samples)/dump/* \(dump);",
                "cp \(Self.samples)/valid/two-disk.vma.zst",
                "\(dump)/vzdump-qemu-101-2025_07_08-02_05_00.vma.zst")
            let machine = try await night.backup(service(101, in: dump), with: driver)
            // The archive's own time, which is that of the dump.
            #expect(machine.asOf < Timestamp(rfc3339: "2026-01-01T00:00:00Z") ?? machine.asOf)
            #expect(machine.notes.contains { $0.contains("node pve1") }, "\(machine.notes)")
            #expect(machine.consistency == .crash)
            let back = try await restore(machine, night, to: scratch.path("vm"))
            try await run(
                "cd \(back)/vm-101; grep two-disk/ \(Self.samples)/SHA256SUMS",
                "| sed 's|two-disk/||' | sha256sum --check --quiet")

            let container = try await night.backup(service(105, in: dump), with: driver)
            #expect(container.consistency == .fileSystem)
            let tree = try await restore(container, night, to: scratch.path("ct"))
            try await run(
                "cd \(tree)/ct-105/rootfs;",
                "grep -v etc/vzdump \(Self.samples)/vzdump-lxc-105-files.sha256",
                "| sha256sum --check --quiet")
            let document = try await night.source(container).document("ct-105/guest.json")
            #expect(String(decoding: document, as: UTF8.self).contains("\"number\" : 105"))
        }
    }

    @Test func aDirectoryWithoutTheGuestSaysWhatItHas() async throws {
        try await TemporaryDirectory.with("exports") { scratch in
            let night = try await NightFixture(in: scratch)
            let dump = try scratch.makeDirectory("dump")
            try await run("cp \(Self.samples)/dump/* \(dump)")
            let failure = await #expect(throws: Failure.self) {
                try await night.backup(service(999, in: dump), with: driver)
            }
            #expect(failure?.hint?.contains("105") == true)
        }
    }

    @Test func anExportThatIsNotWholeIsNoSnapshot() async throws {
        try await TemporaryDirectory.with("exports") { scratch in
            let night = try await NightFixture(in: scratch)
            let dump = try scratch.makeDirectory("dump")
            for (name, reason) in [
                ("truncated-boundary", "it ends without cluster 142"),
                ("dupextent", "comes twice"), ("wronguuid", "belongs to another archive"),
            ] {
                try await run(
                    "cp \(Self.samples)/bad/\(name).vma.zst",
                    "\(dump)/vzdump-qemu-101-2025_07_08-02_05_00.vma.zst")
                let failure = await #expect(throws: Failure.self) {
                    try await night.backup(service(101, in: dump), with: driver)
                }
                #expect(
                    failure?.description.contains(reason) == true, "\(String(describing: failure))")
            }
            try await run(
                "head -c 200000 \(Self.samples)/valid/two-disk.vma.zst",
                "> \(dump)/vzdump-qemu-101-2025_07_08-02_05_00.vma.zst")
            let failure = await #expect(throws: Failure.self) {
                try await night.backup(service(101, in: dump), with: driver)
            }
            #expect(failure?.code == .failed)
            #expect(try await night.store.list("snapshots").isEmpty)
        }
    }
}
