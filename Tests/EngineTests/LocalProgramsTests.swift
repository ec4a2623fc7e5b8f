import CLinux
import Engine
import Glibc
import Model
import Synchronization
import TestSupport
import Testing

@Suite struct LocalProgramsTests {
    private let programs = LocalPrograms()

    @Test func givesOutputErrorsAndStatus() async throws {
        let result = try await programs.run(
            ProgramCall(["sh", "-c", "echo out; echo err >&2; exit 7"]))
        #expect(result.status == 7)
        #expect(result.text == "out\n")
        #expect(result.errorText == "err\n")
    }

    @Test func aSignalIsAStatusAbove128() async throws {
        let result = try await programs.run(ProgramCall(["sh", "-c", "kill -9 $$"]))
        #expect(result.status == 137)
    }

    @Test func readsAndWritesGivenDescriptorsAndLeavesThemOpen() async throws {
        try await TemporaryDirectory.with("programs") { directory in
            let content = [UInt8](repeating: 65, count: 300_000)
            let input = open(try directory.write("in", content), O_RDONLY)
            let output = open(directory.path("out"), O_WRONLY | O_CREAT, 0o600)
            defer {
                close(input)
                close(output)
            }
            let result = try await programs.run(
                ProgramCall(["sh", "-c", "cat; echo done >&2"], input: input, output: output))
            #expect(result.status == 0)
            #expect(result.output.isEmpty)
            #expect(result.errorText == "done\n")
            #expect(try FileSystem().read(directory.path("out")) == content)
            #expect(fcntl(input, F_GETFD) >= 0)
            #expect(fcntl(output, F_GETFD) >= 0)
        }
    }

    @Test func keepsAllOutputAndTheEndOfTheErrors() async throws {
        let result = try await programs.run(
            ProgramCall([
                "sh", "-c", "head -c 5000000 /dev/zero; head -c 900000 /dev/zero >&2; echo E >&2",
            ]))
        #expect(result.output.count == 5_000_000)
        #expect(result.errorText.utf8.count == 64 << 10)
        #expect(result.errorText.hasSuffix("E\n"))
    }

    @Test(.timeLimit(.minutes(1)))
    func tellsLinesWhileTheProgramRuns() async throws {
        let pipe = try Pipe()
        defer { pipe.closeReader() }
        var call = ProgramCall(
            ["sh", "-c", "printf 'one\\ntwo\\rthr'; read answer; printf 'ee\\n'; echo four"],
            input: pipe.reader)
        let heard = Mutex<[String]>([])
        call.heard = { line in
            heard.withLock { $0.append(line) }
            // It waits for an answer that comes only when its second line was heard.
            if line == "two" { pipe.closeWriter() }
        }
        let result = try await programs.run(call)
        #expect(heard.withLock { $0 } == ["one", "two", "three", "four"])
        #expect(result.text == "one\ntwo\rthree\nfour\n")
    }

    @Test func passesTheEnvironmentButNotInWords() async throws {
        let result = try await programs.run(
            ProgramCall(["sh", "-c", "echo $SECRET; echo $PATH"], environment: ["SECRET": "s3"]))
        #expect(result.text.hasPrefix("s3\n/"))
    }

    @Test func aMissingProgramIsNamed() async throws {
        for program in ["no-such-program", "/no/such/program"] {
            await #expect {
                _ = try await programs.run(ProgramCall([program]))
            } throws: { error in
                let failure = error as? Failure
                return failure?.message.contains(program) == true && failure?.hint != nil
            }
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func theTimeLimitEndsTheProgramAndItsChildren() async throws {
        try await TemporaryDirectory.with("programs") { directory in
            let file = directory.path("pid")
            let start = ContinuousClock.now
            await #expect(throws: Failure.self) {
                _ = try await programs.run(
                    ProgramCall(
                        ["sh", "-c", "sleep 100 & echo $! > \(file); wait"],
                        timeout: TimeSpan(seconds: 5)))
            }
            #expect(ContinuousClock.now - start < .seconds(20))
            try await expectGone(file)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func whatIgnoresSIGTERMIsKilled() async throws {
        try await TemporaryDirectory.with("programs") { directory in
            let file = directory.path("pid")
            // The parent ends at SIGTERM, its child does not.
            let script =
                "(trap '' TERM; echo $(exec sh -c 'echo $PPID') > \(file); "
                + "while :; do sleep 0.1; done) & wait"
            await #expect(throws: Failure.self) {
                _ = try await programs.run(
                    ProgramCall(["sh", "-c", script], timeout: TimeSpan(seconds: 5)))
            }
            try await expectGone(file)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func cancellingEndsTheProgram() async throws {
        try await TemporaryDirectory.with("programs") { directory in
            let file = directory.path("pid")
            let task = Task {
                try await programs.run(
                    ProgramCall(["sh", "-c", "echo $$ > \(file); exec sleep 100"]))
            }
            while (try? FileSystem().size(of: file)) ?? 0 == 0 {
                try await Task.sleep(for: .milliseconds(5))
            }
            task.cancel()
            await #expect(throws: CancellationError.self) { _ = try await task.value }
            try await expectGone(file)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func aChildThatStaysDoesNotHoldUpTheEnd() async throws {
        let result = try await programs.run(ProgramCall(["sh", "-c", "sleep 20 & echo $!"]))
        #expect(result.status == 0)
        if let child = Int32(result.text.dropLast()) { kill(child, SIGKILL) }
    }

    @Test(.enabled(if: TestEnvironment.isRoot, "changing the user needs root"))
    func runsAsAnotherUserWithItsGroups() async throws {
        let result = try await programs.run(
            ProgramCall(["sh", "-c", "id -un; id -G; echo $HOME"], user: "nobody"))
        let account = try UserAccount(named: "nobody")
        #expect(result.text == "nobody\n\(account.groupID)\n\(account.home)\n")
        await #expect(throws: Failure.self) {
            _ = try await programs.run(ProgramCall(["id"], user: "no-such-user"))
        }
        let missing = await #expect(throws: Failure.self) {
            _ = try await programs.run(ProgramCall(["no-such-program"], user: "nobody"))
        }
        #expect(missing?.message.contains("no-such-program") == true)
    }

    @Test(
        .enabled(if: TestEnvironment.isRoot, "changing the user needs root"),
        .timeLimit(.minutes(1)))
    func runsManyAtOnceAsAnotherUser() async throws {
        try await withThrowingTaskGroup(of: Int32.self) { group in
            for _ in 0..<60 {
                group.addTask {
                    try await programs.run(ProgramCall(["true"], user: "nobody")).status
                }
            }
            for try await status in group { #expect(status == 0) }
        }
    }

    @Test func runsManyAtOnce() async throws {
        try await withThrowingTaskGroup(of: String.self) { group in
            for number in 0..<40 {
                group.addTask {
                    try await programs.run(ProgramCall(["sh", "-c", "echo \(number)"])).text
                }
            }
            var seen = Set<String>()
            for try await text in group { seen.insert(text) }
            #expect(seen.count == 40)
        }
    }

    /// Waits until the process whose number is in `file` is gone, or a zombie of nobody's.
    private func expectGone(_ file: String) async throws {
        let text = String(decoding: try FileSystem().read(file), as: UTF8.self)
        let process = try #require(Int32(text.dropLast()))
        for _ in 0..<400 {
            if kill(process, 0) != 0 { return }
            let stat = try? FileSystem().read("/proc/\(process)/stat")
            if let stat, String(decoding: stat, as: UTF8.self).contains(") Z ") { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        kill(process, SIGKILL)
        Issue.record("process \(process) lives on")
    }
}
