import Engine
import Model
import TestSupport
import Testing

/// Damage, rollback and lost state, through the real program.
@Suite("dr finds and repairs damage")
struct RepairCommandTests: CommandSuite {
    private func with(
        _ body: (TemporaryDirectory, DrBinary) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with("repair") { scratch in
            try scratch.write(
                "dr.yaml",
                """
                repository: repo
                services:
                  site: {files: [www]}
                  rows: {command: {capture: seq 1000}}
                """)
            var dr = try DrBinary(in: scratch)
            try await dr.initializeWithKey()
            try scratch.makeDirectory("www")
            // Several files of incompressible bytes, so that one frame is not all of them.
            try await shell(
                "for n in 1 2 3 4 5 6; do head -c 1500000 /dev/urandom >www/$n; done", in: scratch)
            // One after the other: no frame of the files' has anything of the rows in it.
            expect(try await dr.run("backup", "rows", "--quiet"), .done)
            expect(try await dr.run("backup", "site", "--quiet"), .done)
            try await body(scratch, dr)
        }
    }

    /// Changes a byte in the middle of the largest pack.
    private static let spoil = """
        pack=$(ls -S repo/packs/*/* | head -1)
        printf '\\xff\\x00\\xff' | dd of="$pack" bs=1 seek=4000000 conv=notrunc status=none
        """

    @Test("Damage is named, set aside, and healed by the next backup")
    func repair() async throws {
        try await with { scratch, dr in
            try await shell(Self.spoil, in: scratch)
            expect(try await dr.run("check"), .done, "none read")
            let bad = try await dr.run("check", "--read-data")
            expect(bad, .damaged, "frame ", "cannot be restored:\n  site snapshot ", "tree/0: ")
            #expect(!bad.text.contains("rows snapshot"))

            // A restore gives back the rest, and its code says why something is missing.
            let restored = try await dr.run("restore", "--to", "./back", "--yes")
            expect(restored, .damaged)
            let files = try await OutsideProgram.run(
                ["bash", "-c", "find \(scratch.path)/back -type f | wc -l"])
            #expect((Int(files.text.filter(\.isNumber)) ?? 0) >= 4, "\(files)")

            let shown = try await dr.run("check", "--read-data", "--repair", "--dry-run")
            expect(shown, .damaged, "a repair would", "store anew what can be read of 1 pack")
            expect(
                try await dr.run("check", "--read-data", "--repair"), .usage,
                "nobody is there to answer")
            expect(try await dr.run("check", "--read-data"), .damaged)
            let done = try await dr.run("check", "--read-data", "--repair", "--yes")
            expect(done, .damaged, "set aside 1 pack", "run dr backup")
            let aside = try await OutsideProgram.run(
                ["bash", "-c", "ls \(scratch.path)/repo/damaged/packs/*/*"])
            #expect(aside.text.split(separator: "\n").count == 1)

            // Files that have not changed are read again all the same.
            expect(try await dr.run("backup", "--quiet"), .done)
            expect(try await dr.run("check", "--read-data"), .done, "no damage")
            for id in try await dr.run("snapshots", "site").text.split(separator: "\n").dropFirst()
            {
                let target = "./again-\(id.prefix(8))"
                expect(
                    try await dr.run(
                        "restore", "site", "--to", target, "--at", String(id.prefix(8)), "--yes"),
                    .done)
                try await shell(
                    "for n in 1 2 3 4 5 6; do cmp www/$n \"$(find \(target) -name $n)\"; done",
                    in: scratch)
            }
        }
    }

    @Test("A pack that vanished is told of before a restore begins, which brings the rest")
    func vanishedBeforeARestore() async throws {
        try await with { scratch, dr in
            // What this snapshot adds, and its list of files, lie in a pack of their own.
            try scratch.write("www/7", "seven")
            expect(try await dr.run("backup", "site", "--quiet"), .done)
            let whole = try await dr.run("plan", "site", "--to", "./back")
            expect(whole, .done)
            #expect(!whole.text.contains("missing"))
            try await shell("rm \"$(ls -S repo/packs/*/* | head -1)\"", in: scratch)
            expect(
                try await dr.run("plan", "site", "--to", "./back"), .done,
                "are missing from the repository", "--at")
            let restored = try await dr.run("restore", "site", "--to", "./back", "--yes")
            expect(restored, .damaged, "are missing from the repository")
            try await shell(
                "cmp www/7 \"$(find back -name 7)\"; ! find back -name 1 | grep .", in: scratch)
        }
    }

