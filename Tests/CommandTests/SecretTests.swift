import CLinux
import Engine
import Glibc
import Model
import Synchronization
import TestSupport
import Testing

@testable import dr

@Suite("Secrets")
struct SecretTests {
    /// Answers every program with the same result, and remembers what was asked.
    private final class Programs: ProgramRunner {
        let result: ProgramResult
        let calls = Mutex<[[String]]>([])

        init(_ result: ProgramResult) { self.result = result }

        func run(_ call: ProgramCall) async throws -> ProgramResult {
            calls.withLock { $0.append(call.words) }
            return result
        }
    }

    private static func environment(_ variables: [String: String]) -> ProcessEnvironment {
        ProcessEnvironment(variables: variables, workingDirectory: "/")
    }

    private static func reader(
        _ variables: [String: String] = [:],
        programs: any ProgramRunner = Programs(ProgramResult(status: 0)),
        warn: @escaping @Sendable (String, String) -> Void = { _, _ in }
    ) -> SystemSecretReader {
        SystemSecretReader(environment: environment(variables), programs: programs, warn: warn)
    }

    private static func password(
        _ variables: [String: String], programs: any ProgramRunner = Programs(.init(status: 0)),
        answers: [String] = []
    ) -> RepositoryPassword {
        let left = Answers(answers)
        return RepositoryPassword(
            environment: environment(variables), secrets: reader(variables, programs: programs),
            ask: { _ in left.next() })
    }

    /// What a person types, in order; then there is no terminal.
    private final class Answers: Sendable {
        private let left: Mutex<[String]>
        init(_ answers: [String]) { left = Mutex(answers) }
        func next() -> String? { left.withLock { $0.isEmpty ? nil : $0.removeFirst() } }
    }

    @Test("The password comes from the variable, the file or the program that is named")
    func sources() async throws {
        try await TemporaryDirectory.with("secret") { scratch in
            let file = try scratch.write("password", "from a file\n")
            chmod(file, 0o600)
            #expect(
                try await Self.password(["DR_PASSWORD": "straight"]).read(for: "/r") == "straight")
            #expect(
                try await Self.password(["DR_PASSWORD_FILE": file]).read(for: "/r")
                    == "from a file")
            let programs = Programs(ProgramResult(status: 0, output: Array("said\r\n".utf8)))
            let variables = ["DR_PASSWORD_COMMAND": "pass show 'my dr'"]
            #expect(
                try await Self.password(variables, programs: programs).read(for: "/r") == "said")
            #expect(programs.calls.withLock { $0 } == [["pass", "show", "my dr"]])
        }
    }

    @Test("Two sources are one too many")
    func twoSources() async {
        await Self.expectFailure(
            "more than one password is given: DR_PASSWORD and DR_PASSWORD_FILE"
        ) {
            try await Self.password(["DR_PASSWORD": "a", "DR_PASSWORD_FILE": "/b"]).read(for: "/r")
        }
    }

    @Test("Without a source and a terminal the error says what to set")
    func noSource() async {
        await Self.expectFailure(
            "no password for the repository, and no terminal to ask for it"
        ) { try await Self.password([:]).read(for: "/r") }
    }

    @Test("A new password is typed twice and may not be empty")
    func choosing() async throws {
        #expect(try await Self.password([:], answers: ["x", "x"]).choose(for: "/r") == "x")
        await Self.expectFailure("the two passwords are not the same") {
            try await Self.password([:], answers: ["x", "y"]).choose(for: "/r")
        }
        await Self.expectFailure("the password is empty") {
            try await Self.password([:], answers: [""]).choose(for: "/r")
        }
        await Self.expectFailure("the environment variable DR_PASSWORD gives an empty password") {
            try await Self.password(["DR_PASSWORD": ""]).choose(for: "/r")
        }
    }

    @Test("Files that hold no password are refused by name, never quoted")
    func badFiles() async throws {
        try await TemporaryDirectory.with("secret") { scratch in
            let cases: [(name: String, bytes: [UInt8], says: String)] = [
                ("empty", Array("\n".utf8), "gives an empty password"),
                ("two", Array("hunter2\nmore\n".utf8), "gives more than one line"),
                ("binary", [0xFF, 0xFE], "gives bytes that are not UTF-8 text"),
                ("zero", Array("a\0b".utf8), "gives more than one line"),
                ("huge", [UInt8](repeating: 0x61, count: 70_000), "gives more than 64 KiB"),
            ]
            for sample in cases {
                let path = try scratch.write(sample.name, sample.bytes)
                await Self.expectFailure("the password file \(path) \(sample.says)") {
                    try await Self.reader().read(.file(path))
                }
            }
            await Self.expectFailure("the password file \(scratch.path) is a directory") {
                try await Self.reader().read(.file(scratch.path))
            }
            await Self.expectFailure(
                "cannot read the password file /nowhere: No such file or directory"
            ) { try await Self.reader().read(.file("/nowhere")) }
        }
    }

    @Test("A file that others can read is used, with a warning")
    func openFile() async throws {
        try await TemporaryDirectory.with("secret") { scratch in
            let path = try scratch.write("password", "x\n")
            chmod(path, 0o644)
            let warnings = Mutex<[String]>([])
            let reader = Self.reader(warn: { message, _ in warnings.withLock { $0.append(message) }
            })
            #expect(try await reader.read(.file(path)) == "x")
            #expect(
                warnings.withLock { $0 } == ["the password file \(path) can be read by others"])
        }
    }

    @Test("A program that fails is named, and what it printed is not")
    func failingProgram() async {
        let programs = Programs(
            ProgramResult(status: 3, output: Array("hunter2".utf8), errorText: "no key\nmore"))
        await Self.expectFailure("the password command pass ended with 3 (no key)") {
            try await Self.reader(programs: programs).read(.command(["pass", "show"]))
        }
        await Self.expectFailure(
            "DR_PASSWORD_COMMAND is no command: \"|\" means something only to a shell"
        ) {
            try await Self.password(["DR_PASSWORD_COMMAND": "pass | head -1"]).read(for: "/r")
        }
    }

    @Test("Weak passwords are told from strong ones")
    func strength() {
        for weak in [
            "a", "1234567890", "password123", "Passw0rd!", "aaaaaaaaaaaaaaaa", "abcdefghijkl",
        ] {
            #expect(PasswordStrength.isWeak(weak), "\(weak)")
        }
        for strong in ["correct horse battery", "gT7#pw0Qz!", "Grüße aus Öhringen", "k3vr9xqm2tzp"]
        {
            #expect(!PasswordStrength.isWeak(strong), "\(strong)")
        }
    }

    private static func expectFailure(
        _ text: String, sourceLocation: SourceLocation = #_sourceLocation,
        _ body: () async throws -> String
    ) async {
        do {
            _ = try await body()
            Issue.record("no failure", sourceLocation: sourceLocation)
        } catch {
            #expect(
                Failure(wrapping: error).description == text, sourceLocation: sourceLocation)
        }
    }
}
