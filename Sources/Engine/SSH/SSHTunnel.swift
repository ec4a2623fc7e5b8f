import CLinux
import FoundationEssentials
import Glibc
import Model
import Synchronization

/// A unix socket of another machine, as one of this machine: forwarded by the system's own `ssh`.
///
/// It ends with this process, however that ends: `ssh` runs a program there that waits for the end of
/// its input, which only this process holds open.
public final class SSHTunnel: Sendable {
    /// The path of the socket here; only this user can reach it.
    public let socket: String
    private let destination: SSHDestination
    private let held: Pipe
    private let running: Task<ProgramResult, any Error>
    private let ended = Atomic<Bool>(false)

    private static let patience = TimeSpan(seconds: 60)
    private static let greeting = "dr-is-here"

    /// Whether it can no longer be used.
    public var hasEnded: Bool { ended.load(ordering: .acquiring) }

    /// Opens a tunnel; returns when it is there.
    ///
    /// - Parameters:
    ///   - remote: The path of the socket on the other machine.
    ///   - program: The `ssh` to run.
    /// - Throws: ``Failure`` with the words of `ssh`, transient where trying again may help.
    public static func open(
        to destination: SSHDestination, remote: String, program: SSHProgram,
        programs: any ProgramRunner = LocalPrograms()
    ) async throws -> SSHTunnel {
        let socket = try await BlockingPool.shared.run { try SSHSockets.name() }
        let (held, said) = (try makePipe(), try makePipe())
        let words = destination.words(
            program,
            options: [
                "-o", "ExitOnForwardFailure=yes", "-o", "StreamLocalBindUnlink=yes",
                "-o", "ControlPath=none", "-L", "\(socket):\(remote)",
            ], command: "echo \(greeting); exec cat >/dev/null")
        let tunnel = SSHTunnel(
            socket: socket, destination: destination, held: held,
            running: Task {
                defer { said.closeWriter() }
                return try await programs.run(
                    ProgramCall(words, input: held.reader, output: said.writer))
            })
        tunnel.watch()
        let isThere = try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await BlockingPool.shared.runCancellable { check in
                    try Self.waitForGreeting(said.reader, check: check)
                }
            }
            group.addTask {
                try await Task.sleep(for: patience.duration)
                return false
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
        guard isThere else { throw await tunnel.failure() }
        return tunnel
    }

    private init(
        socket: String, destination: SSHDestination, held: Pipe,
        running: Task<ProgramResult, any Error>
    ) {
        self.socket = socket
        self.destination = destination
        self.held = held
        self.running = running
    }

    deinit { close() }

    /// Ends it.
    public func close() {
        held.closeWriter()
        running.cancel()
        unlink(socket)
    }

    private func watch() {
        Task { [running, weak self] in
            _ = await running.result
            self?.ended.store(true, ordering: .releasing)
        }
    }

    private static func makePipe() throws -> Pipe {
        do throws(SystemError) { return try Pipe() } catch { throw error.failure(side: .local) }
    }

    /// False when the other end closed before it said a word.
    private static func waitForGreeting(_ descriptor: Int32, check: () throws -> Void) throws
        -> Bool
    {
        var bytes: [UInt8] = []
        while true {
            try check()
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, 100) > 0 else { continue }
            var buffer = [UInt8](repeating: 0, count: 256)
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return false }
            bytes += buffer[..<count]
            if String(decoding: bytes, as: UTF8.self).contains(greeting) { return true }
            // A login that talks much before the program runs.
            if bytes.count > 64 << 10 { return false }
        }
    }

    /// Why it did not come about.
    private func failure() async -> Failure {
        close()
        let what = "ssh to \(destination)"
        let hint = "try it by hand: ssh \(destination) true; it must not ask anything"
        switch await running.result {
        case .success(let result):
            let lines = result.errorText.split(whereSeparator: \.isNewline).suffix(3)
            // 255 is ssh's own: the way there, not what was run at its end.
            return Failure(
                .failed, "\(what) failed with exit code \(result.status)", hint: hint,
                cause: lines.isEmpty
                    ? nil : lines.map { printable($0.utf8) }.joined(separator: "; "),
                side: .source, isTransient: result.status == 255)
        case .failure(let error as Failure): return error
        case .failure:
            return Failure(
                .failed, "\(what) did not answer within \(Self.patience)", hint: hint,
                side: .source, isTransient: true)
        }
    }
}

/// Tunnels of this process, one a machine and socket: opened when first asked for, and again when one
/// has ended.
public actor SSHTunnels {
    /// Those of this process: a second way to the same machine would only cost time.
    public static let shared = SSHTunnels()

    private struct Key: Hashable {
        var destination: SSHDestination
        var remote: String
    }

    private var opening: [Key: Task<SSHTunnel, any Error>] = [:]

    /// Ends all of them, at the end of the process.
    public func closeAll() async {
        let all = opening.values
        opening = [:]
        for task in all {
            task.cancel()
            if let tunnel = try? await task.value { tunnel.close() }
        }
    }

    /// The tunnel to a socket of another machine.
    public func tunnel(
        to destination: SSHDestination, remote: String, program: SSHProgram? = nil
    ) async throws -> SSHTunnel {
        let key = Key(destination: destination, remote: remote)
        let program =
            program ?? SSHProgram(environment: ProcessInfo.processInfo.environment)
        if let known = opening[key] {
            if let tunnel = try? await known.value, !tunnel.hasEnded { return tunnel }
            if opening[key] == known { opening[key] = nil }
            if opening[key] != nil {
                return try await self.tunnel(to: destination, remote: remote, program: program)
            }
        }
        let task = Task {
            try await SSHTunnel.open(to: destination, remote: remote, program: program)
        }
        opening[key] = task
        return try await task.value
    }
}

/// Names for sockets, in a directory that only this user can enter.
private enum SSHSockets {
    private static let next = Atomic<Int>(0)

    static func name() throws -> String {
        // Short: a socket's path has at most 107 bytes.
        let directory = "/tmp/dr-ssh-\(geteuid())"
        if mkdir(directory, 0o700) != 0, errno != EEXIST {
            throw SystemError.last("mkdir", directory).failure(side: .local)
        }
        var status = stat()
        guard lstat(directory, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
            status.st_uid == geteuid(), status.st_mode & 0o077 == 0
        else {
            throw Failure(
                .failed, "\(directory) belongs to somebody else, or others may enter it",
                hint: "remove it", side: .local)
        }
        // What processes that were killed have left.
        for name in (try? FileSystem().names(in: directory)) ?? [] {
            guard let process = Int32(name.prefix { $0.isNumber }), process != getpid(),
                kill(process, 0) != 0, errno == ESRCH
            else { continue }
            unlink("\(directory)/\(name)")
        }
        let number = next.add(1, ordering: .relaxed).newValue
        return "\(directory)/\(getpid())-\(number)"
    }
}