    @Test("A pack that vanished does not make the next backup lie")
    func vanished() async throws {
        try await with { scratch, dr in
            try await shell("rm \"$(ls -S repo/packs/*/* | head -1)\"", in: scratch)
            let saved = try await dr.run("backup", "-v")
            expect(saved, .done, "everything is read again")
            expect(try await dr.run("check", "--read-data"), .done, "no damage")
        }
    }

    @Test("Parts of the data are read in turn")
    func subsets() async throws {
        try await with { _, dr in
            for part in [1, 2, 1] {
                expect(try await dr.run("check", "--subset", "50%"), .done, "part \(part) of 2")
            }
            expect(try await dr.run("check", "--subset", "3/7"), .done, "part 3 of 7")
            expect(try await dr.run("check", "--subset", "8/7"), .usage, "--subset must be")
        }
    }

    @Test("A repository that goes back in time is refused until somebody accepts it")
    func rollback() async throws {
        try await with { scratch, dr in
            let receipt = try await dr.run("check")
            try scratch.write("receipt.txt", receipt.text)
            try await shell("cp -a repo yesterday", in: scratch)
            expect(try await dr.run("backup", "--quiet"), .done)
            let today = try await dr.run("check").text
            let hash = try #require(
                today.split(separator: "\n").first { $0.contains(" record ") }?
                    .split(separator: " ").first)
            expect(try await dr.run("check", "--receipt", "receipt.txt"), .done)
            expect(try await dr.run("check", "--receipt", String(hash)), .done)
            try await shell("mv repo today; cp -a yesterday repo", in: scratch)

            for command in [
                ["backup"], ["prune"], ["forget", "--keep-last", "1"], ["key", "rotate"],
            ] {
                expect(
                    try await dr.program(command).run(), .damaged,
                    "is not what this machine has seen before")
            }
            expect(try await dr.run("check"), .damaged, "hidden or rolled back")
            expect(try await dr.run("snapshots"), .done, "is not what this machine has seen")
            // A machine that knows nothing has the receipt.
            let cold = ["XDG_STATE_HOME": scratch.path("elsewhere")]
            expect(try await dr.run("check", environment: cold), .done)
            expect(
                try await dr.run("check", "--receipt", String(hash.prefix(16)), environment: cold),
                .damaged, "no record has the hash")
            expect(
                try await dr.run("check", "--receipt", "receipt.txt", environment: cold), .done)

            expect(try await dr.run("catalog", "rebuild"), .done, "the catalog knows 2 snapshots")
            expect(try await dr.run("backup"), .done)
            expect(try await dr.run("check", "--read-data"), .done, "no damage")
        }
    }

    @Test("A lost, old or damaged catalog lists the same")
    func catalog() async throws {
        try await with { scratch, dr in
            let id = try await OutsideProgram.run(["ls", scratch.path("state/dr")]).text
                .filter { !$0.isWhitespace }
            try await shell("cp -a state lastweek", in: scratch)
            expect(try await dr.run("backup", "--quiet"), .done)
            let listed = try await dr.run("snapshots").text
            func same() async throws {
                let again = try await dr.run("snapshots")
                #expect(again.status == 0 && again.text == listed, "\(again)")
            }
            try await shell("rm -rf state", in: scratch)
            expect(try await dr.run("catalog", "rebuild"), .done, "the catalog knows 4 snapshots")
            try await same()
            try await shell("rm -rf state; cp -a lastweek state", in: scratch)
            try await same()
            expect(try await dr.run("backup", "--quiet"), .done)
            expect(try await dr.run("check"), .done, "no damage")

            // Bytes of the catalog change, here and there.
            var random = SeededRandom.announced()
            let now = try await dr.run("snapshots").text
            try await shell("cp -a state good", in: scratch)
            let files = try FileSystem().names(in: scratch.path("good/dr/\(id)")).sorted()
                .filter { $0.hasSuffix(".sqlite") || $0.hasSuffix("-wal") }
            for number in 0..<10 {
                try await shell("rm -rf state; cp -a good state", in: scratch)
                let path = scratch.path("state/dr/\(id)/\(files[number % files.count])")
                var bytes = try FileSystem().read(path)
                if bytes.isEmpty { continue }
                let place = Int.random(in: 0..<bytes.count, using: &random)
                bytes[place] ^= UInt8(1) << UInt8.random(in: 0...7, using: &random)
                try FileSystem().writeDurably(bytes, to: path)
                let again = try await dr.run("snapshots")
                #expect(
                    again.status == 0 && again.text == now,
                    "byte \(place) of \(path): \(again)")
                expect(try await dr.run("check"), .done, "no damage")
            }
            expect(try await dr.run("restore", "--to", "./back", "--yes"), .done)
        }
    }
}
