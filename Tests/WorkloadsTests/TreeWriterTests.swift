import CLinux
import Engine
import Glibc
import Model
import TestSupport
import Testing

@testable import Workloads

@Suite(.enabled(if: TestEnvironment.isRoot, "owners and devices need root"))
struct TreeWriterTests {
    // MARK: What entries come back as

    @Test func bringsBackAllKindsWithTheirMetadata() async throws {
        try await TemporaryDirectory.with("tree") { directory in
            let target = directory.path("target")
            let writer = try TreeWriter(target: target, options: options())
            try put(writer, entry("", .directory, mode: 0o751))
            try put(writer, entry("d", .directory, mode: 0o500, owner: 1234))
            var file = entry("d/f", .file, mode: 0o640, owner: 1234)
            file.attributes = [attribute("user.note", "näh"), attribute("user.other", "")]
            try put(writer, file, [1, 2, 3])
            var link = entry("d/l", .symlink, owner: 99)
            link.linkTarget = Array("/etc/passwd".utf8)
            try put(writer, link)
            try put(writer, entry("p", .fifo, mode: 0o622))
            var device = entry("z", .characterDevice, mode: 0o666)
            device.deviceNumber = (1, 3)
            try put(writer, device)
            let summary = try writer.complete()

            #expect(summary.problems.isEmpty)
            #expect(summary.dropped.isEmpty)
            #expect(summary.entries == 6)
            #expect(summary.files == 1)
            #expect(summary.bytes == ByteCount(3))
            #expect(try bytes("\(target)/d/f") == [1, 2, 3])
            for (path, mode, owner) in [
                ("", 0o40751, 0), ("/d", 0o40500, 1234), ("/d/f", 0o100640, 1234),
                ("/p", 0o10622, 0), ("/z", 0o20666, 0), ("/d/l", 0o120777, 99),
            ] {
                let status = try look(target + path)
                #expect(status.st_mode == UInt32(mode), "\(path)")
                #expect(status.st_uid == UInt32(owner), "\(path)")
                #expect(status.st_mtim.tv_sec == 1_000_000_000, "\(path)")
                #expect(status.st_mtim.tv_nsec == 123_456_789, "\(path)")
            }
            #expect(try look("\(target)/z").st_rdev == dr_makedev(1, 3))
            let descriptor = open("\(target)/d/f", O_RDONLY)
            defer { close(descriptor) }
            #expect(try EntryMetadata.attributes(of: descriptor) == file.attributes)
        }
    }

    @Test func keepsHolesAndWritesOutOfOrder() async throws {
        try await TemporaryDirectory.with("tree") { directory in
            let target = directory.path("target")
            let writer = try TreeWriter(target: target, options: options())
            try put(writer, entry("", .directory))
            var sparse = entry("sparse", .file)
            sparse.size = 10 << 20
            let first = try #require(try writer.begin(sparse))
            var other = entry("t", .file)
            other.size = 2
            let second = try #require(try writer.begin(other))
            try write(writer, second, 0, [7, 8])
            try writer.finish(second, other)
            try write(writer, first, 5 << 20, [9])
            try writer.finish(first, sparse)
            _ = try writer.complete()
            let status = try look("\(target)/sparse")
            #expect(status.st_size == 10 << 20)
            #expect(status.st_blocks * 512 < 1 << 20)
            #expect(try bytes("\(target)/sparse")[5 << 20] == 9)
        }
    }

    @Test func linksOnlyToFilesOfThisRun() async throws {
        try await TemporaryDirectory.with("tree") { directory in
            let target = try directory.makeDirectory("target")
            try directory.write("target/planted", "planted")
            var free = options()
            free.allowNonEmptyTarget = true
            let writer = try TreeWriter(target: target, options: free)
            try put(writer, entry("", .directory))
            try put(writer, entry("a", .directory))
            try put(writer, entry("a/one", .file, links: 3), [1])
            try put(writer, entry("b", .directory))
            try put(writer, entry("b/two", .file, links: 3, hardLink: "a/one"), [1])
            try put(writer, entry("c", .file, links: 2, hardLink: "planted"), [5])
            try put(writer, entry("d", .file, links: 2, hardLink: "../../etc/passwd"), [6])
            try put(writer, entry("e", .file, links: 3, hardLink: "a/one"), [1])
            let summary = try writer.complete()
            let inode = try look("\(target)/a/one").st_ino
            #expect(try look("\(target)/b/two").st_ino == inode)
            #expect(try look("\(target)/e").st_ino == inode)
            #expect(try look("\(target)/a/one").st_nlink == 3)
            #expect(try look("\(target)/planted").st_nlink == 1)
            #expect(try bytes("\(target)/c") == [5])
            #expect(try bytes("\(target)/d") == [6])
            #expect(summary.problems.count == 2)
        }
    }

