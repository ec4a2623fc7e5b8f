import Engine
import Glibc
import Model
import Repository
import Restore
import TestSupport
import Testing
import Workloads

/// Repositories whose key somebody has stolen: everything in them is authentic, and nothing true.
@Suite(.enabled(if: TestEnvironment.isRoot, "owners and devices need root"))
struct CraftedTreeTests {
    private func entry(
        _ path: String, _ type: EntryType = .file, _ change: (inout TreeEntry) -> Void = { _ in }
    ) -> TreeEntry {
        var entry = TreeEntry(path: Array(path.utf8), type: type)
        entry.mode = type == .directory ? 0o755 : 0o644
        entry.modified = Timestamp(nanoseconds: 1)
        change(&entry)
        return entry
    }

    private var root: TreeEntry { entry("", .directory) }

    /// A tree, and whether anything may come back of it.
    private struct Crafted {
        var name: String
        var entries: [TreeEntry]
    }

    private func crafted(outside out: String, _ content: ContentReference) -> [Crafted] {
        func file(_ path: String, _ change: (inout TreeEntry) -> Void = { _ in }) -> TreeEntry {
            entry(path) {
                $0.size = content.length
                $0.content = content
                change(&$0)
            }
        }
        func link(_ path: String, to target: String) -> TreeEntry {
            entry(path, .symlink) { $0.linkTarget = Array(target.utf8) }
        }
        let huge = ChunkReference(id: content.references[0].id, length: 1 << 40)
        return [
            Crafted(name: "climbing", entries: [root, file("../outside/evil")]),
            Crafted(name: "climbing within", entries: [root, file("a/../../outside/evil")]),
            Crafted(name: "absolute", entries: [root, file(out + "/evil")]),
            Crafted(name: "a dot", entries: [root, file("./evil")]),
            Crafted(name: "a dot alone", entries: [root, file(".")]),
            Crafted(name: "two dots alone", entries: [root, entry("..", .directory)]),
            Crafted(name: "an empty component", entries: [root, file("a//evil")]),
            Crafted(name: "a zero byte", entries: [root, file("evil\u{0}/x")]),
            Crafted(name: "twice", entries: [root, file("f"), file("f")]),
            Crafted(name: "out of order", entries: [root, file("g"), file("f")]),
            Crafted(name: "no root", entries: [file("f")]),
            Crafted(
                name: "through a link",
                entries: [root, link("l", to: out), file("l/evil"), file("m")]),
            Crafted(
                name: "through two links",
                entries: [root, link("a", to: "b"), file("a/evil"), link("b", to: out)]),
            Crafted(
                name: "hard link out",
                entries: [
                    root,
                    file("h") {
                        $0.linkCount = 2
                        $0.hardLink = Array("../outside/victim".utf8)
                    },
                ]),
            Crafted(
                name: "hard link through a link",
                entries: [
                    root, link("a", to: out),
                    file("h") {
                        $0.linkCount = 2
                        $0.hardLink = Array("a/victim".utf8)
                    },
                ]),
            Crafted(
                name: "link target with a zero byte",
                entries: [root, link("l", to: "a\u{0}b")]),
            Crafted(
                name: "a size that its content has not",
                entries: [root, file("f") { $0.size = 1 << 50 }]),
            Crafted(
                name: "a content longer than its chunks",
                entries: [
                    root,
                    file("f") {
                        $0.size = 1 << 50
                        $0.content.length = 1 << 50
                    },
                ]),
            Crafted(
                name: "a chunk of a terabyte",
                entries: [
                    root,
                    file("f") {
                        $0.size = huge.length
                        $0.content = ContentReference(
                            length: huge.length, depth: 0, references: [huge])
                    },
                ]),
            Crafted(
                name: "holes that overflow",
                entries: [
                    root,
                    file("f") {
                        $0.size = 1 << 40
                        $0.content = ContentReference(
                            length: 1 << 40, depth: 0,
                            references: Array(repeating: .zeros(1 << 62), count: 8))
                    },
                ]),
            Crafted(
                name: "a hole of exabytes",
                entries: [
                    root,
                    file("f") {
                        $0.size = (1 << 63) - 1
                        $0.content = ContentReference(
                            length: (1 << 63) - 1, depth: 0, references: [.zeros((1 << 63) - 1)])
                    },
                ]),
            Crafted(
                name: "a node that is none",
                entries: [root, file("f") { $0.content.depth = 7 }]),
            Crafted(
                name: "a name too long",
                entries: [root, file(String(repeating: "n", count: 300))]),
        ]
    }

