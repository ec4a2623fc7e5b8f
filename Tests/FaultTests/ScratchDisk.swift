import CLinux
import Engine
import Glibc
import TestSupport

/// A disk of its own, in a file: it can be full, and its power can fail.
struct ScratchDisk: Sendable {
    let mountPoint: String
    private let image: String?

    /// Whether this machine lets tests mount ext4 from a file.
    static let hasLoopDevices =
        TestEnvironment.isRoot && access("/dev/loop-control", R_OK | W_OK) == 0
        && TestEnvironment.hasProgram("mkfs.ext4") && TestEnvironment.hasProgram("perl")
    /// Whether it lets them mount memory.
    static let canMount = TestEnvironment.isRoot && TestEnvironment.hasProgram("mount")

    /// An ext4 file system of so many MiB, unmounted at the end of `scratch`.
    static func ext4(_ name: String, megabytes: Int, in scratch: TemporaryDirectory) async throws
        -> ScratchDisk
    {
        let image = scratch.path(name + ".img")
        let disk = ScratchDisk(mountPoint: try scratch.makeDirectory(name), image: image)
        try await run(["truncate", "-s", "\(megabytes)M", image])
        try await run(["mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0", image])
        scratch.atEnd { await disk.unmount() }
        try await disk.mount()
        return disk
    }

    /// Memory as a file system of so many KiB.
    static func memory(_ name: String, kilobytes: Int, in scratch: TemporaryDirectory) async throws
        -> ScratchDisk
    {
        let disk = ScratchDisk(mountPoint: try scratch.makeDirectory(name), image: nil)
        try await run(
            ["mount", "-t", "tmpfs", "-o", "size=\(kilobytes)k", "tmpfs", disk.mountPoint])
        scratch.atEnd { await disk.unmount() }
        return disk
    }

    private static func run(_ words: [String]) async throws {
        let outcome = try await OutsideProgram.run(words)
        guard outcome.status == 0 else { throw TrialFailure("\(words): \(outcome)") }
    }

    func mount() async throws {
        guard let image else { return }
        try await Self.run(["mount", "-o", "loop", image, mountPoint])
    }

    func unmount() async {
        for _ in 0..<20 {
            guard let outcome = try? await OutsideProgram.run(["umount", mountPoint]) else {
                return
            }
            if outcome.status == 0 || outcome.errorText.contains("not mounted") { return }
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Changes the size of memory.
    func resize(kilobytes: Int) async throws {
        try await Self.run(["mount", "-o", "remount,size=\(kilobytes)k", mountPoint])
    }

    /// The power fails: what the journal does not hold yet is gone, and every call fails.
    func failPower() async throws {
        // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH.
        let script =
            "open(my $f, '<', $ARGV[0]) or die $!; my $v = pack('L', 2);"
            + " ioctl($f, 0x8004587D, $v) or die $!"
        try await Self.run(["perl", "-e", script, mountPoint])
    }

    /// The machine starts again; nothing may run on the disk.
    func restart() async throws {
        await unmount()
        try await mount()
    }

    /// Bytes in use.
    func used() throws -> Int {
        var status = statvfs()
        guard statvfs(mountPoint, &status) == 0 else { throw OutsideProgram.Problem("statvfs") }
        return Int(status.f_blocks - status.f_bfree) * Int(status.f_frsize)
    }
}
