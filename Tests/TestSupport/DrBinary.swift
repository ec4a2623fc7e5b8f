import CLinux
import Glibc

/// The built `dr`, run as its users run it: another process, its own environment, its exit code.
public struct DrBinary: Sendable {
    /// Absolute path of the program.
    public var path: String
    /// The whole environment of each run; nothing of this process's own gets in by itself.
    public var environment: [String: String]
    /// The working directory of each run.
    public var directory: String

    /// The `dr` beside the test program (or the one that `DR_TEST_BINARY` names), at home in
    /// `scratch`: its state, cache and configuration are looked for there and nowhere else.
    public init(in scratch: TemporaryDirectory) throws {
        path = try DrBinary.located()
        directory = scratch.path
        environment = [
            "PATH": TestEnvironment.variable("PATH") ?? "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": scratch.path, "LANG": "C.UTF-8", "TMPDIR": scratch.path, "NO_COLOR": "1",
            "TZ": "UTC",
            "XDG_STATE_HOME": scratch.path("state"), "XDG_CACHE_HOME": scratch.path("cache"),
            "XDG_CONFIG_HOME": scratch.path("config"),
        ]
        environment["DOCKER_HOST"] = TestEnvironment.dockerHost
    }

    /// Runs it to its end; any exit code is a result.
    public func run(
        _ arguments: String..., environment added: [String: String] = [:],
        timeout: Duration = .seconds(300)
    ) async throws -> OutsideProgram.Outcome {
        try await program(arguments, environment: added, timeout: timeout).run()
    }

    /// Starts it and returns at once, for tests that interrupt it.
    public func start(
        _ arguments: String..., environment added: [String: String] = [:],
        timeout: Duration = .seconds(300)
    ) throws -> OutsideProgram.Running {
        try program(arguments, environment: added, timeout: timeout).start()
    }

    /// The call that `run` and `start` make, for arguments in a list.
    public func program(
        _ arguments: [String], environment added: [String: String] = [:],
        timeout: Duration = .seconds(300)
    ) -> OutsideProgram {
        OutsideProgram(
            [path] + arguments, environment: environment.merging(added) { $1 },
            directory: directory, timeout: timeout)
    }

    private static func located() throws -> String {
        if let named = TestEnvironment.variable("DR_TEST_BINARY") { return named }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let own = String(
            decoding: buffer.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
        let path = own.split(separator: "/").dropLast().reduce(into: "") { $0 += "/\($1)" } + "/dr"
        guard access(path, X_OK) == 0 else { throw OutsideProgram.Problem("find \(path)") }
        return path
    }
}
