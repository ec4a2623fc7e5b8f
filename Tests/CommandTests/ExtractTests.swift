import Model
import TestSupport
import Testing

/// The way out for who has lost `dr`: `scripts/dr-extract.py`, written from FORMAT.md alone, reads
/// what the real program wrote.
@Suite(
    "Reading without dr",
    .enabled(if: PythonReader.isThere, "needs python3 with cryptography and zstandard"))
struct ExtractTests {
    private static let password = ["DR_PASSWORD": "correct horse battery stäple"]
    private static let configuration = """
        repository: repo
        services:
          site: {files: [www]}
          feed: {command: {name: feed, capture: [cat, feed], restore: [cat]}}

        """

    private func with(_ body: (TemporaryDirectory, DrBinary) async throws -> Void) async throws {
        try await TemporaryDirectory.with("extract") { scratch in
            try scratch.write("dr.yaml", Self.configuration)
            var dr = try DrBinary(in: scratch)
            dr.environment.merge(Self.password) { $1 }
            dr.environment["DR_CONFIG"] = "dr.yaml"
            try await body(scratch, dr)
        }
    }

    private func python(_ scratch: TemporaryDirectory, _ words: String...) async throws
        -> OutsideProgram.Outcome
    {
        try await PythonReader.run(
            "scripts/dr-extract.py", [scratch.path("repo")] + words, environment: Self.password)
    }

    /// Ids of the snapshots that it lists, with their workloads, the oldest first.
    private func listed(_ scratch: TemporaryDirectory) async throws -> [(id: String, of: String)] {
        let list = try await python(scratch, "list")
        #expect(list.status == 0, "\(list)")
        return list.text.split(separator: "\n").filter { !$0.hasPrefix(" ") }.map { line in
            let words = line.split(separator: " ")
            return (String(words[0]), String(words[2]))
        }
    }

    @Test("A tree with everything in it and a long stream come out as they went in")
    func roundTrip() async throws {
        try await with { scratch, dr in
            var random = SeededRandom.announced()
            var maker = TreeMaker(seed: .random(in: 1...1_000_000, using: &random))
            print("tree of seed \(maker.seed)")
            try maker.make(at: scratch.path("www"))
            // Longer than 32 chunks: its references are in nodes, and with holes runs of zeros too.
            try scratch.write("www/long", random.bytes(6_000_000))
            let islands =
                "for n in $(seq 0 2 99); do head -c 9000 /dev/urandom"
                + " | dd of=www/islands bs=64K seek=$n conv=notrunc status=none; done;"
                + " truncate -s 7000001 www/islands; touch -d 2026-01-01 www/islands www/long www"
            let made = try await OutsideProgram(["bash", "-c", islands], directory: scratch.path)
                .run()
            #expect(made.status == 0, "\(made)")
            // Text, then zeros, then what nothing compresses.
            let feed =
                random.text(4_000_000) + [UInt8](repeating: 0, count: 3_000_000)
                + random.bytes(1_000_001)
            try scratch.write("feed", feed)
            #expect(try await dr.run("init").status == 0)
            let saved = try await dr.run("backup")
            #expect(saved.status == 0, "\(saved)")
            // Captured side by side: either may be first.
            let snapshots = try await listed(scratch).sorted { $0.of > $1.of }
            #expect(snapshots.map(\.of) == ["site/files:files", "feed/command:feed"])
            let mine = try await dr.run("snapshots", "--json")
            #expect(snapshots.allSatisfy { mine.text.contains($0.id) })

            let tree = try await python(
                scratch, "extract", String(snapshots[0].id.prefix(12)), scratch.path("out"))
            #expect(tree.status == 0 || !TestEnvironment.isRoot, "\(tree)")
            let aspects: TreeFingerprint.Aspects =
                TestEnvironment.isRoot
                ? .all : [.times, .attributes, .holes, .hardLinks, .modes, .top]
            let source = try TreeFingerprint(of: scratch.path("www"), aspects: aspects)
            let copy = try TreeFingerprint(of: scratch.path("out/tree%2F0"), aspects: aspects)
            #expect(copy.differences(from: source).isEmpty, "\(copy.differences(from: source))")

            let stream = try await python(
                scratch, "extract", snapshots[1].id, "-", "--part", "output")
            #expect(stream.status == 0, "\(stream.errorText)")
            #expect(stream.output == feed, "the stream has changed")
        }
    }

    @Test("Damage is named, what is whole comes out, and a wrong password opens nothing")
    func damage() async throws {
        try await with { scratch, dr in
            var random = SeededRandom.announced()
            try scratch.makeDirectory("www")
            for number in 0..<8 { try scratch.write("www/\(number)", random.bytes(700_000)) }
            #expect(try await dr.run("init").status == 0)
            #expect(try await dr.run("backup", "site").status == 0)
            let snapshots = try await listed(scratch)
            // One byte in the first third of the largest pack, which holds the files.
            let spoil =
                "f=$(ls -S repo/packs/*/* | head -n 1); printf '\\377\\376' "
                + "| dd of=$f bs=1 seek=1000000 conv=notrunc status=none"
            _ = try await OutsideProgram(["bash", "-c", spoil], directory: scratch.path).run()

            let tree = try await python(scratch, "extract", snapshots[0].id, scratch.path("out"))
            #expect(tree.status == 1)
            #expect(tree.errorText.contains("frame 0: damaged"), "\(tree)")
            var whole = 0
            for number in 0..<8 {
                let same = try await OutsideProgram.run(
                    ["cmp", scratch.path("www/\(number)"), scratch.path("out/tree%2F0/\(number)")])
                if same.status == 0 { whole += 1 }
                // Status 2 is a file that is not there; one that differs would be silent damage.
                #expect(same.status != 1, "file \(number) came out otherwise than it went in")
            }
            #expect((5...7).contains(whole), "\(whole) of 8 came out")

            let wrong = try await PythonReader.run(
                "scripts/dr-extract.py", [scratch.path("repo"), "list"],
                environment: ["DR_PASSWORD": "wrong"])
            #expect(wrong.status == 1 && wrong.output.isEmpty)
            #expect(
                wrong.errorText == "dr-extract: no key slot opens with this password or key\n")
        }
    }
}
