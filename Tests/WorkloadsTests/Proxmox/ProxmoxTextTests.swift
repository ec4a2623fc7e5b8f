import Engine
import Model
import TestSupport
import Testing

@testable import Workloads

/// What Proxmox says in texts: logs, configurations, names of files.
@Suite struct ProxmoxTextTests {
    private func log(_ name: String) throws -> VzdumpLog {
        let path = "\(VMASamples.directory)/dump/\(name).log"
        return VzdumpLog(String(decoding: try FileSystem().read(path), as: UTF8.self))
    }

    @Test func logsTellWhatADumpAgreesWith() throws {
        #expect(try log("vzdump-qemu-100-2025_07_08-02_00_00").consistency == .fileSystem)
        #expect(try log("vzdump-lxc-105-2025_07_08-02_00_00").consistency == .fileSystem)
        let failed = VzdumpLog(
            """
            INFO: status = running
            INFO: issuing guest-agent 'fs-freeze' command
            ERROR: VM 100 qmp command 'guest-fsfreeze-freeze' failed - got timeout
            WARN: something is old
            """)
        #expect(failed.consistency == .crash && failed.errors == [])
        #expect(failed.reason?.contains("got timeout") == true)
        #expect(failed.warnings == ["something is old"])
        let broken = VzdumpLog("ERROR: Backup of VM 100 failed - no space left on device")
        #expect(broken.errors.count == 1)
        #expect(VzdumpLog("INFO: status = stopped").consistency == .application)
        #expect(!VzdumpLog("ssh: connect to host: No route to host").isThere)
    }

    @Test func configurationsTellDisksNetworksAndOrder() {
        let configuration = GuestConfiguration(
            Array(
                """
                #scsi9: not a disk but a description
                agent: 1,fstrim_cloned_disks=1
                efidisk0: local-zfs:vm-101-disk-0,efitype=4m,size=1M
                ide2: local:iso/debian.iso,media=cdrom
                net0: virtio=BC:24:11:AA:BB:CC,bridge=vmbr1,tag=20
                onboot: 1
                scsi0: local-lvm:vm-101-disk-1,iothread=1,size=32G
                scsihw: virtio-scsi-single
                hostpci0: 0000:01:00.0
                startup: order=3,up=30
                #qmdump#map:efidisk0:drive-efidisk0:local-zfs:raw:
                #qmdump#map:scsi0:drive-scsi0:::
                [before-update]
                scsi1: local-lvm:vm-101-disk-2

                """.utf8))
        #expect(configuration.disks.map(\.key) == ["efidisk0", "ide2", "scsi0"])
        #expect(configuration.disks.map(\.storage) == ["local-zfs", "local", "local-lvm"])
        #expect(configuration.disks[1].isMedium)
        #expect(configuration.dumped.map(\.device) == ["drive-efidisk0", "drive-scsi0"])
        #expect(configuration.dumped[1].storage == "")
        #expect(configuration.startup == .init(order: 3, up: 30))
        #expect(configuration.hasAgent && configuration.startsWithNode)
        #expect(configuration.networks.map(\.bridge) == ["vmbr1"])
        #expect(configuration.networks[0].address == "BC:24:11:AA:BB:CC")
        #expect(configuration.hardware == ["hostpci0"])
        #expect(GuestConfiguration(Array("startup: 7\nagent: enabled=0".utf8)).startup.order == 7)
        #expect(GuestConfiguration.bytes("1.5G") == 1_610_612_736)
    }

    @Test(arguments: [
        ("vzdump-qemu-100-2025_07_08-02_00_00.vma.zst", true),
        ("vzdump-qemu-100-2025_07_08-02_00_00.vma", true),
        ("vzdump-lxc-105-2025_07_08-02_00_00.tar.gz", true),
        ("vzdump-lxc-105-2025_07_08-02_00_00.tgz", true),
        ("vzdump-qemu-100-2025_07_08-02_00_00.vma.dat", false),
        ("vzdump-qemu-100-2025_07_08-02_00_00.vma.zst.notes", false),
        ("vzdump-qemu-100-2025_07_08-02_00_00.log", false),
        ("vzdump-qemu-0100-2025_07_08-02_00_00.vma", false),
        ("vzdump-lxc-105-2025_07_08-02_00_00.vma", false),
    ])
    func namesOfExports(_ name: String, _ isOne: Bool) {
        #expect((ExportFile(name) != nil) == isOne)
    }
}
