import Glibc

/// An sshd on loopback that lets this user in with a key of its own: stands in for another machine.
///
/// Its files lie in a scratch directory and it ends with that; the machine's own keys, users and
/// configuration are not touched.
public struct TemporarySSHServer: Sendable {
    public let port: Int
    /// What `DR_SSH_COMMAND` must be for this server.
    public let command: String
    private let directory: String

    /// Whether this machine can run one.
    public static let isPossible =
        access("/usr/sbin/sshd", X_OK) == 0 && TestEnvironment.isRoot
        && TestEnvironment.hasProgram("ssh-keygen")

    /// The words of `command`.
    public var words: [String] { command.split(separator: " ").map(String.init) }

    /// - Parameter programs: A directory whose programs come before the machine's own there.
    public init(in scratch: TemporaryDirectory, programs: String? = nil) async throws {
        port = try unusedPort()
        directory = try scratch.makeDirectory("ssh")
        chmod(directory, 0o700)
        for name in ["host", "user"] {
            try await Self.run([
                "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "\(directory)/\(name)",
            ])
        }
        try scratch.write(
            "ssh/sshd_config",
            """
            ListenAddress 127.0.0.1
            Port \(port)
            HostKey \(directory)/host
            AuthorizedKeysFile \(directory)/user.pub
            PidFile \(directory)/pid
            StrictModes no
            UsePAM no
            PermitRootLogin prohibit-password
            Subsystem sftp internal-sftp
            \(programs.map { "SetEnv PATH=\($0):/usr/sbin:/usr/bin:/sbin:/bin" } ?? "")
            """)
        try scratch.write(
            "ssh/config",
            """
            Host *
              IdentityFile \(directory)/user
              IdentitiesOnly yes
              StrictHostKeyChecking no
              UserKnownHostsFile /dev/null
              LogLevel ERROR
            """)
        command = "ssh -F \(directory)/config"
        mkdir("/run/sshd", 0o755)
        try await start()
        let server = self
        scratch.atEnd { await server.stop() }
    }

    public func start() async throws {
        try await Self.run(["/usr/sbin/sshd", "-f", "\(directory)/sshd_config"])
        let limit = ContinuousClock.now + .seconds(20)
        while access("\(directory)/pid", F_OK) != 0, ContinuousClock.now < limit {
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Ends it, and every connection that it has.
    public func stop() async {
        guard let process = await process() else { return }
        // Connections are its children: they would outlive it.
        await cut(below: process)
        kill(process, SIGKILL)
        unlink("\(directory)/pid")
    }

    /// Ends every connection that it has, as a network does that fails; new ones can be made.
    public func cutConnections() async {
        if let process = await process() { await cut(below: process) }
    }

    private func process() async -> Int32? {
        guard let text = try? await OutsideProgram.run(["cat", "\(directory)/pid"]).text else {
            return nil
        }
        return Int32(text.filter(\.isNumber))
    }

    private func cut(below process: Int32) async {
        let children = try? await OutsideProgram.run(["pgrep", "-P", "\(process)"]).text
        for child in (children ?? "").split(separator: "\n") {
            _ = Int32(child).map { kill($0, SIGKILL) }
        }
    }

    private static func run(_ words: [String]) async throws {
        let outcome = try await OutsideProgram.run(words)
        guard outcome.status == 0 else { throw OutsideProgram.Problem("\(words[0]): \(outcome)") }
    }
}
