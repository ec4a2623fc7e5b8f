import CLinux
import Glibc
import Model
import TestSupport
import Testing

@testable import dr

/// The real program, as its users call it.
@Suite("dr on the command line")
struct CommandLineTests {
    private static let configuration = """
        repository: repo
        services:
          site: {files: [www], rto: 1h}
        """

    /// A call and everything that comes of it: code, standard output, standard error.
    private func expect(
        _ arguments: [String], code: ExitCode, output: String? = nil, errors: String? = nil,
        environment: [String: String] = [:], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await TemporaryDirectory.with("command") { scratch in
            try scratch.write("dr.yaml", Self.configuration)
            let outcome = try await DrBinary(in: scratch)
                .program(arguments, environment: environment).run()
            #expect(outcome.status == code.rawValue, "\(outcome)", sourceLocation: sourceLocation)
            func settled(_ text: String) -> String { text.replacing(scratch.path, with: "HERE") }
            if let output {
                #expect(settled(outcome.text) == output, sourceLocation: sourceLocation)
            }
            if let errors {
                #expect(settled(outcome.errorText) == errors, sourceLocation: sourceLocation)
            }
        }
    }

    @Test("The version, quickly, on standard output and nowhere else")
    func version() async throws {
        let text = "dr \(Version.current)\n"
        try await expect(["--version"], code: .done, output: text, errors: "")
        try await expect(["version"], code: .done, output: text, errors: "")
        try await expect(
            ["version", "--json"], code: .done, output: "{\"version\":\"\(Version.current)\"}\n")
    }

    @Test("Help names every command with one line")
    func help() async throws {
        let golden = try String(decoding: Golden.bytes("help.txt"), as: UTF8.self)
        try await expect(["--help"], code: .done, output: golden, errors: "")
        try await expect(["help"], code: .done, output: golden, errors: "")
        let commands = golden.split(separator: "SUBCOMMANDS:\n").last ?? ""
        for line in commands.split(separator: "\n").dropLast() {
            // A name, the gap, and a sentence that did not have to be broken.
            #expect(!line.dropFirst(2).hasPrefix(" ") && line.hasSuffix("."), "\(line)")
        }
    }

    @Test(
        "Exit codes are one table, the same in help and in the code",
        arguments: [[], ["--config", "dr.yaml"]])
    func exitCodes(before: [String]) async throws {
        try await expect(
            before + ["help", "exit-codes"], code: .done,
            output: """
                  0  done
                  1  failed, or status is overdue
                  2  wrong usage or configuration
                  3  partly done, or a snapshot is suspicious
                  4  verification failed
                  5  recovered, but an objective was missed
                 10  no repository at that place
                 11  another backup or prune is running
                 12  wrong password or key
                 13  damaged, missing or rolled-back record
                 14  no space left
                 15  newer or unsupported repository
                130  interrupted
                143  terminated

                """, errors: "")
    }

    @Test("Wrong usage ends with 2, and says what was meant")
    func usage() async throws {
        try await expect(
            [], code: .usage, output: "",
            errors: "dr: dr needs a command\nhint: dr --help lists them\n")
        try await expect(
            ["bakup"], code: .usage, output: "",
            errors: "dr: dr has no command \"bakup\"\nhint: did you mean dr backup?\n")
        try await expect(
            ["frobnicate"], code: .usage,
            errors: "dr: dr has no command \"frobnicate\"\nhint: dr --help lists them all\n")
        try await expect(
            ["config", "chek"], code: .usage,
            errors: "dr: dr config has no command \"chek\"\nhint: did you mean dr config check?\n")
        try await expect(
            ["config"], code: .usage,
            errors: "dr: dr config needs a command\nhint: dr config --help lists them\n")
        try await expect(
            ["snapshots", "--tga", "x"], code: .usage,
            errors: "dr: unknown option '--tga'\nhint: did you mean --tag?\n")
        try await expect(
            ["ls"], code: .usage,
            errors: "dr: missing expected argument '<snapshot[:path]>'\n"
                + "hint: see dr ls --help\n")
        try await expect(
            ["--json", "bakup"], code: .usage, output: "",
            errors: "{\"message_type\":\"error\",\"code\":2,"
                + "\"message\":\"dr has no command \\\"bakup\\\"\","
                + "\"hint\":\"did you mean dr backup?\"}\n")
    }

    @Test("Global options may stand before and after the command")
    func globalOptions() async throws {
        let good = "dr.yaml has no mistakes: 1 service, repository HERE/repo\n"
        for arguments in [
            ["--config", "dr.yaml", "config", "check"], ["config", "--config", "dr.yaml", "check"],
            ["config", "check", "--config", "dr.yaml"], ["config", "check", "--config=dr.yaml"],
        ] {
            try await expect(arguments, code: .done, output: good, errors: "")
        }
    }

    @Test("The configuration is the option's, else the variable's, never the directory's own")
    func whichConfiguration() async throws {
        try await expect(
            ["config", "check"], code: .done,
            output: "dr.yaml has no mistakes: 1 service, repository HERE/repo\n",
            environment: ["DR_CONFIG": "dr.yaml"])
        try await expect(
            ["--config", "none.yaml", "config", "check"], code: .usage, output: "",
            errors: "dr: cannot read the configuration none.yaml: No such file or directory\n"
                + "hint: name the file with --config or DR_CONFIG\n",
            environment: ["DR_CONFIG": "dr.yaml"])
        if access(ConfigurationFile.defaultPath, F_OK) != 0 {
            try await expect(
                ["config", "check"], code: .usage, output: "",
                errors: "dr: there is no configuration at /etc/dr/dr.yaml\n"
                    + "hint: write one (dr config reference explains every key), or name another"
                    + " with --config or DR_CONFIG\n")
        }
        try await expect(
            ["--config", ".", "config", "check"], code: .usage,
            errors: "dr: the configuration . is a directory\n"
                + "hint: name the file in it, for example ./dr.yaml\n")
    }

