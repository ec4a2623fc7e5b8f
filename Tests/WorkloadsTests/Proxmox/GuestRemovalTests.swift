import Engine
import Model
import Synchronization
import TestSupport
import Testing

@testable import Workloads

/// What a guest takes along when it is removed for one of a snapshot.
@Suite struct GuestRemovalTests {
    private func volumes(
        _ kind: ProxmoxCluster.GuestKind, then: String, now: String,
        existing: ProxmoxCluster.GuestKind? = nil
    ) -> [String] {
        let configuration = GuestConfiguration(Array(then.utf8))
        var record = GuestRecord(number: 105, kind: kind, configuration)
        record.disks = configuration.dumped.map {
            GuestRecord.Disk(
                key: $0.key, device: $0.device, bytes: 1, storage: $0.storage, format: $0.format)
        }
        let removal = GuestRemoval(
            guest: SnapshotGuest(record: record, prefix: ""), configuration: configuration,
            existing: ProxmoxCluster.Guest(
                number: 105, kind: existing ?? kind, name: "", node: "pve1", status: "running",
                tags: [], pool: nil, isTemplate: false))
        return removal.volumes(notHeldOf: GuestConfiguration(Array(now.utf8))).map(\.key)
    }

    private static let machine = """
        scsi0: fast:vm-105-disk-0,size=1G
        scsi1: fast:vm-105-disk-1,backup=0
        #qmdump#map:scsi0:drive-scsi0:fast:raw:

        """

    @Test func machinesLoseWhatTheirDumpDoesNotHold() {
        let now = """
            efidisk0: fast:vm-105-disk-5
            ide0: fast:vm-105-cloudinit,media=cdrom
            ide2: local:iso/debian.iso,media=cdrom
            sata0: local:105/vm-105-disk-6.qcow2
            scsi0: other:vm-105-disk-9,size=1G
            scsi1: fast:vm-105-disk-1,backup=0
            scsi2: /dev/sdb
            scsi3: fast:vm-200-disk-0
            unused0: fast:vm-105-disk-3

            """
        #expect(
            volumes(.qemu, then: Self.machine, now: now).sorted()
                == ["efidisk0", "sata0", "scsi1", "unused0"])
    }

    @Test func whatIsLeftOutOfDumpsNowMayBeAnotherVolumeThanThen() {
        #expect(
            volumes(.qemu, then: Self.machine, now: "scsi0: fast:vm-105-disk-0,backup=0") == [])
        #expect(
            volumes(.qemu, then: Self.machine, now: "scsi0: fast:vm-105-disk-4,backup=0")
                == ["scsi0"])
    }

    @Test func containersLoseMountPointsThatAreNotDumped() {
        let then = """
            rootfs: fast:subvol-105-disk-0
            mp0: fast:subvol-105-disk-1,mp=/data
            mp1: fast:subvol-105-disk-2,mp=/srv,backup=1

            """
        let now = then + "mp2: /srv/shared,mp=/shared\nunused1: fast:subvol-105-disk-3\n"
        #expect(volumes(.lxc, then: then, now: now).sorted() == ["mp0", "unused1"])
        // Only the number is the same.
        #expect(
            volumes(
                .qemu, then: Self.machine, now: "rootfs: fast:subvol-105-disk-0", existing: .lxc)
                == ["rootfs"])
    }

    /// A cluster with one guest that high availability manages, asked from one of its nodes.
    private final class Cluster: ProgramRunner {
        let configuration: String
        let calls = Mutex<[[String]]>([])

        init(configuration: String) { self.configuration = configuration }

        func run(_ call: ProgramCall) async throws -> ProgramResult {
            calls.withLock { $0.append(call.words) }
            guard call.words.prefix(2) == ["pvesh", "get"] else { return ProgramResult(status: 1) }
            let answers = [
                "/version": #"{"version": "9.2"}"#,
                "/cluster/status": #"[{"type": "node", "name": "pve1", "local": 1}]"#,
                "/cluster/resources": #"[{"vmid": 105, "type": "qemu", "node": "pve1"}]"#,
                "/cluster/ha/resources": #"[{"sid": "vm:105", "state": "started"}]"#,
                "/nodes/pve1/qemu/105/config": configuration,
            ]
            return ProgramResult(status: 0, output: Array((answers[call.words[2]] ?? "[]").utf8))
        }
    }

    @Test(arguments: [
        (false, "exists already"), (true, "scsi1 (fast:vm-105-disk-1)"),
    ])
    func aRefusedStepChangesNothing(_ replace: Bool, _ message: String) async throws {
        let cluster = Cluster(
            configuration: #"{"scsi0": "fast:vm-105-disk-0", "scsi1": "fast:vm-105-disk-1"}"#)
        let configuration = GuestConfiguration(Array(Self.machine.utf8))
        var record = GuestRecord(number: 105, kind: .qemu, configuration)
        record.disks = [
            .init(key: "scsi0", device: "drive-scsi0", bytes: 1, storage: "fast", format: "raw")
        ]
        let sink = ScriptedSink()
        try await sink.document(
            "vm-105/qemu-server.conf", Array(Self.machine.utf8), attributes: [:])
        let service: ServiceName = "db"
        let source = ScriptedSource(
            snapshot: SnapshotRecord(
                id: .random(), workload: WorkloadID(service: service, kind: .proxmox, name: "105"),
                service: service, kind: .proxmox, host: "test", run: .random(),
                asOf: Timestamp(nanoseconds: 0)), sink: sink)
        let replay = GuestReplay(
            source: source, guests: [SnapshotGuest(record: record, prefix: "vm-105/")],
            placement: ProxmoxPlacement(), entry: try ProxmoxNode(ssh: nil, programs: cluster),
            isolation: nil)
        let step = try #require(try replay.steps().first)
        let failure = await #expect(throws: Failure.self) {
            _ = try await replay.perform(
                step, WorkloadContext(secrets: FixedSecrets(), replace: replace))
        }
        #expect(failure?.message.contains(message) == true)
        let calls = cluster.calls.withLock { $0 }
        #expect(calls.allSatisfy { $0.prefix(2) == ["pvesh", "get"] }, "\(calls)")
    }
}