    @Test func dropsAndCountsPrivilegedMetadata() async throws {
        try await TemporaryDirectory.with("tree") { directory in
            let target = directory.path("target")
            var plain = options()
            plain.privilegedMetadata = false
            let writer = try TreeWriter(target: target, options: plain)
            try put(writer, entry("", .directory))
            var device = entry("null", .characterDevice)
            device.deviceNumber = (1, 3)
            try put(writer, device)
            try put(writer, entry("s", .file, mode: 0o6755), [1])
            var capable = entry("x", .file)
            capable.attributes = [
                attribute("security.capability", "no"), attribute("trusted.x", "no"),
                attribute("user.x", "yes"),
            ]
            try put(writer, capable)
            let summary = try writer.complete()
            #expect(summary.problems.isEmpty)
            #expect(
                summary.dropped == [
                    "setuid or setgid bits of 1 entry", "1 device", "2 privileged attributes",
                ])
            #expect(access("\(target)/null", F_OK) != 0)
            #expect(try look("\(target)/s").st_mode == 0o100755)
        }
    }

    @Test func aTreeOfOneFileBecomesThatFile() async throws {
        try await TemporaryDirectory.with("tree") { directory in
            let target = directory.path("missing/above/file")
            let writer = try TreeWriter(target: target, options: options())
            try put(writer, entry("", .file, mode: 0o604), [4, 5])
            #expect(try writer.begin(entry("below", .file)) == nil)
            let summary = try writer.complete()
            #expect(summary.problems.count == 1)
            #expect(try bytes(target) == [4, 5])
            #expect(try look(target).st_mode == 0o100604)
        }
    }

    @Test func deepTreesNeedFewDescriptors() async throws {
        try await TemporaryDirectory.with("tree") { directory in
            let target = directory.path("target")
            let writer = try TreeWriter(target: target, options: options())
            try put(writer, entry("", .directory))
            var path = ""
            for level in 0..<1200 {
                path += (level == 0 ? "" : "/") + "d\(level % 10)"
                try put(writer, entry(path, .directory, mode: 0o711))
            }
            try put(writer, entry("\(path)/f", .file), [1])
            try put(writer, entry("e", .file), [1])
            let summary = try writer.complete()
            #expect(summary.problems.isEmpty)
            #expect(summary.entries == 1203)
            #expect(try look("\(target)/d0/d1").st_mode == 0o40711)
            #expect(try look("\(target)/d0").st_mtim.tv_sec == 1_000_000_000)
        }
    }

    // MARK: Hostile entries

    @Test(arguments: ["/etc/x", "../x", "a/../../x", "a/./x", "a//x", "x\0y", "..", "a/"])
    func refusesNamesThatLeadOut(name: String) async throws {
        try await TemporaryDirectory.with("tree") { directory in
            let target = directory.path("inner/target")
            let writer = try TreeWriter(target: target, options: options())
            try put(writer, entry("", .directory))
            for type in EntryType.allCases { #expect(try writer.begin(entry(name, type)) == nil) }
            try put(writer, entry("good", .file), [1])
            let summary = try writer.complete()
            #expect(summary.problems.count == EntryType.allCases.count)
            #expect(summary.problems.allSatisfy { $0.contains("refused") && !$0.contains("\0") })
            #expect(try FileSystem().names(in: target) == ["good"])
            #expect(try FileSystem().names(in: directory.path("inner")) == ["target"])
        }
    }

    @Test func neverWritesThroughItsOwnLinks() async throws {
        try await TemporaryDirectory.with("tree") { directory in
            let outside = try directory.makeDirectory("outside")
            let target = directory.path("target")
            let writer = try TreeWriter(target: target, options: options())
            try put(writer, entry("", .directory))
            var link = entry("l", .symlink)
            link.linkTarget = Array(outside.utf8)
            try put(writer, link)
            #expect(try writer.begin(entry("l/x", .file)) == nil)
            #expect(try writer.begin(entry("l/y/z", .file)) == nil)
            // The link's own name again: the file replaces it, its target stays.
            var tail = entry("m", .symlink)
            tail.linkTarget = Array("\(outside)/made".utf8)
            try put(writer, tail)
            try put(writer, entry("m", .file), [1])
            let summary = try writer.complete()
            #expect(summary.problems.count == 2)
            #expect(summary.dropped == ["1 entry that a later one replaced"])
            #expect(try FileSystem().names(in: outside).isEmpty)
            #expect(try look("\(target)/m").st_mode & S_IFMT == S_IFREG)
        }
    }

    // MARK: Hostile targets

    @Test func replacesWhatIsPlantedInTheTarget() async throws {
        try await TemporaryDirectory.with("tree") { directory in
            let outside = try directory.makeDirectory("outside")
            try directory.write("outside/victim", "victim")
            let target = try directory.makeDirectory("target")
            #expect(symlink(outside, "\(target)/dir") == 0)
            #expect(symlink("\(outside)/victim", "\(target)/file") == 0)
            #expect(link("\(outside)/victim", "\(target)/hard") == 0)
            #expect(mkfifo("\(target)/pipe", 0o666) == 0)
            #expect(mknod("\(target)/null", S_IFCHR | 0o666, dr_makedev(1, 3)) == 0)
            try directory.makeDirectory("target/empty")
            try directory.makeDirectory("target/full")
            try directory.write("target/full/kept", "kept")

            #expect(throws: Failure.self) { try TreeWriter(target: target, options: options()) }
            var free = options()
            free.allowNonEmptyTarget = true
            let writer = try TreeWriter(target: target, options: free)
            try put(writer, entry("", .directory))
            try put(writer, entry("dir", .directory))
            try put(writer, entry("dir/victim", .file), [1])
            for name in ["empty", "file", "hard", "null", "pipe"] {
                try put(writer, entry(name, .file, mode: 0o600), [2])
            }
            #expect(try writer.begin(entry("full", .file)) == nil)
            let summary = try writer.complete()
            #expect(summary.problems.count == 1)
            #expect(try bytes("\(outside)/victim") == Array("victim".utf8))
            #expect(try bytes("\(target)/full/kept") == Array("kept".utf8))
            for name in ["dir/victim", "empty", "file", "hard", "null", "pipe"] {
                let status = try look("\(target)/\(name)")
                #expect(status.st_mode & S_IFMT == S_IFREG)
                #expect(status.st_nlink == 1)
            }
        }
    }

    @Test func refusesATargetThatIsALink() async throws {
        try await TemporaryDirectory.with("tree") { directory in
            let outside = try directory.makeDirectory("outside")
            #expect(symlink(outside, directory.path("target")) == 0)
            var free = options()
            free.allowNonEmptyTarget = true
            #expect(throws: Failure.self) {
                try TreeWriter(target: directory.path("target"), options: free)
            }
        }
    }

    @Test func anInheritedACLDoesNotStay() async throws {
        try await TemporaryDirectory.with("tree") { directory in
            let target = try directory.makeDirectory("target")
            // user::rwx, user:1234:rwx, group::r-x, mask::rwx, other::r-x
            let acl: [UInt8] =
                [2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 0xD2, 4, 0, 0]
                + [4, 0, 5, 0, 255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255]
                + [32, 0, 5, 0, 255, 255, 255, 255]
            #expect(setxattr(target, "system.posix_acl_default", acl, acl.count, 0) == 0)
            let writer = try TreeWriter(target: target, options: options())
            try put(writer, entry("", .directory))
            try put(writer, entry("d", .directory))
            try put(writer, entry("d/f", .file, mode: 0o600), [1])
            #expect(try writer.complete().problems.isEmpty)
            for path in ["", "/d", "/d/f"] {
                let descriptor = open(target + path, O_RDONLY)
                #expect(try EntryMetadata.attributes(of: descriptor).isEmpty, "\(path)")
                close(descriptor)
            }
            #expect(try look("\(target)/d/f").st_mode == 0o100600)
        }
    }

    // MARK: Making entries

    private func options() -> TreeReplayOptions {
        TreeReplayOptions(privilegedMetadata: true, owners: true)
    }

    private func entry(
        _ path: String, _ type: EntryType, mode: UInt32? = nil, owner: UInt32 = 0,
        links: UInt32 = 1, hardLink: String? = nil
    ) -> TreeEntry {
        var entry = TreeEntry(path: Array(path.utf8), type: type)
        entry.mode = mode ?? (type == .directory ? 0o755 : 0o644)
        entry.userID = owner
        entry.groupID = owner
        entry.modified = Timestamp(seconds: 1_000_000_000, nanoseconds: 123_456_789)
        entry.linkCount = links
        entry.hardLink = hardLink.map { Array($0.utf8) }
        return entry
    }

    private func attribute(_ name: String, _ value: String) -> ExtendedAttribute {
        ExtendedAttribute(name: Array(name.utf8), value: Array(value.utf8))
    }

    private func put(_ writer: TreeWriter, _ entry: TreeEntry, _ content: [UInt8] = []) throws {
        var entry = entry
        entry.size = UInt64(content.count)
        guard let handle = try writer.begin(entry) else { return }
        try write(writer, handle, 0, content)
        try writer.finish(handle, entry)
    }

    private func write(
        _ writer: TreeWriter, _ handle: TreeWriter.FileHandle, _ offset: UInt64, _ bytes: [UInt8]
    ) throws {
        try bytes.withUnsafeBytes { try writer.write(handle, at: offset, $0) }
    }

    private func look(_ path: String) throws -> stat {
        var status = stat()
        try #require(lstat(path, &status) == 0, "\(path)")
        return status
    }

    private func bytes(_ path: String) throws -> [UInt8] { try FileSystem().read(path) }
}
