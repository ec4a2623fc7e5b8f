import Engine
import Model
import Repository
import Synchronization
import TestSupport
import Testing

/// Looking through many snapshots at once, against looking at each alone.
@Suite struct BrowseTests {
    /// Nights of one tree, each made of the one before by some changes.
    private func nights(
        _ count: Int, entries: Int, changes: Int, using random: inout SeededRandom
    ) -> [[TreeEntry]] {
        func file(_ path: String, _ random: inout SeededRandom) -> TreeEntry {
            var entry = TreeEntry(path: Array(path.utf8), type: .file)
            entry.mode = 0o644
            entry.modified = Timestamp(nanoseconds: Int64.random(in: 0..<1_000, using: &random))
            entry.size = UInt64.random(in: 1..<60_000, using: &random)
            entry.content = ContentReference(
                length: entry.size, depth: 0,
                references: [ChunkReference(id: .random(), length: entry.size)])
            return entry
        }
        var tree: [[UInt8]: TreeEntry] = [[]: TreeEntry(path: [], type: .directory)]
        for directory in 0..<max(1, entries / 50) {
            tree[Array("d\(directory)".utf8)] = TreeEntry(
                path: Array("d\(directory)".utf8), type: .directory)
        }
        func name(_ random: inout SeededRandom) -> String {
            "d\(Int.random(in: 0..<max(1, entries / 50), using: &random))"
                + "/file-\(Int.random(in: 0..<100_000, using: &random))"
        }
        while tree.count < entries {
            let entry = file(name(&random), &random)
            tree[entry.path] = entry
        }
        var all: [[TreeEntry]] = []
        for _ in 0..<count {
            all.append(tree.values.sorted { TreeOrder.precedes($0.path, $1.path) })
            for _ in 0..<Int.random(in: 0...changes, using: &random) {
                let files = tree.keys.filter { $0.contains(47) }.sorted {
                    TreeOrder.precedes($0, $1)
                }
                // Of a small tree nothing may be left.
                if files.isEmpty { break }
                let victim = files[Int.random(in: 0..<files.count, using: &random)]
                switch Int.random(in: 0..<3, using: &random) {
                case 0: tree[victim] = nil
                case 1: tree[victim]?.mode ^= 0o22
                default:
                    let entry = file(
                        Bool.random(using: &random)
                            ? String(decoding: victim, as: UTF8.self) : name(&random), &random)
                    tree[entry.path] = entry
                }
            }
        }
        return all
    }

    private func store(_ trees: [[TreeEntry]], _ fixture: RepositoryFixture) async throws
        -> [ContentReference]
    {
        try await fixture.write(
            trees.map { entries in
                var encoder = TreeEncoder()
                var bytes: [UInt8] = []
                for entry in entries {
                    encoder.append(entry)
                    encoder.flush { bytes += $0 }
                }
                return bytes
            })
    }

    @Test("A merge of many trees gives what each of them holds")
    func merge() async throws {
        var random = SeededRandom.announced()
        for round in 0..<(TestEnvironment.isFull ? 60 : 6) {
            let fixture = try await RepositoryFixture()
            let count = Int.random(in: 1...20, using: &random)
            let trees = nights(
                count, entries: [3, 400, 6000][round % 3], changes: 12, using: &random)
            let contents = try await store(trees, fixture)
            let merge = TreeMerge(
                contents, reader: fixture.repository.makeReader(index: fixture.index))
            var seen = [[TreeEntry]](repeating: [], count: count)
            var last: [UInt8]?
            while let step = merge.next() {
                if let last { #expect(TreeOrder.precedes(last, step.path)) }
                last = step.path
                for group in step.groups {
                    #expect(group.entry.path == step.path)
                    for tree in group.trees { seen[tree].append(group.entry) }
                }
            }
            #expect(merge.failures.isEmpty)
            #expect(seen == trees)
        }
    }

    @Test("Twenty nights cost one of them and what changed")
    func mergeSharesWhatIsEqual() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        let contents = try await store(
            nights(20, entries: 20_000, changes: 2, using: &random), fixture)
        func cost(_ contents: [ContentReference]) throws -> Int {
            let index = CountingIndex(fixture.index)
            let merge = TreeMerge(contents, reader: fixture.repository.makeReader(index: index))
            while merge.next() != nil {}
            return index.located
        }
        let alone = try contents.map { try cost([$0]) }
        let together = try cost(contents)
        let all = alone.reduce(0, +)
        print("merge of 20 nights: \(together) chunks, \(all) one after the other")
        #expect(together < (alone.max() ?? 0) + 20 * 2 * 4)
        #expect(together < all / 2)
    }

