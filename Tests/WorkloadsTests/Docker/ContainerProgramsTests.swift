import CLinux
import Engine
import Glibc
import Model
import TestSupport
import Testing
import Workloads

@Suite(.enabled(if: TestEnvironment.hasDocker, "needs a Docker Engine"))
struct ContainerProgramsTests {
    @Test func exitCodesOutputAndErrorText() async throws {
        let engine = try await TestEnvironment.dockerEngine()
        try await withContainer(on: engine) { container in
            let programs = ContainerPrograms(engine: engine, container: container)
            let result = try await programs.run(
                ProgramCall(
                    ["sh", "-c", "echo out; echo \"$WORD\" >&2; exit 7"],
                    environment: ["WORD": "a b"]))
            #expect(result.status == 7)
            #expect(result.text == "out\n")
            #expect(result.errorText == "a b\n")
            let killed = try await programs.run(ProgramCall(["sh", "-c", "kill -9 $$"]))
            #expect(killed.status == 137)
            let user = try await programs.run(ProgramCall(["id", "-u"], user: "1"))
            #expect(user.text == "1\n")
        }
    }

    @Test func aProgramThatDoesNotExistIsAFailure() async throws {
        let engine = try await TestEnvironment.dockerEngine()
        try await withContainer(on: engine) { container in
            let programs = ContainerPrograms(engine: engine, container: container)
            await #expect(throws: Failure.self) { try await programs.run(ProgramCall(["nosuch"])) }
            await #expect(throws: Failure.self) {
                try await programs.run(ProgramCall(["true"], user: "nobody-here"))
            }
            let shell = try await programs.run(ProgramCall(["sh", "-c", "nosuch"]))
            #expect(shell.status == 127)
        }
        let gone = ContainerPrograms(engine: engine, container: "dr-test-none")
        await #expect(throws: Failure.self) { try await gone.run(ProgramCall(["true"])) }
    }

    /// 200 MB through standard input and output of `cat` at once.
    @Test func bytesComeThroughIntact() async throws {
        let engine = try await TestEnvironment.dockerEngine()
        let size = 200_000_000
        try await withContainer(on: engine) { container in
            let programs = ContainerPrograms(engine: engine, container: container)
            let toProgram = try Pipe()
            let fromProgram = try Pipe()
            let writer = Task.detached {
                try await BlockingPool.shared.run {
                    defer { toProgram.closeWriter() }
                    return try PatternBytes.write(size, to: toProgram.writer)
                }
            }
            let reader = Task.detached {
                try await BlockingPool.shared.run {
                    try PatternBytes.read(from: fromProgram.reader)
                }
            }
            let clock = ContinuousClock()
            let start = clock.now
            let result = try await programs.run(
                ProgramCall(["cat"], input: toProgram.reader, output: fromProgram.writer))
            let took = clock.now - start
            fromProgram.closeWriter()
            let written = try await writer.value
            let read = try await reader.value
            #expect(result.status == 0)
            #expect(read.count == size)
            #expect(read == written)
            print("exec: \(size / 1_000_000) MB both ways in \(took)")
        }
    }

    @Test func cancellingEndsTheProgram() async throws {
        let engine = try await TestEnvironment.dockerEngine()
        try await withContainer(on: engine) { container in
            let programs = ContainerPrograms(engine: engine, container: container)
            let full = try Pipe()
            // Nobody reads: the writer in the container, the Engine and we are all stuck on it.
            let call = Task {
                try await programs.run(ProgramCall(["yes"], output: full.writer))
            }
            try await waitUntil { try await runs("yes", programs) }
            call.cancel()
            await #expect(throws: CancellationError.self) { try await call.value }
            let still = try await runs("yes", programs)
            #expect(!still)
        }
    }

    @Test func aContainerThatIsRemovedEndsItsProgramsSoon() async throws {
        let engine = try await TestEnvironment.dockerEngine()
        try await withContainer(on: engine) { name in
            let programs = ContainerPrograms(engine: engine, container: name)
            let task = Task {
                try await programs.run(ProgramCall(["sh", "-c", "touch /begun; sleep 600"]))
            }
            try await waitUntil {
                try await programs.run(ProgramCall(["test", "-e", "/begun"])).succeeded
            }
            let began = ContinuousClock.now
            try await engine.remove(container: name, force: true)
            let failure = await #expect(throws: Failure.self) { try await task.value }
            #expect(ContinuousClock.now - began < .seconds(10))
            #expect(failure?.isTransient == true)
        }
    }

    @Test func aTimeoutEndsAProgramThatIgnoresTheEndOfItsInput() async throws {
        let engine = try await TestEnvironment.dockerEngine()
        try await withContainer(on: engine) { container in
            let programs = ContainerPrograms(engine: engine, container: container)
            let call = ProgramCall(["sleep", "1234"], timeout: TimeSpan(seconds: 0.5))
            let failure = await #expect(throws: Failure.self) { try await programs.run(call) }
            #expect(failure?.message.contains("took longer than") == true)
            let still = try await runs("sleep 1234", programs)
            #expect(!still)
        }
    }

    @Test func aProgramThatStopsReadingEndsTheFeed() async throws {
        let engine = try await TestEnvironment.dockerEngine()
        try await withContainer(on: engine) { container in
            let programs = ContainerPrograms(engine: engine, container: container)
            let endless = try Pipe()
            // The writer never ends by itself: the program's end must be enough.
            let result = try await programs.run(
                ProgramCall(["sh", "-c", "exit 3"], input: endless.reader))
            #expect(result.status == 3)
        }
    }

    private func runs(_ words: String, _ programs: ContainerPrograms) async throws -> Bool {
        try await programs.run(ProgramCall(["ps"])).text.split(separator: "\n")
            .contains { $0.hasSuffix(words) }
    }
}
