import Model
import TestSupport
import Testing

@Suite(
    "Reference homelab: one VPS",
    .enabled(if: TestEnvironment.hasDockerPostgres, "needs a Docker Engine and a PostgreSQL image"),
    .enabled(if: TestEnvironment.isRoot, "looking into volumes needs root"))
struct OneVPSTests {
    @Test("Three nights, a disaster, everything back as it was; then a drill beside it")
    func scenario() async throws {
        try await TemporaryDirectory.with("vps") { scratch in
            let vps = try OneVPS(in: scratch)
            print("tree seed \(TestEnvironment.seed)")
            try await vps.build()
            var dr = try DrBinary(in: scratch)
            try scratch.write("dr.yaml", try vps.configuration())
            try await dr.initializeWithKey()
            try require(await dr.run("backup", "--quiet"), endsWith: .done)
            try await vps.live(day: 2)
            try require(await dr.run("backup", "--quiet"), endsWith: .done)
            try await vps.live(day: 3)
            try await vps.update()
            let before = try await vps.state()
            let night = try await peakMemory(of: dr.program(["backup", "--quiet"]))
            print("peak memory of a night: \(night >> 20) MiB")
            #expect(night < 300 << 20)

            try await vps.destroy()
            #expect(try await vps.docker.remains() == [])
            try require(await dr.run("restore", "--to", "here", "--yes"), endsWith: .done)
            let report = try await dr.run("report")
            try require(report, endsWith: .done, saying: "recovery time")
            print(report.text)
            let after = try await vps.state()
            #expect(after.answers == before.answers)
            #expect(after.umami == before.umami)
            #expect(after.app == before.app)
            for (now, then) in zip(after.files, before.files) {
                #expect(now.differences(from: then) == [])
            }
            // Directories above what was saved let everybody pass, as they did.
            let above = try await OutsideProgram.run(["stat", "-c", "%a", vps.scratch.path("opt")])
            #expect(above.text == "755\n")
            // The digest that ran is the digest that came back.
            #expect(after.images == before.images)
            #expect(after.running == before.running)

            let inventory = try await vps.docker.inventory(of: vps.docker.prefix)
            let drill = try await dr.run("drill", "--yes")
            try require(drill, endsWith: .done, saying: "passed", "nothing left")
            print(drill.text)
            #expect(drill.text.contains("manages containers"))
            #expect(try await vps.docker.inventory(of: vps.docker.prefix) == inventory)
            #expect(try await vps.docker.copies() == [])
        }
    }

    /// Runs a program that must succeed.
    ///
    /// - Returns: The most memory that it or a program it started held, in bytes. Asked by a small
    ///   process between: the kernel counts what the starting process holds as the program's.
    private func peakMemory(of program: OutsideProgram) async throws -> Int {
        var program = program
        let script = """
            import resource, subprocess, sys
            status = subprocess.run(sys.argv[1:]).returncode
            print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
            sys.exit(status)
            """
        program.words = ["python3", "-c", script] + program.words
        let outcome = try await program.run()
        try require(outcome, endsWith: .done)
        return try #require(outcome.text.split(separator: "\n").last.flatMap { Int($0) }) * 1024
    }
}
