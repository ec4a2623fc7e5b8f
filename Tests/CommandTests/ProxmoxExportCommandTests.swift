import FoundationEssentials
import Glibc
import Model
import Repository
import TestSupport
import Testing

/// Files that vzdump left, through the real program and without any Proxmox VE.
@Suite("Exports of Proxmox VE")
struct ProxmoxExportCommandTests {
    private func with(
        _ more: String = "", _ body: (TemporaryDirectory, DrBinary) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with("exports") { scratch in
            let samples = Checkout.path("Tests/Fixtures/proxmox")
            try scratch.makeDirectory("dump")
            let copied = try await OutsideProgram.run([
                "sh", "-ec",
                """
                cp \(samples)/dump/* \(scratch.path("dump"))
                cp \(samples)/valid/two-disk.vma.zst \
                \(scratch.path("dump"))/vzdump-qemu-101-2025_07_08-02_05_00.vma.zst
                """,
            ])
            try #require(copied.status == 0, "\(copied)")
            try scratch.write(
                "dr.yaml",
                """
                repository: repo
                services:
                  db: {proxmox: {vm: 101, exports: dump\(more)}}
                  files: {proxmox: {vm: 105, exports: dump}}

                """)
            var dr = try DrBinary(in: scratch)
            dr.environment["DR_CONFIG"] = "dr.yaml"
            dr.environment["DR_PASSWORD"] = "correct horse battery staple"
            _ = try await BackupRepository.create(
                in: DirectoryStore(root: scratch.path("repo")),
                credential: .password("correct horse battery staple"), label: "test",
                scryptCost: 2)
            // The sample's own ACL names a user of the machine that it was made on.
            try require(
                await dr.run("backup"), endsWith: .partial,
                saying: "opt/app/data.bin: its ACL names users or groups that are no numbers")
            try await body(scratch, dr)
        }
    }

    private func shell(_ line: String, in directory: String) async throws -> String {
        let outcome = try await OutsideProgram(["sh", "-ec", line], directory: directory).run()
        #expect(outcome.status == 0, "\(outcome)")
        return outcome.text
    }

    @Test("A disk, a configuration or a file of a container comes out alone")
    func singleParts() async throws {
        try await with { scratch, dr in
            let listed = try await dr.run("ls", "db@latest")
            try require(listed, endsWith: .done)
            #expect(listed.text.contains("vm-101/disk-drive-scsi0.raw"))
            let sum = "074e6ab35b5e9bf216b7c73cc2c853431b56a803e9007c589eea448a036ecdf1"
            let disk = "vm-101/disk-drive-scsi0.raw"
            try require(
                await dr.run("restore", "db", "--path", disk, "--to", "./one/", "--yes"),
                endsWith: .done)
            #expect(
                try await shell("sha256sum one/disk-drive-scsi0.raw", in: scratch.path)
                    .hasPrefix(sum))
            #expect(try await shell("ls one", in: scratch.path) == "disk-drive-scsi0.raw\n")
            try require(
                await dr.run(
                    "restore", "files", "--path", "ct-105/rootfs/etc/hostname", "--to", "./one/",
                    "--yes"), endsWith: .done)
            let name = try await shell("cat one/hostname", in: scratch.path)
            #expect(!name.isEmpty)
            let dumped = try await dr.run("dump", "db@latest", "vm-101/qemu-server.fw")
            try require(dumped, endsWith: .done)
            #expect(!dumped.output.isEmpty)
        }
    }

    @Test("A snapshot bears the time of the dump, and a container all its metadata")
    func timesAndMetadata() async throws {
        try await with { scratch, dr in
            let list = try await dr.run("snapshots", "--json")
            try require(list, endsWith: .done)
            #expect(list.text.contains("2025-07-08T02:05"))
            try require(
                await dr.run("restore", "--to", "./all/", "--yes", "--privileged-metadata"),
                endsWith: .done)
            let root = scratch.path("all/files/105/ct-105/rootfs")
            let reference = try scratch.makeDirectory("reference")
            // Without ACLs: the sample's only one names a user of another machine.
            _ = try await shell(
                "tar -xp --xattrs --xattrs-include='*' --numeric-owner --sparse -f "
                    + "\(scratch.path("dump"))/*.tar.zst -C \(reference) && "
                    + "rm -r \(reference)/etc/vzdump", in: scratch.path)
            // Removing what is not part of the guest has touched its directory.
            let aspects = TreeFingerprint.Aspects.all.subtracting([.holes, .top])
            let differences = try TreeFingerprint(of: root, aspects: aspects)
                .differences(from: TreeFingerprint(of: reference, aspects: aspects))
            #expect(differences.filter { !$0.contains("etc:") && !$0.hasPrefix("etc ") } == [])
        }
    }

    @Test("Disks become what qemu-img makes of them, or an archive for qmrestore")
    func forms() async throws {
        try await with(", images: vma") { scratch, dr in
            try require(await dr.run("restore", "db", "--to", "./vma/", "--yes"), endsWith: .done)
            #expect(
                try await shell("head -c 3 vma/db/101/vm-101.vma", in: scratch.path) == "VMA")
        }
        try await with(", images: qcow2") { scratch, dr in
            // In the place of the real one, which tests cannot rely on.
            try scratch.makeDirectory("bin")
            let program = try scratch.write(
                "bin/qemu-img",
                """
                #!/bin/sh
                [ "$1" = --version ] && exit 0
                [ "$*" = "convert -f raw -O qcow2 $6 $7" ] && cp "$6" "$7"

                """)
            chmod(program, 0o755)
            var dr = dr
            dr.environment["PATH"] =
                scratch.path("bin") + ":" + (dr.environment["PATH"] ?? "/usr/bin:/bin")
            try require(
                await dr.run("restore", "db", "--to", "./images/", "--yes"), endsWith: .done)
            let names = try await shell("ls images/db/101/vm-101", in: scratch.path)
            #expect(
                names.split(separator: "\n").filter { $0.hasSuffix(".qcow2") }.count == 3)
            #expect(!names.contains(".raw"))
        }
    }
}