    @Test("A configuration that everybody may write is refused, one that everybody may read is not")
    func permissions() async throws {
        try await TemporaryDirectory.with("command") { scratch in
            let file = try scratch.write("dr.yaml", Self.configuration)
            let binary = try DrBinary(in: scratch)
            chmod(file, 0o644)
            #expect(try await binary.run("--config", file, "config", "check").status == 0)
            chmod(file, 0o646)
            let outcome = try await binary.run("--config", file, "config", "check")
            #expect(outcome.status == ExitCode.usage.rawValue)
            #expect(
                outcome.errorText
                    == "dr: the configuration \(file) may be written by everybody\n"
                    + "hint: it names programs to run: chmod o-w \(file)\n")
        }
    }

    @Test("Every mistake is on standard error, with the place, and the code is 2")
    func mistakes() async throws {
        try await TemporaryDirectory.with("command") { scratch in
            try scratch.write("bad.yaml", "repositry: /r\ncompression: {level: 0}\n")
            let binary = try DrBinary(in: scratch)
            let outcome = try await binary.run("--config", "bad.yaml", "config", "check")
            #expect(outcome.status == ExitCode.usage.rawValue)
            #expect(outcome.text.isEmpty)
            #expect(
                outcome.errorText == """
                    dr: bad.yaml:1:1: unknown key "repositry"
                    hint: did you mean "repository"?
                    dr: bad.yaml:1:1: the configuration lacks repository
                    hint: add a line like repository: /srv/dr
                    dr: bad.yaml:2:22: compression.level must be a whole number from 1 to 19, not "0"

                    """)
        }
    }

    @Test("Completion scripts are scripts", arguments: ["bash", "zsh", "fish"])
    func completion(_ shell: String) async throws {
        try await TemporaryDirectory.with("command") { scratch in
            let outcome = try await DrBinary(in: scratch).run("completion", shell)
            #expect(outcome.status == 0)
            #expect(outcome.text.contains("snapshots"))
            let file = try scratch.write("script", outcome.output)
            guard TestEnvironment.hasProgram(shell) else { return }
            let check = try await OutsideProgram.run([shell, "-n", file])
            #expect(check.status == 0, "\(check)")
        }
    }

    @Test("A reader that goes away ends the output, not the program")
    func brokenPipe() async throws {
        try await TemporaryDirectory.with("command") { scratch in
            let binary = try DrBinary(in: scratch)
            let script = "\"$0\" config reference | head -c 1 >/dev/null; echo ${PIPESTATUS[0]}"
            let outcome = try await OutsideProgram.run(["bash", "-c", script, binary.path])
            #expect(outcome.text == "0\n", "\(outcome)")
        }
    }

    @Test("The first signal ends the work in order, with the signal's own exit code")
    func signals() async throws {
        try await TemporaryDirectory.with("command") { scratch in
            try scratch.write(
                "dr.yaml",
                "repository: repo\nservices: {slow: {command: {capture: sleep 600}}}\n")
            let binary = try DrBinary(in: scratch)
            let environment = ["DR_PASSWORD": "gT7#pw0Qz!", "DR_CONFIG": "dr.yaml"]
            #expect(try await binary.run("init", environment: environment).status == 0)
            for (signal, code) in [(SIGINT, 130), (SIGTERM, 143), (SIGHUP, 143)] {
                let running = try binary.start("backup", "-v", "--json", environment: environment)
                while !running.outputSoFar().contains("began") {
                    try await Task.sleep(for: .milliseconds(20))
                }
                let begin = ContinuousClock.now
                running.signal(signal)
                let outcome = try await running.outcome()
                #expect(outcome.status == Int32(code), "\(outcome)")
                #expect(ContinuousClock.now - begin < .seconds(20))
                #expect(outcome.errorText.contains("\"code\":\(code)"), "\(outcome)")
            }
        }
    }

    @Test("A pty gets colours unless NO_COLOR says otherwise; a pipe never does")
    func colours() async throws {
        guard TestEnvironment.hasProgram("script") else { return }
        try await TemporaryDirectory.with("command") { scratch in
            var binary = try DrBinary(in: scratch)
            let call = "\(binary.path) bakup"
            let path = binary.path
            binary.environment["NO_COLOR"] = nil
            binary.environment["TERM"] = "xterm"
            binary.path = "script"
            let coloured = try await binary.run("-qec", call, "/dev/null")
            #expect(coloured.text.contains("\u{1B}[31mdr: \u{1B}[0m"), "\(coloured)")
            let plain = try await binary.run(
                "-qec", call, "/dev/null", environment: ["NO_COLOR": "1"])
            #expect(!plain.text.contains("\u{1B}"), "\(plain)")
            binary.path = path
            let piped = try await binary.run("bakup")
            #expect(!piped.errorText.contains("\u{1B}"))
        }
    }
}

/// Files that outputs are compared with.
enum Golden {
    static func bytes(_ name: String) throws -> [UInt8] {
        guard let stream = fopen(Checkout.path("Tests/CommandTests/Golden/\(name)"), "re") else {
            throw OutsideProgram.Problem("open \(name)")
        }
        defer { fclose(stream) }
        var bytes: [UInt8] = []
        while case let byte = fgetc(stream), byte != EOF { bytes.append(UInt8(byte)) }
        return bytes
    }
}
