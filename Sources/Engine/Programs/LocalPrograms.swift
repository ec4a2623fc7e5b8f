import CLinux
import Glibc
import Model
import Subprocess
import SystemPackage

/// Runs programs on this machine.
///
/// Each program has a session of its own: a Ctrl-C in the terminal reaches `dr`, which then ends its
/// programs in order. Cancelling the task, or the time limit, sends SIGTERM to the program and
/// everything it started, and SIGKILL to what is left after 5 seconds.
public struct LocalPrograms: ProgramRunner {
    private static let patience: Duration = .seconds(5)
    private static let outputLimit = 64 << 20
    private static let errorLimit = 64 << 10

    public init() {}

    public func run(_ call: ProgramCall) async throws -> ProgramResult {
        guard let timeout = call.timeout else { return try await runToEnd(call) }
        // nil stands for the time limit.
        let result = try await withThrowingTaskGroup(of: ProgramResult?.self) { group in
            group.addTask { try await runToEnd(call) }
            group.addTask {
                try await Task.sleep(for: timeout.duration)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
        if let result { return result }
        try Task.checkCancellation()
        throw Failure(
            .failed, "\(name(call)) was ended: it took longer than \(timeout)", side: .local,
            isTransient: true)
    }

    private func runToEnd(_ call: ProgramCall) async throws -> ProgramResult {
        let configuration = try await configuration(call)
        do {
            if let input = call.input {
                return try await run(
                    call, configuration,
                    input: .fileDescriptor(
                        FileDescriptor(rawValue: input), closeAfterSpawningProcess: false))
            }
            return try await run(call, configuration, input: .none)
        } catch let error as SubprocessError {
            try Task.checkCancellation()
            throw failure(call, error)
        }
    }

    private func run(
        _ call: ProgramCall, _ configuration: Subprocess.Configuration, input: some InputProtocol
    ) async throws -> ProgramResult {
        if let output = call.output {
            let result = try await Subprocess.run(
                configuration, input: input,
                output: .fileDescriptor(
                    FileDescriptor(rawValue: output), closeAfterSpawningProcess: false),
                error: .sequence
            ) { execution in
                let errors = try await tail(execution.standardError)
                await endGroupIfCancelled(execution.processIdentifier)
                return errors
            }
            try Task.checkCancellation()
            return ProgramResult(
                status: status(result.terminationStatus), errorText: result.closureResult)
        }
        let result = try await Subprocess.run(
            configuration, input: input, output: .sequence, error: .sequence
        ) { execution in
            async let errors = tail(execution.standardError)
            let output = try await collect(execution.standardOutput, call)
            let texts = try await (output, errors)
            await endGroupIfCancelled(execution.processIdentifier)
            return texts
        }
        try Task.checkCancellation()
        return ProgramResult(
            status: status(result.terminationStatus), output: result.closureResult.0,
            errorText: result.closureResult.1)
    }

    // MARK: What it says

    private func collect(_ sequence: SubprocessOutputSequence, _ call: ProgramCall) async throws
        -> [UInt8]
    {
        var bytes: [UInt8] = []
        var told = 0
        for try await buffer in sequence {
            buffer.withUnsafeBytes { bytes.append(contentsOf: $0) }
            if let heard = call.heard {
                while let end = bytes[told...].firstIndex(where: Self.endsLine) {
                    heard(String(decoding: bytes[told..<end], as: UTF8.self))
                    told = end + 1
                }
            }
            if bytes.count > Self.outputLimit {
                throw Failure(
                    .failed, "\(name(call)) wrote more than \(ByteCount(UInt64(Self.outputLimit)))",
                    side: .local)
            }
        }
        return bytes
    }

    /// Programs that draw their progress on one line only go back to its beginning.
    private static func endsLine(_ byte: UInt8) -> Bool { byte == 10 || byte == 13 }

    private func tail(_ sequence: SubprocessOutputSequence) async throws -> String {
        var bytes: [UInt8] = []
        for try await buffer in sequence {
            buffer.withUnsafeBytes { bytes.append(contentsOf: $0) }
            if bytes.count > 4 * Self.errorLimit {
                bytes.removeFirst(bytes.count - Self.errorLimit)
            }
        }
        return String(decoding: bytes.suffix(Self.errorLimit), as: UTF8.self)
    }

    // MARK: How it ends

    /// After a cancellation, waits for the program's end, which is on its way, and kills what it
    /// started and left behind.
    ///
    /// The program is not reaped yet, so its number cannot have become another's.
    private func endGroupIfCancelled(_ process: ProcessIdentifier) async {
        guard Task.isCancelled else { return }
        let milliseconds = Int32((Self.patience.components.seconds + 5) * 1000)
        _ = try? await BlockingPool.shared.run {
            var wait = pollfd(fd: process.processDescriptor, events: Int16(POLLIN), revents: 0)
            while poll(&wait, 1, milliseconds) < 0, errno == EINTR {}
        }
        kill(-process.value, SIGKILL)
    }

    private func status(_ status: TerminationStatus) -> Int32 {
        switch status {
        case .exited(let code): code
        case .signaled(let signal): 128 + signal
        }
    }

    private func failure(_ call: ProgramCall, _ error: SubprocessError) -> Failure {
        if error.code == .executableNotFound {
            // With another user the program itself was found: it is setpriv that is not.
            return Self.notInstalled(call.user == nil ? name(call) : "\(name(call)) or setpriv")
        }
        // The error's own text may show the environment.
        return Failure(
            .failed, "\(name(call)) could not be run", cause: error.underlyingError.map { "\($0)" },
            side: .local)
    }

    private func name(_ call: ProgramCall) -> String {
        printable((call.words.first ?? "").utf8)
    }

    // MARK: How it starts

    private func configuration(_ call: ProgramCall) async throws -> Subprocess.Configuration {
        guard let program = call.words.first, !program.isEmpty else {
            throw Failure(.usage, "a program without a name")
        }
        guard !call.words.contains(where: { $0.utf8.contains(0) }) else {
            throw Failure(.usage, "\(name(call)): an argument holds a zero byte")
        }
        var options = PlatformOptions()
        options.createSession = true
        options.teardownSequence = [
            .gracefulShutDown(toProcessGroup: true, allowedDurationToNextStep: Self.patience)
        ]
        var environment = call.environment
        var words = call.words
        if let user = call.user {
            let account = try await BlockingPool.shared.run { try UserAccount(named: user) }
            if account.id != geteuid() {
                for (key, value) in account.environment where environment[key] == nil {
                    environment[key] = value
                }
                words = Self.changingUser(
                    account, [try await path(of: program, call)] + words.dropFirst())
            }
        }
        var values: [Environment.Key: String?] = [:]
        for (key, value) in environment { values[Environment.Key(stringLiteral: key)] = value }
        return Subprocess.Configuration(
            executable: Self.executable(words[0]), arguments: Arguments(Array(words.dropFirst())),
            environment: .inherit.updating(values),
            platformOptions: options)
    }

    private static func executable(_ word: String) -> Executable {
        word.contains("/") ? .path(FilePath(word)) : .name(word)
    }

    /// The words that run `words` as another user.
    ///
    /// The user is changed by a program, not between fork and exec: there glibc's setuid waits for
    /// this process's other threads, which the new process does not have, and may wait for ever.
    private static func changingUser(_ account: UserAccount, _ words: [String]) -> [String] {
        let groups = account.groups.map { "\($0)" }.joined(separator: ",")
        return [
            "setpriv", "--reuid=\(account.id)", "--regid=\(account.groupID)", "--groups=\(groups)",
            "--",
        ] + words
    }

    /// Where a program is; said here, because setpriv would not say it as well.
    private func path(of program: String, _ call: ProgramCall) async throws -> String {
        if program.contains("/") {
            let isThere = try await BlockingPool.shared.run { access(program, X_OK) == 0 }
            if isThere { return program }
        } else if let found = try? await Executable.name(program).resolveExecutablePath(
            in: .inherit)
        {
            return found.string
        }
        throw Self.notInstalled(name(call))
    }

    private static func notInstalled(_ name: String) -> Failure {
        Failure(
            .failed, "\(name) is not installed, or not in PATH",
            hint: "install it, or add its directory to PATH", side: .local)
    }
}
