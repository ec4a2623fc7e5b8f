import Model
import Repository
import TestSupport
import Testing

@Suite struct TreeCodingTests {
    private func entry(_ path: String, _ type: EntryType) -> TreeEntry {
        TreeEntry(path: Array(path.utf8), type: type)
    }

    private func decode(_ bytes: [UInt8], slices: Int) throws -> [TreeEntry] {
        var decoder = TreeDecoder(object: "a tree")
        var entries: [TreeEntry] = []
        var start = 0
        while start < bytes.count {
            let end = min(start + slices, bytes.count)
            bytes[start..<end].withUnsafeBytes { decoder.feed($0) }
            while let entry = try decoder.next() { entries.append(entry) }
            start = end
        }
        try decoder.finish()
        return entries
    }

    private func encode(_ entries: [TreeEntry]) -> [UInt8] {
        var encoder = TreeEncoder()
        for entry in entries { encoder.append(entry) }
        var bytes: [UInt8] = []
        encoder.flush { bytes = Array($0) }
        return bytes
    }

    @Test(arguments: [1, 7, 4096, 1 << 20])
    func everythingAnEntryHasComesBack(slices: Int) throws {
        var file = TreeEntry(path: [0x61, 0x2F, 0xFF, 0x0A], type: .file)
        file.mode = 0o4755
        file.userID = 70000
        file.groupID = .max
        file.modified = Timestamp(nanoseconds: -1)
        file.changed = Timestamp(nanoseconds: .max)
        file.inode = .max
        file.device = 66309
        file.size = 1 << 40
        file.linkCount = 3
        file.attributes = [
            ExtendedAttribute(name: Array("user.x".utf8), value: []),
            ExtendedAttribute(name: Array("security.capability".utf8), value: [1, 0, 255]),
        ]
        file.content = ContentReference(
            length: 1 << 40, depth: 0,
            references: [.zeros(1 << 39), ChunkReference(id: .random(), length: 65536)])
        var linked = entry("a/z", .file)
        linked.hardLink = file.path
        linked.content = file.content
        linked.isTorn = true
        var symlink = entry("b", .symlink)
        symlink.linkTarget = [0x2E, 0x2E, 0x2F, 0xFE]
        var device = entry("c", .blockDevice)
        device.deviceNumber = (259, 1_048_575)
        let entries = [
            entry("", .directory), entry("a", .directory), linked, file, symlink, device,
            entry("d", .fifo),
        ].sorted { TreeOrder.precedes($0.path, $1.path) }
        #expect(try decode(encode(entries), slices: slices) == entries)
    }

    @Test(arguments: ["/etc/passwd", "a/../../b", "a//b", "a/", ".", "a/./b", "x\u{0}y"])
    func namesThatLeaveTheTreeAreRefused(path: String) {
        #expect(throws: FormatError.self) {
            try decode(encode([entry("", .directory), entry(path, .file)]), slices: 4096)
        }
    }

    @Test func entriesOutOfOrderAreRefused() {
        let entries = [entry("", .directory), entry("b", .file), entry("a", .file)]
        #expect(throws: FormatError.self) { try decode(encode(entries), slices: 4096) }
        let twice = [entry("", .directory), entry("a", .file), entry("a", .file)]
        #expect(throws: FormatError.self) { try decode(encode(twice), slices: 4096) }
    }

    @Test func aListThatIsCutShortIsRefused() throws {
        let bytes = encode([entry("", .directory), entry("a", .file), entry("b", .directory)])
        let ends = try (0..<bytes.count).filter { count in
            do {
                _ = try decode(Array(bytes[..<count]), slices: 4096)
                return true
            } catch is FormatError {
                return false
            }
        }
        // Cut exactly between entries it is a shorter list: the content's length tells that.
        #expect(ends.count == 3)
    }

    @Test func garbageNeverCrashes() {
        var random = SeededRandom.announced()
        var refused = 0
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            do { _ = try decode(bytes, slices: 64) } catch { refused += 1 }
        }
        #expect(refused > 19_000)
    }
}