    @Test("Equal trees are walked as one")
    func mergeOfEquals() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        let trees = nights(1, entries: 3000, changes: 0, using: &random)
        let content = try await store(trees, fixture)[0]
        let index = CountingIndex(fixture.index)
        let merge = TreeMerge(
            Array(repeating: content, count: 300),
            reader: fixture.repository.makeReader(index: index))
        var count = 0
        while let step = merge.next() {
            #expect(step.groups.count == 1 && step.groups[0].trees.count == 300)
            count += 1
        }
        #expect(count == trees[0].count)
        let single = CountingIndex(fixture.index)
        try fixture.repository.makeReader(index: single).entries(content) { _ in }
        #expect(index.located <= single.located)
    }

    @Test("A damaged tree drops out by name, the others go on")
    func mergeWithDamage() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        let trees = nights(3, entries: 4000, changes: 40, using: &random)
        var contents = try await store(trees, fixture)
        var broken = contents[1].references
        broken[broken.count - 1].id = .random()
        contents[1].references = broken
        let merge = TreeMerge(
            contents, reader: fixture.repository.makeReader(index: fixture.index))
        var seen = [[TreeEntry]](repeating: [], count: 3)
        while let step = merge.next() {
            for group in step.groups { for tree in group.trees { seen[tree].append(group.entry) } }
        }
        #expect(merge.failures.keys.sorted() == [1])
        #expect(seen[0] == trees[0] && seen[2] == trees[2])
    }

    @Test("A comparison says what two nights differ in, entry by entry")
    func comparison() async throws {
        var random = SeededRandom.announced()
        for _ in 0..<(TestEnvironment.isFull ? 100 : 10) {
            let fixture = try await RepositoryFixture()
            let trees = nights(2, entries: 500, changes: 60, using: &random)
            let contents = try await store(trees, fixture)
            let records = contents.map { record($0, entries: 500) }
            var expected: [[UInt8]: SnapshotChange.Kind] = [:]
            let old = Dictionary(uniqueKeysWithValues: trees[0].map { ($0.path, $0) })
            let new = Dictionary(uniqueKeysWithValues: trees[1].map { ($0.path, $0) })
            for path in Set(old.keys).union(new.keys) {
                let address = records[0].parts[0].address(of: path)
                switch (old[path], new[path]) {
                case (nil, _): expected[address] = .added
                case (_, nil): expected[address] = .removed
                case (let before?, let after?):
                    if before.content != after.content {
                        expected[address] = .content
                    } else if before.mode != after.mode || before.modified != after.modified {
                        expected[address] = .metadata
                    }
                }
            }
            var found: [[UInt8]: SnapshotChange.Kind] = [:]
            var comparison = SnapshotComparison(
                reader: fixture.repository.makeReader(index: fixture.index)
            ) {
                #expect(found.updateValue($0.kind, forKey: $0.path) == nil)
            }
            let totals = try comparison.compare(records[0], records[1])
            #expect(found == expected)
            #expect(totals.changes.values.reduce(0, +) == UInt64(expected.count))
            let both = Set(old.keys).intersection(new.keys).count
            #expect(
                totals.unchanged
                    == UInt64(both) - totals[.content] - totals[.metadata] - totals[.type])
        }
    }

    @Test("Bytes that came and went are counted by chunks, however long the contents are")
    func difference() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        let old = random.bytes(60 << 20)
        var new = old
        new.replaceSubrange((20 << 20)..<(20 << 20) + 5, with: [1, 2, 3])
        new += random.bytes(1 << 20)
        let contents = try await fixture.write([old, new, []])
        #expect(contents[0].depth > 0)
        let reader = fixture.repository.makeReader(index: fixture.index)
        let difference = try reader.difference(from: contents[0], to: contents[1])
        #expect((1 << 20)...(3 << 20) ~= difference.added, "\(difference)")
        #expect(1...(1 << 20) ~= difference.removed, "\(difference)")
        let all = try reader.difference(from: contents[2], to: contents[0])
        #expect(all.added == UInt64(old.count) && all.removed == 0)
    }

    @Test("A search names each version once, with all its snapshots")
    func search() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        let trees = nights(15, entries: 300, changes: 30, using: &random)
        let contents = try await store(trees, fixture)
        var records = contents.map { record($0, entries: 300) }
        for index in records.indices {
            records[index].asOf = Timestamp(nanoseconds: Int64(index) * 86_400_000_000_000)
        }
        let search = SnapshotSearch(
            reader: fixture.repository.makeReader(index: fixture.index)
        ) { _, name in name.last == UInt8(ascii: "7") }
        var matches: [[UInt8]: SearchMatch] = [:]
        let damage = try search.search(records) { matches[$0.path] = $0 }
        #expect(damage.isEmpty)
        var expected: [[UInt8]: [ContentReference: Set<Int>]] = [:]
        for (number, tree) in trees.enumerated() {
            for entry in tree where entry.path.last == UInt8(ascii: "7") {
                let address = records[0].parts[0].address(of: entry.path)
                expected[address, default: [:]][entry.content, default: []].insert(number)
            }
        }
        #expect(Set(matches.keys) == Set(expected.keys))
        for (path, versions) in expected {
            guard let match = matches[path] else { continue }
            #expect(match.snapshotCount == versions.values.reduce(0) { $0 + $1.count })
            for version in match.versions where version.entry.type == .file {
                // A version has one content; one content may have had two times.
                #expect(
                    versions[version.entry.content]?.isSuperset(of: version.snapshots) == true)
            }
            let newest = match.versions.compactMap { $0.snapshots.last }
            #expect(newest == newest.sorted(by: >))
        }
    }

    private func record(_ content: ContentReference, entries: UInt64) -> SnapshotRecord {
        var record = SnapshotRecord(
            id: .random(), workload: WorkloadID(text: "site/files:files"), service: "site",
            kind: .files, host: "host", run: .random(), asOf: Timestamp(nanoseconds: 0))
        record.parts = [
            SnapshotPart(
                name: "tree/0", kind: .tree, content: content, bytes: ByteCount(0),
                entries: entries, attributes: ["path": "/srv/www"])
        ]
        return record
    }
}

/// An index that counts how many chunks it was asked for.
private final class CountingIndex: ChunkIndex {
    private let base: any ChunkIndex
    private let count = Mutex(0)

    init(_ base: any ChunkIndex) { self.base = base }

    var located: Int { count.withLock { $0 } }

    func contains(_ ids: [ChunkID]) throws -> [Bool] { try base.contains(ids) }
    func locate(_ ids: [ChunkID]) throws -> [ChunkLocation?] {
        count.withLock { $0 += ids.count }
        return try base.locate(ids)
    }
    func record(_ pack: PackContents) throws { try base.record(pack) }
    func packs() throws -> [PackID: UInt64] { try base.packs() }
    func remove(_ packs: Set<PackID>) throws { try base.remove(packs) }
    func usage(_ isLive: (UInt64) -> Bool) throws -> [PackID: PackUsage] { try base.usage(isLive) }
    func generation() throws -> UInt64 { try base.generation() }
}
