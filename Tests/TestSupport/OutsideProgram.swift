import CLinux
import Engine
import Glibc

/// A program that a test runs, `dr` itself or a tool that judges it.
///
/// Independent of the code that `dr` starts programs with: what judges must not share its faults.
public struct OutsideProgram: Sendable {
    /// A call that could not be made at all; `errno` is in the text.
    public struct Problem: Error, CustomStringConvertible {
        public let description: String
        public init(_ what: String) { description = "\(what): \(String(cString: strerror(errno)))" }
    }

    /// How a program ended.
    public struct Outcome: Sendable, CustomStringConvertible {
        /// The exit code; 128 + n after signal n.
        public var status: Int32
        public var output: [UInt8]
        public var errorOutput: [UInt8]
        /// From start to end, by a monotonic clock.
        public var elapsed: Duration
        /// The time limit passed and the program was killed.
        public var ranOutOfTime: Bool

        public var text: String { String(decoding: output, as: UTF8.self) }
        public var errorText: String { String(decoding: errorOutput, as: UTF8.self) }
        /// For a test's failure message.
        public var description: String {
            "status \(status)\(ranOutOfTime ? " (out of time)" : "") after \(elapsed)\n"
                + "--- stdout\n\(text)--- stderr\n\(errorText)"
        }
    }

    /// Looked up in `PATH` when it holds no `/`.
    public var words: [String]
    /// The whole environment of the program; nil for this process's own.
    public var environment: [String: String]?
    public var directory: String?
    /// Its standard input; nothing when empty.
    public var input: [UInt8]
    public var timeout: Duration

    public init(
        _ words: [String], environment: [String: String]? = nil, directory: String? = nil,
        input: [UInt8] = [], timeout: Duration = .seconds(300)
    ) {
        self.words = words
        self.environment = environment
        self.directory = directory
        self.input = input
        self.timeout = timeout
    }

    /// Runs a program to its end, in this process's environment; any exit code is a result.
    @discardableResult
    public static func run(
        _ words: [String], input: [UInt8] = [], timeout: Duration = .seconds(300)
    ) async throws -> Outcome {
        try await OutsideProgram(words, input: input, timeout: timeout).run()
    }

    /// Runs it to its end; any exit code is a result.
    public func run() async throws -> Outcome { try await start().outcome() }

    /// Starts it in a process group of its own and returns at once.
    public func start() throws -> Running {
        let standardInput = try scratchFile()
        defer { close(standardInput) }
        _ = input.withUnsafeBytes { Glibc.write(standardInput, $0.baseAddress, $0.count) }
        lseek(standardInput, 0, SEEK_SET)
        let output = try scratchFile()
        let errorOutput = try scratchFile()

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (from, to) in [(standardInput, 0), (output, 1), (errorOutput, 2)] {
            posix_spawn_file_actions_adddup2(&actions, from, Int32(to))
        }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setpgroup(&attributes, 0)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP) | Int16(POSIX_SPAWN_SETSIGMASK))

        // glibc's own chdir action is hidden from Swift; env replaces itself by the program.
        let words = directory.map { ["env", "-C", $0] + self.words } ?? self.words
        var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        let own = environment?.map { "\($0)=\($1)" }.sorted()
        var envp: [UnsafeMutablePointer<CChar>?] = (own ?? []).map { strdup($0) } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var process: Int32 = 0
        let begin = ContinuousClock.now
        let result =
            own == nil
            ? posix_spawnp(&process, words[0], &actions, &attributes, &argv, environ)
            : posix_spawnp(&process, words[0], &actions, &attributes, &argv, &envp)
        guard result == 0 else {
            close(output)
            close(errorOutput)
            errno = result
            throw Problem("start \(words[0])")
        }
        return Running(
            process: process, begin: begin, timeout: timeout, output: output,
            errorOutput: errorOutput)
    }

    /// A program that was started.
    public struct Running: Sendable {
        public let process: Int32
        fileprivate let begin: ContinuousClock.Instant
        fileprivate let timeout: Duration
        fileprivate let output: Int32
        fileprivate let errorOutput: Int32

        /// Signals the process alone, as `kill` does.
        public func signal(_ number: Int32) { kill(process, number) }
        /// Signals the process and whatever it started, as Ctrl-C does.
        public func signalGroup(_ number: Int32) { kill(-process, number) }

        /// What it has written so far; the program goes on.
        public func outputSoFar() -> String { String(decoding: contents(output), as: UTF8.self) }
        public func errorOutputSoFar() -> String {
            String(decoding: contents(errorOutput), as: UTF8.self)
        }

        /// Waits for its end; call it exactly once.
        public func outcome() async throws -> Outcome {
            try await BlockingPool.shared.run {
                var late = false
                let limit = timeout.components.seconds * 1000
                let descriptor = dr_pidfd_open(process)
                var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                while descriptor >= 0 {
                    let count = poll(&watched, 1, Int32(clamping: limit))
                    if count < 0, errno == EINTR { continue }
                    late = count == 0
                    break
                }
                if late { kill(-process, SIGKILL) }
                if descriptor >= 0 { close(descriptor) }
                var status: Int32 = 0
                while waitpid(process, &status, 0) < 0, errno == EINTR {}
                let signal = status & 0x7f
                defer {
                    close(output)
                    close(errorOutput)
                }
                return Outcome(
                    status: signal == 0 ? (status >> 8) & 0xff : 128 + signal,
                    output: contents(output), errorOutput: contents(errorOutput),
                    elapsed: ContinuousClock.now - begin, ranOutOfTime: late)
            }
        }
    }
}

/// A file without a name, closed on exec.
private func scratchFile() throws -> Int32 {
    let parent = TestEnvironment.variable("TMPDIR") ?? "/tmp"
    let path = "\(parent)/dr-program-\(UInt64.random(in: 0 ... .max))"
    let descriptor = dr_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw OutsideProgram.Problem("open \(path)") }
    unlink(path)
    return descriptor
}

/// All bytes of a file, from its start, its position left alone.
private func contents(_ descriptor: Int32) -> [UInt8] {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size > 0 else { return [] }
    return [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, count in
        count = max(0, pread(descriptor, buffer.baseAddress, buffer.count, 0))
    }
}
