import CLinux
import FoundationEssentials
import Glibc
import Model

/// Runs programs on another machine, which the system's own `ssh` reaches; it needs nothing but a
/// POSIX shell there.
///
/// Arguments arrive as they are, whatever the login shell. The environment goes through standard input
/// and shows in no list of processes, here or there. A program that reads no input ends when the
/// connection does; one that reads comes to the end of its input then.
public struct SSHPrograms: ProgramRunner {
    public let destination: SSHDestination
    private let ssh: SSHProgram
    private let local: any ProgramRunner

    /// A pipe takes so much without a reader.
    private static let longestHeader = 32 << 10
    private static let lostCode: Int32 = 255

    /// - Parameter ssh: nil for what the environment of this process says.
    public init(
        on destination: SSHDestination, ssh: SSHProgram? = nil,
        local: any ProgramRunner = LocalPrograms()
    ) {
        self.destination = destination
        self.ssh = ssh ?? SSHProgram(environment: ProcessInfo.processInfo.environment)
        self.local = local
    }

    public func run(_ call: ProgramCall) async throws -> ProgramResult {
        guard let program = call.words.first, !program.isEmpty else {
            throw Failure(.usage, "a program without a name")
        }
        let header = try Self.header(call.environment)
        var far = ProgramCall(
            destination.words(ssh, command: Self.command(call, hasHeader: !header.isEmpty)),
            output: call.output, timeout: call.timeout)
        far.heard = call.heard
        let result: ProgramResult
        if let input = call.input, header.isEmpty {
            far.input = input
            result = try await local.run(far)
        } else {
            result = try await run(far, header, input: call.input)
        }
        // The shells there see to it that only ssh itself ends with this.
        if result.status == Self.lostCode { throw lost(result) }
        // In the words of a shell, of setsid and of runuser.
        let isMissing = ["not found", "No such file"].contains(where: result.errorText.contains)
        if result.status == 127, isMissing, result.errorText.contains(program) {
            throw Failure(
                .failed,
                "\(printable(program.utf8)) is not installed on \(destination), or not in PATH "
                    + "there", side: .source)
        }
        return result
    }

    /// With a pipe for standard input: the header, then what `input` gives, or nothing until the
    /// program has ended.
    private func run(
        _ call: ProgramCall, _ header: [UInt8], input: Int32?
    ) async throws -> ProgramResult {
        let pipe: Pipe
        let interrupt: Interrupt
        do throws(SystemError) {
            pipe = try Pipe()
            interrupt = try Interrupt()
        } catch { throw error.failure(side: .local) }
        var call = call
        call.input = pipe.reader
        async let fed: Void = BlockingPool.shared.run {
            try withoutBrokenPipeSignal {
                try Self.feed(header, then: input, into: pipe.writer, interrupt)
                // Without input the pipe stays open: its end would end the program.
                if input != nil { pipe.closeWriter() }
            }
        }
        let result: Result<ProgramResult, any Error>
        do { result = .success(try await local.run(call)) } catch { result = .failure(error) }
        interrupt.raise()
        pipe.closeReader()
        // What could not be fed the program's own words explain.
        try? await fed
        pipe.closeWriter()
        return try result.get()
    }

    private static func feed(
        _ header: [UInt8], then input: Int32?, into pipe: Int32, _ interrupt: Interrupt
    ) throws {
        let files = FileSystem()
        try header.withUnsafeBytes { try files.write($0, to: pipe, path: "pipe") }
        guard let input else { return }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
        defer { buffer.deallocate() }
        while true {
            _ = interrupt.wait(for: input, events: POLLIN)
            if interrupt.isRaised { return }
            let count = read(input, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count > 0 else { return }
            try files.write(
                UnsafeRawBufferPointer(rebasing: buffer[..<count]), to: pipe, path: "pipe")
        }
    }

    // MARK: What runs there

    /// Runs the words, and ends them when standard input does: that is this side's end.
    private static let attended =
        "exec 3<&0; s=; command -v setsid >/dev/null 2>&1 && s=setsid; "
        + "$s \"$@\" </dev/null 3<&- & p=$!; "
        + "{ cat <&3; kill -TERM -- -$p || kill -TERM $p; sleep 5; "
        + "kill -KILL -- -$p || kill -KILL $p; } >/dev/null 2>&1 & w=$!; "
        + "exec 3<&-; wait $p; r=$?; kill $w 2>/dev/null; " + leaving
    private static let reading = "\"$@\"; r=$?; " + leaving
    /// 255 is ssh's own.
    private static let leaving = "[ $r = \(lostCode) ] && r=254; exit $r"

    private static func command(_ call: ProgramCall, hasHeader: Bool) -> String {
        var words = call.words
        var script = hasHeader ? "IFS= read -r l && eval \"$l\"; " : ""
        if let user = call.user {
            words = ["runuser", "-u", user, "--"] + words
            // The home directory of the one who came is not for others to be in.
            script += "cd /; "
        }
        script += call.input == nil ? attended : reading
        return (["exec", "sh", "-c", quote(script), "dr"] + words.map(quote)).joined(separator: " ")
    }

    /// As one word of a POSIX shell.
    public static func quote(_ text: String) -> String {
        "'" + text.replacing("'", with: "'\\''") + "'"
    }

    /// One line that sets the environment.
    private static func header(_ environment: [String: String]) throws -> [UInt8] {
        guard !environment.isEmpty else { return [] }
        let words = environment.sorted { $0.key < $1.key }.map { "\($0.key)=\(quote($0.value))" }
        let line = "export " + words.joined(separator: " ")
        guard !line.utf8.contains(10), line.utf8.count < longestHeader else {
            throw Failure(
                .usage,
                "a value of the environment is too long for another machine, or has more "
                    + "than one line")
        }
        return Array("\(line)\n".utf8)
    }

    private func lost(_ result: ProgramResult) -> Failure {
        let lines = result.errorText.split(whereSeparator: \.isNewline).suffix(3)
        return Failure(
            .failed, "ssh to \(destination) failed, or the connection was lost",
            hint: "try it by hand: ssh \(destination) true; it must not ask anything",
            cause: lines.isEmpty ? nil : lines.map { printable($0.utf8) }.joined(separator: "; "),
            side: .source, isTransient: true)
    }
}