    @Test("No tree leads out, makes a fault of ours, or comes back without a word")
    func hostileTrees() async throws {
        try await TemporaryDirectory.with("crafted") { scratch in
            let out = try scratch.makeDirectory("inner/outside")
            try scratch.write("inner/outside/victim", "victim")
            let before = try TreeFingerprint(of: out)
            let night = try await NightFixture(in: scratch)
            let content = try await night.content(Array("evil".utf8))
            let cases = crafted(outside: out, content)
            for crafted in cases {
                let snapshot = try await night.snapshot(of: crafted.entries)
                let target = scratch.path("inner/target")
                do {
                    let summary = try await night.restore(snapshot, to: target)
                    #expect(!summary.problems.isEmpty, "\(crafted.name)")
                    #expect(
                        !summary.problems.joined().utf8.contains { $0 < 0x20 }, "\(crafted.name)")
                } catch let failure as Failure {
                    #expect(failure.code == .damaged, "\(crafted.name): \(failure)")
                }
                #expect(try TreeFingerprint(of: out) == before, "\(crafted.name)")
                let names = try FileSystem().names(in: scratch.path("inner"))
                #expect(Set(names).isSubset(of: ["outside", "target"]), "\(crafted.name)")
                _ = try await OutsideProgram.run(["rm", "-rf", target])

                // Whoever only looks is not harmed either.
                let lookup = TreeLookup(repository: night.repository, index: night.index)
                _ = try? await lookup.find([Array("x".utf8)], in: snapshot.parts[0])
                let export = TreeExport(repository: night.repository, index: night.index)
                let null = open("/dev/null", O_WRONLY)
                let summary = try? export.write(
                    [TreeExport.Item(SnapshotPlace(part: snapshot.parts[0]))],
                    asOf: Timestamp(nanoseconds: 0), to: null)
                close(null)
                if crafted.name.contains("chunk") || crafted.name.contains("size") {
                    // Refused as a whole, or named as what it is: never passed over.
                    #expect((summary?.problems.count ?? 1) == 1, "\(crafted.name)")
                }
            }
            print("crafted trees: \(cases.count) tried")
        }
    }

    @Test("Without privileges asked for, a stolen key brings none")
    func privileges() async throws {
        try await TemporaryDirectory.with("crafted") { scratch in
            let night = try await NightFixture(in: scratch)
            let snapshot = try await night.snapshot(of: [
                root,
                entry("null", .characterDevice) { $0.deviceNumber = (1, 3) },
                entry("s") { $0.mode = 0o4755 },
                entry("x") {
                    $0.attributes = [
                        ExtendedAttribute(name: Array("security.capability".utf8), value: [1]),
                        ExtendedAttribute(name: Array("trusted.x".utf8), value: [1]),
                    ]
                },
            ])
            let summary = try await night.restore(
                snapshot, to: scratch.path("target"),
                options: TreeReplayOptions(privilegedMetadata: false))
            #expect(summary.problems.isEmpty && summary.dropped.count == 3, "\(summary)")
            let entries = try TreeFingerprint(of: scratch.path("target")).entries
            #expect(entries["null"] == nil)
            #expect(entries["s"]?.contains("mode 755") == true)
            #expect(entries["x"]?.contains("security") == false)
        }
    }

    @Test("An archive of a tree is the tree: times, owners, attributes, holes, links, any depth")
    func archive() async throws {
        try await TemporaryDirectory.with("archive") { scratch in
            var random = SeededRandom.announced()
            var maker = TreeMaker(seed: random.next())
            let place = scratch.path("source")
            try maker.make(at: place, entries: 150, beyondPathMaximum: true)
            let night = try await NightFixture(in: scratch)
            let snapshot = try await night.backup(place)
            let file = scratch.path("archive.tar")
            let output = open(file, O_RDWR | O_CREAT, 0o600)
            defer { close(output) }
            let summary = try night.export(snapshot, to: output)
            #expect(summary.problems.isEmpty && summary.entries == snapshot.parts[0].entries)
            lseek(output, 0, SEEK_SET)
            let extracted = try TarExtraction(
                to: scratch.path("target"), options: TreeReplayOptions()
            ).extract(from: output)
            #expect(extracted.problems.isEmpty && extracted.dropped.isEmpty)
            #expect(
                try TreeFingerprint(of: scratch.path("target")).differences(
                    from: try TreeFingerprint(of: place)) == [])
        }
    }

    @Test("An archive of a tree with damage leaves out what is lost, names it, and is whole")
    func archiveOfDamage() async throws {
        try await TemporaryDirectory.with("archive") { scratch in
            var random = SeededRandom.announced()
            let night = try await NightFixture(in: scratch)
            let content = try await night.content(random.bytes(100_000))
            func file(_ path: String, lost: Bool) -> TreeEntry {
                entry(path) {
                    $0.size = content.length
                    $0.content = content
                    $0.linkCount = 2
                    if lost { $0.content.references[0].id = .random() }
                }
            }
            let snapshot = try await night.snapshot(of: [
                root, file("a", lost: false), file("b", lost: true),
                {
                    var link = file("c", lost: true)
                    link.hardLink = Array("b".utf8)
                    return link
                }(), file("d", lost: false),
            ])
            let file = scratch.path("archive.tar")
            let output = open(file, O_RDWR | O_CREAT, 0o600)
            defer { close(output) }
            let summary = try night.export(snapshot, to: output)
            #expect(summary.problems.count == 2, "\(summary.problems)")
            let listed = try await OutsideProgram.run(["tar", "-tf", file])
            #expect(listed.status == 0 && listed.text == "./\n./a\n./d\n", "\(listed)")
        }
    }
}
