import CLinux
import Engine
import Glibc
import Model
import Repository
import TestSupport
import Testing
import Workloads

/// What a night takes and an incident brings back, compared by a walk that shares no code with them.
@Suite(.enabled(if: TestEnvironment.isRoot, "owners and devices need root"))
struct TreeRoundTripTests {
    @Test("Everything that a file system allows comes back as it was", arguments: 0..<3)
    func everything(number: Int) async throws {
        try await TemporaryDirectory.with("round") { scratch in
            var random = SeededRandom.announced()
            var maker = TreeMaker(seed: random.next() &+ UInt64(number))
            let place = scratch.path("source")
            try maker.make(at: place, entries: 150, beyondPathMaximum: true)
            try Self.addCapability(to: "\(place)/plain")
            let night = try await NightFixture(in: scratch)
            let snapshot = try await night.backup(place)
            #expect(snapshot.isGood, "\(snapshot.omissions)")
            let summary = try await night.restore(snapshot, to: scratch.path("target"))
            #expect(summary.problems.isEmpty && summary.dropped.isEmpty)
            let before = try TreeFingerprint(of: place)
            #expect(before.entries.values.contains { $0.contains("security.capability") })
            #expect(
                try TreeFingerprint(of: scratch.path("target")).differences(from: before)
                    == [])
        }
    }

    /// `cap_net_bind_service+ep`, as `setcap` writes it.
    private static func addCapability(to path: String) throws {
        let value: [UInt8] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 8)
        guard setxattr(path, "security.capability", value, value.count, 0) == 0 else {
            throw OutsideProgram.Problem("setxattr")
        }
    }

    @Test("A single file comes back as a file")
    func singleFile() async throws {
        try await TemporaryDirectory.with("round") { scratch in
            let file = try scratch.write("settings.conf", "listen 80\n")
            chmod(file, 0o4711)
            let night = try await NightFixture(in: scratch)
            let first = try await night.backup(file)
            try await night.restore(first, to: scratch.path("copy.conf"))
            #expect(
                try TreeFingerprint(of: scratch.path("copy.conf")).differences(
                    from: try TreeFingerprint(of: file)) == [])
            // The next night knows it again.
            let second = try await night.backup(file)
            #expect(second.statistics.filesUnchanged == 1)
            #expect(second.parts[0].content == first.parts[0].content)
        }
    }

    @Test("Trees deeper than descriptors, paths and stacks are taken, restored and removed")
    func veryDeep() async throws {
        try await TemporaryDirectory.with("deep") { scratch in
            let levels = TestEnvironment.isFull ? 10_000 : 3000
            let place = try scratch.makeDirectory("source")
            // Made in steps, because no path says it.
            var current = open(place, O_RDONLY | O_DIRECTORY)
            for level in 0..<levels {
                #expect(mkdirat(current, "d\(level % 10)", 0o711) == 0)
                let next = dr_openat(current, "d\(level % 10)", O_RDONLY | O_DIRECTORY, 0)
                close(current)
                current = next
            }
            let bottom = dr_openat(current, "bottom", O_WRONLY | O_CREAT, 0o600)
            #expect(Glibc.write(bottom, "deep", 4) == 4)
            close(bottom)
            close(current)
            try scratch.write("source/z", "last")
            let night = try await NightFixture(in: scratch)
            let snapshot = try await night.backup(place)
            #expect(snapshot.isGood, "\(snapshot.omissions)")
            #expect(snapshot.parts[0].entries == UInt64(levels) + 3)
            let summary = try await night.restore(snapshot, to: scratch.path("target"))
            #expect(summary.problems.isEmpty && summary.entries == UInt64(levels) + 3)
            let again = try await night.backup(scratch.path("target"))
            #expect(again.parts[0].entries == UInt64(levels) + 3)
            #expect(again.statistics.bytesNew.bytes > 0)
            // What a restore that was cut off leaves is removed by the next one.
            rename(scratch.path("target"), scratch.path(".back.dr-restoring"))
            let tree = RestoredTree(path: scratch.path("back"))
            _ = try await tree.replay(
                "tree/0", from: night.source(snapshot), options: TreeReplayOptions(),
                replace: false)
            let left = try FileSystem().names(in: scratch.path).filter { $0.hasPrefix(".") }
            #expect(left.isEmpty)
        }
    }

    @Test("Holes are an optimisation: bytes are the same, whatever was written, cut and punched")
    func holes() async throws {
        try await TemporaryDirectory.with("holes") { scratch in
            var random = SeededRandom.announced()
            let rounds = TestEnvironment.isFull ? 60 : 6
            let place = try scratch.makeDirectory("source")
            let night = try await NightFixture(in: scratch)
            var tried = 0
            for round in 0..<rounds {
                for number in 0..<12 {
                    try Self.disturb("\(place)/file\(number)", using: &random)
                    tried += 1
                }
                // Some are settled, so that holes are looked for; some are read as they are.
                for number in 0..<12 where Bool.random(using: &random) {
                    let past = timespec(tv_sec: 1_000_000 + round, tv_nsec: 5)
                    utimensat(AT_FDCWD, "\(place)/file\(number)", [past, past], 0)
                }
                let snapshot = try await night.backup(place)
                let target = scratch.path("target\(round)")
                let summary = try await night.restore(snapshot, to: target)
                #expect(summary.problems.isEmpty)
                let aspects = TreeFingerprint.Aspects.all.subtracting(.holes)
                #expect(
                    try TreeFingerprint(of: target, aspects: aspects).differences(
                        from: try TreeFingerprint(of: place, aspects: aspects)) == [])
            }
            print("holes: \(tried) files tried")
        }
    }

    /// Writes, cuts and punches at random, as a database or a disk image does.
    private static func disturb(_ path: String, using random: inout SeededRandom) throws {
        let descriptor = dr_openat(AT_FDCWD, path, O_RDWR | O_CREAT, 0o600)
        guard descriptor >= 0 else { throw OutsideProgram.Problem("open \(path)") }
        defer { close(descriptor) }
        for _ in 0..<Int.random(in: 1...8, using: &random) {
            let offset = Int.random(in: 0..<(1 << 20), using: &random)
            let length = Int.random(in: 1...(200 << 10), using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: ftruncate(descriptor, off_t(offset))
            case 1:
                _ = dr_punch_hole(descriptor, off_t(offset), off_t(length))
            case 2:
                let zeros = [UInt8](repeating: 0, count: length)
                pwrite(descriptor, zeros, length, off_t(offset))
            default:
                let bytes = random.bytes(length)
                pwrite(descriptor, bytes, length, off_t(offset))
            }
        }
    }

    // MARK: What is not read again

    @Test("An unchanged file is not even opened; a changed one is")
    func unchangedIsNotRead() async throws {
        try await TemporaryDirectory.with("unchanged") { scratch in
            let place = try scratch.makeDirectory("source/below")
            let same = try scratch.write("source/below/same", [UInt8](repeating: 7, count: 50_000))
            let other = try scratch.write("source/other", "one")
            #expect(link(same, scratch.path("source/same too")) == 0)
            let night = try await NightFixture(in: scratch)
            _ = try await night.backup(scratch.path("source"))
            try scratch.write("source/other", "two")
            let watch = inotify_init1(Int32(IN_NONBLOCK))
            defer { close(watch) }
            for path in [same, other, place] {
                #expect(inotify_add_watch(watch, path, UInt32(IN_OPEN)) > 0)
            }
            let second = try await night.backup(scratch.path("source"))
            #expect(second.statistics.bytesRead == ByteCount(3))
            #expect(second.statistics.filesUnchanged == 1)
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = read(watch, &buffer, buffer.count)
            // inotify_event: watch (4), mask (4), cookie (4), length (4), name.
            var seen: Set<Int32> = []
            var start = 0
            while start + 16 <= count {
                let word = { (offset: Int) in
                    buffer.withUnsafeBytes {
                        $0.loadUnaligned(fromByteOffset: start + offset, as: Int32.self)
                    }
                }
                let isDirectory = UInt32(bitPattern: word(4)) & 0x4000_0000 != 0
                if !isDirectory, word(12) == 0 { seen.insert(word(0)) }
                start += 16 + Int(word(12))
            }
            #expect(seen == [2], "opened: \(seen)")
        }
    }

    @Test("A file that changed within the grain of time stamps is read again")
    func racyTimes() async throws {
        try await TemporaryDirectory.with("racy") { scratch in
            let file = try scratch.write("source", "aaaa")
            var status = stat()
            #expect(stat(file, &status) == 0)
            let changed = Timestamp(
                seconds: status.st_ctim.tv_sec, nanoseconds: status.st_ctim.tv_nsec)
            // The first night begins a second after the change: a second change could hide.
            let night = try await NightFixture(
                in: scratch, wall: changed + TimeSpan(seconds: 1))
            _ = try await night.backup(file)
            let second = try await night.backup(file)
            #expect(second.statistics.bytesRead == ByteCount(4), "it was not read again")
            let third = try await night.backup(file)
            #expect(third.statistics.bytesRead == ByteCount(0), "it was read although settled")
            // Size and time put back: the inode's change time tells.
            try scratch.write("source", "bbbb")
            var times = [status.st_atim, status.st_mtim]
            #expect(utimensat(AT_FDCWD, file, &times, 0) == 0)
            let fourth = try await night.backup(file)
            #expect(fourth.statistics.bytesRead == ByteCount(4))
            try await night.restore(fourth, to: scratch.path("back"))
            #expect(try FileSystem().read(scratch.path("back")) == Array("bbbb".utf8))
        }
    }

    @Test("A damaged past makes a night slow, never wrong or impossible")
    func damagedPast() async throws {
        try await TemporaryDirectory.with("past") { scratch in
            let place = try scratch.makeDirectory("source")
            for number in 0..<50 { try scratch.write("source/f\(number)", "\(number)") }
            let night = try await NightFixture(in: scratch)
            _ = try await night.backup(place)
            for object in try await night.store.list("packs") {
                try await night.store.delete(object.key)
            }
            try night.index.remove(Set(try night.index.packs().keys))
            let second = try await night.backup(place)
            #expect(second.statistics.filesUnchanged == 0)
            let summary = try await night.restore(second, to: scratch.path("target"))
            #expect(summary.problems.isEmpty && summary.files == 50)
        }
    }

    // MARK: Parts of trees

    @Test("Of one path only its own packs are read, and hard links within stay links")
    func subtreeReadsItsOwnPacks() async throws {
        try await TemporaryDirectory.with("subtree") { scratch in
            var random = SeededRandom.announced()
            let place = try scratch.makeDirectory("source/a/b")
            try scratch.write("source/0first", random.bytes(3 << 20))
            try scratch.write("source/a/b/wanted", random.bytes(3 << 20))
            try scratch.write("source/z", random.bytes(3 << 20))
            #expect(link(scratch.path("source/0first"), "\(place)/link1") == 0)
            #expect(link(scratch.path("source/0first"), "\(place)/link2") == 0)
            let night = try await NightFixture(in: scratch)
            var options = WriteOptions(workers: 1)
            options.packTarget = 1 << 20
            let snapshot = try await night.backup(scratch.path("source"), options: options)
            let target = scratch.path("target")
            try await night.restore(
                snapshot, to: target, options: TreeReplayOptions(root: Array("a/b".utf8)))
            let before = try TreeFingerprint(of: place)
            #expect(try TreeFingerprint(of: target).differences(from: before) == [])

            // What only others need may be gone.
            let reader = night.repository.makeReader(index: night.index)
            var needed: Set<PackID> = []
            func need(_ content: ContentReference) throws {
                try reader.forEachLeaf(content) { references in
                    for place in try night.index.locate(references.map(\.id)) {
                        if let place { needed.insert(place.pack) }
                    }
                }
            }
            try need(snapshot.parts[0].content)
            try reader.entries(snapshot.parts[0].content) { entry in
                if entry.path == Array("a/b/wanted".utf8) { try need(entry.content) }
            }
            let all = Set(try await night.repository.listPacks().keys)
            #expect(needed.count < all.count)
            for object in try await night.store.list("packs") {
                guard let id = PackID(object.key.name), !needed.contains(id) else { continue }
                try await night.store.delete(object.key)
            }
            let summary = try await night.restore(
                snapshot, to: scratch.path("one"),
                options: TreeReplayOptions(root: Array("a/b/wanted".utf8)))
            #expect(summary.problems.isEmpty && summary.files == 1)
            #expect(
                try FileSystem().read(scratch.path("one"))
                    == FileSystem().read("\(place)/wanted"))
            await #expect(throws: Failure.self) {
                try await night.restore(
                    snapshot, to: scratch.path("none"),
                    options: TreeReplayOptions(root: Array("a/nothing".utf8)))
            }
        }
    }

    @Test("A lost file takes all its names along, and nothing else")
    func lostHardLinks() async throws {
        try await TemporaryDirectory.with("lost") { scratch in
            var random = SeededRandom.announced()
            let place = try scratch.makeDirectory("source")
            try scratch.write("source/a", random.bytes(3 << 20))
            #expect(link(scratch.path("source/a"), scratch.path("source/m")) == 0)
            #expect(link(scratch.path("source/a"), scratch.path("source/y")) == 0)
            try scratch.write("source/z", random.bytes(3 << 20))
            let night = try await NightFixture(in: scratch)
            var options = WriteOptions(workers: 1)
            options.packTarget = 1 << 20
            let snapshot = try await night.backup(place, options: options)
            let reader = night.repository.makeReader(index: night.index)
            var lost: PackID?
            try reader.entries(snapshot.parts[0].content) { entry in
                guard entry.path == Array("a".utf8), lost == nil else { return }
                try reader.forEachLeaf(entry.content) { references in
                    lost = try lost ?? night.index.locate([references[0].id])[0]?.pack
                }
            }
            let pack = try #require(lost)
            for object in try await night.store.list("packs") where object.key.name == "\(pack)" {
                try await night.store.delete(object.key)
            }
            let summary = try await night.restore(snapshot, to: scratch.path("target"))
            #expect(summary.problems.count == 3, "\(summary.problems)")
            #expect(try FileSystem().names(in: scratch.path("target")) == ["z"])
        }
    }
}
