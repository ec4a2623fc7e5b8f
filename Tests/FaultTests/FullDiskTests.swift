import Engine
import Model
import TestSupport
import Testing

/// No space left: in the repository, beside the catalog, for temporary files, where a restore goes.
@Suite(.enabled(if: ScratchDisk.canMount, "needs root, to mount")) struct FullDiskTests {
    /// KiB that are free when the run begins; it needs about 600 in the repository.
    private static let sizes =
        TestEnvironment.isFull
        ? [
            0, 4, 8, 16, 32, 64, 128, 200, 256, 300, 350, 400, 450, 500, 550, 600, 650, 700, 800,
            1000,
        ]
        : [0, 16, 200, 480, 600]

    /// What can be done on a full disk: looking, and bringing back.
    private func expectReadable(_ trial: Trial, _ world: FaultWorld) async throws {
        let listed = Set(try await trial.snapshots("site"))
        guard listed.isSuperset(of: world.snapshots) else {
            throw TrialFailure("a snapshot is not listed: \(listed)")
        }
        try await world.expect(world.second, of: world.snapshots[1], in: trial)
    }

    private func expect(_ outcome: OutsideProgram.Outcome, isDoneOr code: ExitCode) throws {
        guard outcome.status == 0 || outcome.status == code.rawValue else {
            throw TrialFailure("\(outcome)")
        }
    }

    /// Moves a folder of a trial onto a disk of its own and leaves so many KiB free there.
    private func put(_ folder: String, of trial: Trial, on kilobytes: Int, _ world: FaultWorld)
        async throws -> ScratchDisk
    {
        let aside = trial.path + "/aside"
        _ = try await OutsideProgram.run(["mv", "\(trial.path)/\(folder)", aside])
        let disk = try await ScratchDisk.memory(
            "\(trial.name)/\(folder)", kilobytes: 64 << 10, in: world.scratch)
        _ = try await OutsideProgram.run(["cp", "-a", aside + "/.", disk.mountPoint])
        try await disk.resize(kilobytes: try disk.used() / 1024 + kilobytes)
        return disk
    }

    @Test("A full repository", .timeLimit(.minutes(20)))
    func repository() async throws {
        try await FaultWorld.with("full") { world in
            var full = 0
            for size in Self.sizes {
                let trial = try await world.trial()
                let disk = try await put("repo", of: trial, on: size, world)
                do {
                    let outcome = try await trial.run(["backup", "--quiet"])
                    try expect(outcome, isDoneOr: .noSpace)
                    if outcome.status != 0 { full += 1 }
                    try await expectReadable(trial, world)
                    let check = try await trial.run(["check"])
                    guard check.status == 0 else { throw TrialFailure("check: \(check)") }
                    if world.commands.contains("prune") {
                        let before = try disk.used()
                        try await trial.expectDone(
                            "forget", world.abandoned, "--force", "--yes")
                        try await trial.expectDone("prune", "--yes")
                        let after = try disk.used()
                        guard after < before else {
                            throw TrialFailure("prune freed nothing: \(before), then \(after)")
                        }
                    }
                    try await disk.resize(kilobytes: 64 << 10)
                    try await trial.expectDone("backup", "--quiet")
                    try await trial.expectDone("check", "--read-data")
                    try await world.expect(
                        world.now, of: try await trial.snapshots("site")[0], in: trial)
                } catch {
                    Issue.record("repository with \(size) KiB free: \(error)")
                }
                await disk.unmount()
                await trial.remove()
            }
            print("\(Self.sizes.count) sizes of a repository, \(full) of them full")
            #expect(full > 1)
        }
    }

    @Test("A full disk beside the catalog", .timeLimit(.minutes(20)))
    func catalog() async throws {
        try await FaultWorld.with("full") { world in
            var full = 0
            for size in Self.sizes {
                let trial = try await world.trial()
                let disk = try await put("state", of: trial, on: size, world)
                do {
                    // Even when the whole index has to be made again.
                    if size % 32 == 0 {
                        _ = try await OutsideProgram(
                            ["sh", "-c", "rm -f \(disk.mountPoint)/dr/*/chunks*"]
                        ).run()
                        try await disk.resize(kilobytes: try disk.used() / 1024 + size)
                    }
                    let outcome = try await trial.run(["backup", "--quiet"])
                    try expect(outcome, isDoneOr: .noSpace)
                    if outcome.status != 0 { full += 1 }
                    try await expectReadable(trial, world)
                    try await disk.resize(kilobytes: 64 << 10)
                    try await world.expectUnharmed(trial)
                } catch {
                    Issue.record("catalog with \(size) KiB free: \(error)")
                }
                await disk.unmount()
                await trial.remove()
            }
            print("\(Self.sizes.count) sizes of a catalog's disk, \(full) of them full")
            #expect(full > 0)
        }
    }

    @Test("No space for temporary files, and none where a restore goes")
    func temporaryAndTarget() async throws {
        try await FaultWorld.with("full") { world in
            let trial = try await world.trial()
            let disk = try await ScratchDisk.memory("small", kilobytes: 64, in: world.scratch)
            try world.scratch.write("small/filler", [UInt8](repeating: 1, count: 56 << 10))
            var tight = trial
            tight.dr.environment["TMPDIR"] = disk.mountPoint
            try await world.expectUnharmed(tight)
            for kilobytes in [64, 300, 900, 1800] {
                try await disk.resize(kilobytes: kilobytes)
                let outcome = try await trial.run(
                    ["restore", "site", "--to", disk.mountPoint + "/out", "--yes", "--quiet"])
                #expect(
                    outcome.status == ExitCode.noSpace.rawValue, "\(kilobytes) KiB: \(outcome)")
                _ = try await OutsideProgram.run(["rm", "-rf", disk.mountPoint + "/out"])
            }
            try await disk.resize(kilobytes: 64 << 10)
            let outcome = try await trial.run(
                ["restore", "site", "--to", disk.mountPoint + "/out", "--yes", "--quiet"])
            #expect(outcome.status == 0, "\(outcome)")
        }
    }

    @Test(
        "A disk that fills up while a restore goes on: the rest is back, and the run goes on later")
    func midRun() async throws {
        try await TemporaryDirectory.with("filling") { scratch in
            let disk = try await ScratchDisk.memory("disk", kilobytes: 16 << 10, in: scratch)
            var random = SeededRandom.announced()
            let data = (0..<6 << 20).map { _ in UInt8.random(in: 0...255, using: &random) }
            for directory in ["disk/late", "site"] {
                try scratch.makeDirectory(directory)
                try scratch.write("\(directory)/data", data)
            }
            let filler = disk.mountPoint + "/filler"
            try scratch.write(
                "fill", "cat >/dev/null; head -c 12M /dev/zero >'\(filler)'; true")
            try scratch.write(
                "dr.yaml",
                """
                repository: repo
                services:
                  site: {files: [site]}
                  fill: {command: {name: f, capture: [seq, "9"], restore: [sh, \(scratch.path("fill"))]}}
                  late: {files: [disk/late], after: [fill]}
                """)
            var dr = try DrBinary(in: scratch)
            dr.environment["DR_PASSWORD"] = "correct horse battery"
            dr.environment["DR_CONFIG"] = "dr.yaml"
            for words in [["init"], ["backup", "--quiet"]] {
                let outcome = try await dr.program(words).run()
                try #require(outcome.status == 0, "\(outcome)")
            }
            let removed = ["rm", "-rf", scratch.path("site"), scratch.path("disk/late")]
            _ = try await OutsideProgram.run(removed)
            let full = try await dr.run("restore", "--to", "here", "--yes")
            #expect(full.status == ExitCode.partial.rawValue, "\(full)")
            #expect(full.text.contains("a disk is full"), "\(full)")
            #expect(full.text.contains("dr restore --resume"), "\(full)")
            let compared = ["cmp", scratch.path("site/data"), scratch.path("disk/late/data")]
            #expect(try await OutsideProgram.run(compared).status != 0)
            _ = try await OutsideProgram.run(["rm", filler])
            try scratch.write("fill", "cat >/dev/null")
            let rest = try await dr.run("restore", "--resume")
            #expect(rest.status == 0, "\(rest)")
            #expect(try await OutsideProgram.run(compared).status == 0)
        }
    }
}
