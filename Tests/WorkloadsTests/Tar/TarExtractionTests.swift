import CLinux
import Engine
import Glibc
import Model
import TestSupport
import Testing
import Workloads

/// Archives of others brought back: what is honest comes back whole, what is not does no harm.
@Suite(.enabled(if: TestEnvironment.isRoot, "owners and devices need root"))
struct TarExtractionTests {
    private func extract(
        _ bytes: [UInt8], to target: String, in scratch: TemporaryDirectory,
        options: TreeReplayOptions = TreeReplayOptions(privilegedMetadata: false),
        limits: TarReader.Limits = TarReader.Limits()
    ) throws -> TreeReplaySummary {
        let file = try scratch.write("archive.tar", bytes)
        return try extract(file: file, to: target, options: options, limits: limits)
    }

    private func extract(
        file: String, to target: String,
        options: TreeReplayOptions = TreeReplayOptions(privilegedMetadata: false),
        limits: TarReader.Limits = TarReader.Limits()
    ) throws -> TreeReplaySummary {
        let descriptor = open(file, O_RDONLY)
        defer { close(descriptor) }
        return try TarExtraction(to: target, options: options, limits: limits)
            .extract(from: descriptor)
    }

    // MARK: Hostile archives

    @Test("Hostile archives change nothing outside, make nothing privileged, and never hang")
    func hostile() async throws {
        try await TemporaryDirectory.with("hostile") { scratch in
            let out = try scratch.makeDirectory("outside")
            try scratch.write("outside/victim", "victim")
            chmod("\(out)/victim", 0o640)
            let cases = HostileTar.all(outside: out)
            let before = try TreeFingerprint(of: out)
            for (number, tar) in cases.enumerated() {
                let target = scratch.path("inner/\(number)/target")
                let begin = ContinuousClock.now
                do {
                    let summary = try extract(tar.bytes, to: target, in: scratch)
                    switch tar.verdict {
                    case .refused(let reason):
                        Issue.record("\(tar): not refused with '\(reason)'")
                    case .entries(let count):
                        #expect(summary.problems.count == count, "\(tar): \(summary.problems)")
                        let shown = summary.problems.joined()
                        #expect(!shown.utf8.contains { $0 < 0x20 || $0 == 0x7F }, "\(tar)")
                    case .harmless(let dropped):
                        #expect(summary.problems.isEmpty, "\(tar): \(summary.problems)")
                        #expect(summary.dropped.count == dropped, "\(tar): \(summary.dropped)")
                    }
                } catch let failure as Failure {
                    if case .refused(let reason) = tar.verdict {
                        #expect(failure.message.contains(reason), "\(tar): \(failure)")
                    } else {
                        Issue.record("\(tar): \(failure)")
                    }
                }
                #expect(ContinuousClock.now - begin < .seconds(20), "\(tar)")
                #expect(try TreeFingerprint(of: out) == before, "\(tar)")
                #expect(try FileSystem().names(in: scratch.path("inner/\(number)")).count <= 1)
                if let target = try? TreeFingerprint(of: target, aspects: [.modes, .attributes]) {
                    expectNothingPrivileged(target, tar.name)
                    for path in tar.leaves {
                        let entry = target.entries[escaped(String(path.dropFirst(2)))]
                        let letter = entry.map { "\($0.prefix(1))" }
                        #expect(
                            letter == "\(path.prefix(1))" || letter == "f" && path.hasPrefix("p"),
                            "\(tar): \(path): \(entry ?? "absent")")
                    }
                }
            }
            print("hostile archives: \(cases.count) tried")
        }
    }

    private func escaped(_ text: String) -> String {
        text.utf8.map { byte in
            byte > 0x20 && byte < 0x7F
                ? String(UnicodeScalar(byte)) : "\\x" + Hexadecimal.encode([byte])
        }.joined()
    }

    private func expectNothingPrivileged(_ target: TreeFingerprint, _ name: String) {
        for (path, entry) in target.entries {
            #expect(!entry.hasPrefix("c ") && !entry.hasPrefix("b "), "\(name): \(path)")
            #expect(!entry.contains("trusted.") && !entry.contains("security."), "\(name): \(path)")
            for bits in ["mode 4", "mode 2", "mode 6"] {
                guard let range = entry.firstRange(of: bits) else { continue }
                let digits = entry[range.lowerBound...].dropFirst(5).prefix { $0.isNumber }
                #expect(digits.count < 4, "\(name): \(path) \(entry)")
            }
        }
    }

    @Test("What an archive plants the next one does not go through")
    func twoArchives() async throws {
        try await TemporaryDirectory.with("hostile") { scratch in
            let out = try scratch.makeDirectory("outside")
            try scratch.write("outside/victim", "victim")
            let before = try TreeFingerprint(of: out)
            var first = TarBytes()
            first.add("l", kind: "2", link: out)
            first.add("v", kind: "2", link: "\(out)/victim")
            first.add("p", kind: "6")
            first.end()
            var second = TarBytes()
            second.add("l/evil", data: [1])
            second.add("v", data: [1])
            second.add("p", data: [1])
            second.end()
            let target = scratch.path("target")
            #expect(try extract(first.bytes, to: target, in: scratch).problems.isEmpty)
            #expect(throws: Failure.self) { try extract(second.bytes, to: target, in: scratch) }
            var free = TreeReplayOptions(privilegedMetadata: false)
            free.allowNonEmptyTarget = true
            let summary = try extract(second.bytes, to: target, in: scratch, options: free)
            #expect(summary.problems.count == 1, "\(summary.problems)")
            #expect(try TreeFingerprint(of: out) == before)
        }
    }

    @Test("An archive that never ends is an error")
    func endless() async throws {
        try await TemporaryDirectory.with("hostile") { scratch in
            var tar = TarBytes()
            tar.add("f", data: [1])
            tar.end()
            let zeros = try scratch.write("zeros.tar", tar.bytes)
            #expect(truncate(zeros, 100 << 20) == 0)
            #expect(throws: Failure.self) { try extract(file: zeros, to: scratch.path("a")) }
            // tar itself fills its last record.
            #expect(truncate(zeros, 1 << 20) == 0)
            #expect(try extract(file: zeros, to: scratch.path("b")).files == 1)
            var many = TarBytes()
            for number in 0..<50 { many.add("f\(number)") }
            many.end()
            #expect(throws: Failure.self) {
                try extract(
                    many.bytes, to: scratch.path("c"), in: scratch,
                    limits: TarReader.Limits(entries: 49))
            }
            #expect(throws: Failure.self) {
                try extract(
                    many.bytes, to: scratch.path("d"), in: scratch,
                    limits: TarReader.Limits(bytes: 10_000))
            }
        }
    }

    @Test("Privileged metadata comes back when it is asked for")
    func privilegedOnRequest() async throws {
        try await TemporaryDirectory.with("hostile") { scratch in
            var tar = TarBytes()
            tar.add("null", kind: "3", mode: 0o666, device: (1, 3))
            tar.add("s", data: [1], mode: 0o4755, owner: 7)
            tar.pax([("SCHILY.xattr.trusted.x", "y"), ("SCHILY.xattr.user.a%3Db", "1")])
            tar.add("x", data: [1])
            tar.end()
            let target = scratch.path("target")
            let summary = try extract(
                tar.bytes, to: target, in: scratch, options: TreeReplayOptions())
            #expect(summary.problems.isEmpty && summary.dropped.isEmpty)
            let entries = try TreeFingerprint(of: target).entries
            #expect(entries["null"]?.hasPrefix("c 1,3") == true)
            #expect(entries["s"]?.contains("mode 4755, owner 7:7") == true)
            #expect(entries["x"]?.contains("trusted.x=y") == true)
            #expect(entries["x"]?.contains("user.a=b=1") == true)
        }
    }

    // MARK: Broken archives

    @Test("An archive that is cut anywhere is an error, never a smaller archive")
    func cut() async throws {
        try await TemporaryDirectory.with("cut") { scratch in
            var random = SeededRandom.announced()
            let bytes = try await archive(in: scratch, entries: 15)
            var cuts = Array(stride(from: 0, to: bytes.count, by: 512))
            cuts += (0..<60).map { _ in Int.random(in: 0..<bytes.count, using: &random) }
            if !TestEnvironment.isFull {
                cuts = cuts.shuffled(using: &random).prefix(150).map { $0 }
            }
            for (number, cut) in cuts.enumerated() {
                #expect(throws: Failure.self, "cut at \(cut) of \(bytes.count)") {
                    try extract(
                        Array(bytes[..<cut]), to: scratch.path("cut\(number)"), in: scratch)
                }
                _ = try await OutsideProgram.run(["rm", "-rf", scratch.path("cut\(number)")])
            }
            let summary = try extract(bytes, to: scratch.path("whole"), in: scratch)
            #expect(summary.problems.isEmpty)
            print("cut archives: \(cuts.count) tried")
        }
    }

    @Test("Random damage is refused or harmless, and nothing outside changes")
    func damaged() async throws {
        try await TemporaryDirectory.with("damaged") { scratch in
            var random = SeededRandom.announced()
            let bytes = try await archive(in: scratch, entries: 15)
            let inner = try scratch.makeDirectory("inner")
            let count = TestEnvironment.isFull ? 5000 : 200
            var refused = 0
            for number in 0..<count {
                var damaged = bytes
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    let place = Int.random(in: 0..<damaged.count, using: &random)
                    damaged[place] = UInt8.random(in: 0...255, using: &random)
                    // Damage that the checksum cannot tell reaches what is behind it.
                    if Bool.random(using: &random) { Self.mend(&damaged, block: place / 512) }
                }
                let target = "\(inner)/target"
                do {
                    let summary = try extract(damaged, to: target, in: scratch)
                    if !summary.problems.isEmpty { refused += 1 }
                } catch is Failure {
                    refused += 1
                }
                #expect(try FileSystem().names(in: inner).allSatisfy { $0 == "target" })
                let removed = try await OutsideProgram.run(["rm", "-rf", target])
                #expect(removed.status == 0, "\(number)")
            }
            print("damaged archives: \(count) tried, \(refused) refused")
        }
    }

    /// Gives a block the checksum that a header would need.
    private static func mend(_ bytes: inout [UInt8], block: Int) {
        let start = block * 512
        guard start + 512 <= bytes.count else { return }
        for index in 148..<156 { bytes[start + index] = 32 }
        let sum = bytes[start..<(start + 512)].reduce(0) { $0 + Int($1) }
        let digits = String(sum, radix: 8)
        let text = Array((String(repeating: "0", count: 6 - digits.count) + digits).utf8) + [0, 32]
        for (index, byte) in text.enumerated() { bytes[start + 148 + index] = byte }
    }

    /// What GNU tar makes of a tree with everything in it.
    private func archive(in scratch: TemporaryDirectory, entries: Int) async throws -> [UInt8] {
        let place = try scratch.makeDirectory("tree")
        try scratch.makeDirectory("tree/d/e")
        for number in 0..<entries {
            try scratch.write("tree/d/f\(number)", "content \(number)")
        }
        try scratch.write("tree/" + String(repeating: "n", count: 200), "long")
        #expect(symlink("d/e", "\(place)/link") == 0)
        #expect(link("\(place)/d/f0", "\(place)/hard") == 0)
        #expect(setxattr("\(place)/d/f1", "user.x", "y", 1, 0) == 0)
        let sparse = try scratch.write("tree/sparse", "begin")
        #expect(truncate(sparse, 1 << 20) == 0)
        let file = scratch.path("made.tar")
        let made = try await OutsideProgram.run(
            // Records of one block: nothing follows the end mark.
            [
                "tar", "--format=pax", "--sparse", "--xattrs", "-b", "1", "-C", place, "-cf", file,
                ".",
            ])
        #expect(made.status == 0, "\(made)")
        return try FileSystem().read(file)
    }

    // MARK: Honest archives

    @Test(
        "What GNU tar writes comes back as GNU tar itself brings it back",
        arguments: [
            ["--format=pax", "--sparse", "--xattrs", "--xattrs-include=*", "--acls"],
            ["--format=pax", "--sparse", "--sparse-version=0.0"],
            ["--format=pax", "--sparse", "--sparse-version=0.1"],
            ["--format=gnu", "--sparse"], ["--format=gnu"], ["--format=oldgnu"],
        ])
    func fromGNUTar(options: [String]) async throws {
        try await TemporaryDirectory.with("gnu") { scratch in
            var random = SeededRandom.announced()
            var maker = TreeMaker(seed: random.next())
            let place = scratch.path("source")
            try maker.make(at: place, entries: 120)
            let file = scratch.path("archive.tar")
            let made = try await OutsideProgram.run(
                ["tar"] + options + ["--numeric-owner", "-C", place, "-cf", file, "."])
            #expect(made.status == 0, "\(made)")
            let target = scratch.path("target")
            let summary = try extract(file: file, to: target, options: TreeReplayOptions())
            #expect(summary.problems.isEmpty && summary.dropped.isEmpty, "\(summary.problems)")

            let theirs = try scratch.makeDirectory("theirs")
            let extracted = try await OutsideProgram.run(
                [
                    "tar", "--numeric-owner", "-xpf", file, "-C", theirs, "--xattrs",
                    "--xattrs-include=*", "--acls",
                ])
            #expect(extracted.status == 0, "\(extracted)")
            #expect(
                try TreeFingerprint(of: target).differences(from: try TreeFingerprint(of: theirs))
                    == [])
            if options.count > 4 {
                #expect(
                    try TreeFingerprint(of: target).differences(
                        from: try TreeFingerprint(of: place)) == [])
            }
        }
    }

    @Test("Old formats come back", arguments: ["v7", "ustar"])
    func oldFormats(format: String) async throws {
        try await TemporaryDirectory.with("old") { scratch in
            let place = try scratch.makeDirectory("source/d")
            try scratch.write("source/d/f", "content")
            let prefix = String(repeating: "p", count: 80)
            if format == "ustar" {
                try scratch.makeDirectory("source/\(prefix)")
                try scratch.write("source/\(prefix)/\(prefix)", "long")
            }
            #expect(symlink("f", "\(place)/l") == 0)
            #expect(link("\(place)/f", "\(place)/h") == 0)
            let file = scratch.path("archive.tar")
            let made = try await OutsideProgram.run(
                ["tar", "--format=\(format)", "-C", scratch.path("source"), "-cf", file, "."])
            #expect(made.status == 0, "\(made)")
            let target = scratch.path("target")
            #expect(try extract(file: file, to: target).problems.isEmpty)
            let aspects = TreeFingerprint.Aspects.all.subtracting(.times)
            #expect(
                try TreeFingerprint(of: target, aspects: aspects).differences(
                    from: try TreeFingerprint(of: scratch.path("source"), aspects: aspects)) == [])
        }
    }
}
