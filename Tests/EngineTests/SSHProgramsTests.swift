import Engine
import Glibc
import Model
import TestSupport
import Testing

@Suite("Programs on another machine", .enabled(if: TemporarySSHServer.isPossible, "needs sshd"))
struct SSHProgramsTests {
    private func with(
        _ body: (SSHPrograms, TemporarySSHServer, TemporaryDirectory) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with("ssh") { scratch in
            let server = try await TemporarySSHServer(in: scratch)
            let programs = SSHPrograms(
                on: try SSHDestination(address: "ssh://root@127.0.0.1:\(server.port)"),
                ssh: SSHProgram(words: server.words))
            try await body(programs, server, scratch)
        }
    }

    @Test("Words, environment, input, output and exit codes arrive as they are")
    func everything() async throws {
        try await with { programs, _, scratch in
            let odd = ["a b", "it's", "$HOME", "\"x\"", "*", "", "line\nbreak", "ä\\n"]
            let words = try await programs.run(ProgramCall(["printf", "%s|"] + odd))
            #expect(words.text == odd.map { $0 + "|" }.joined())
            #expect(words.status == 0)

            let secret = "pl4nted 'and' $(quoted); \\"
            let script = #"""
                printf %s "$SECRET"; for f in /proc/[0-9]*/cmdline; do tr '\0' ' ' <$f; echo; done \
                2>/dev/null | grep -e 'pl[4]nted' -e 'printf [%]s' >&2; :
                """#
            let said = try await programs.run(
                ProgramCall(["sh", "-c", script], environment: ["SECRET": secret]))
            #expect(said.text == secret)
            #expect(said.errorText.contains("printf") && !said.errorText.contains("pl4nted"))

            var random = SeededRandom.announced()
            let bytes = (0..<1_000_000).map { _ in UInt8.random(in: 0...255, using: &random) }
            try scratch.write("input", bytes)
            for environment in [[:], ["A": "b"]] {
                let input = open(scratch.path("input"), O_RDONLY | O_CLOEXEC)
                defer { close(input) }
                let back = try await programs.run(
                    ProgramCall(["cat"], environment: environment, input: input))
                #expect(back.output == bytes)
            }

            let failed = try await programs.run(ProgramCall(["sh", "-c", "echo why >&2; exit 7"]))
            #expect(failed.status == 7 && failed.errorText.contains("why"))
            #expect(try await programs.run(ProgramCall(["sh", "-c", "exit 255"])).status == 254)
            let missing = await #expect(throws: Failure.self) {
                try await programs.run(ProgramCall(["dr-no-such-program"]))
            }
            #expect(missing?.description.contains("is not installed on root@127.0.0.1") == true)
        }
    }

    @Test(
        "A program there ends when it is cancelled here, and when the connection is cut",
        arguments: ["cancelled", "cut", "late"])
    func ends(how: String) async throws {
        try await with { programs, server, scratch in
            let note = scratch.path("process")
            let script = "echo $$ >\(note).new; mv \(note).new \(note); sleep 600; echo no"
            let task = Task {
                try await programs.run(
                    ProgramCall(
                        ["sh", "-c", script],
                        timeout: how == "late" ? TimeSpan(seconds: 3) : nil))
            }
            let limit = ContinuousClock.now + .seconds(30)
            while access(note, F_OK) != 0, ContinuousClock.now < limit {
                try await Task.sleep(for: .milliseconds(10))
            }
            let process = try #require(
                Int32(
                    String(decoding: try FileSystem().read(note), as: UTF8.self).filter(\.isNumber))
            )
            if how == "cancelled" { task.cancel() }
            if how == "cut" { await server.cutConnections() }
            let result = await task.result
            switch how {
            case "cancelled":
                #expect(throws: CancellationError.self) { try result.get() }
            default:
                let failure = #expect(throws: Failure.self) { try result.get() }
                #expect(failure?.isTransient == true)
                if how == "cut" {
                    #expect(failure?.description.contains("the connection was lost") == true)
                }
            }
            // Nothing goes on there.
            while kill(process, 0) == 0, ContinuousClock.now < limit {
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(kill(process, 0) != 0)
        }
    }
}
