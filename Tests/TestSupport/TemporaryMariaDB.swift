import CLinux
import Engine
import Glibc
import Model

/// A MariaDB server of its own in a scratch directory, reached through a socket there.
///
/// It runs as the user `mysql` when the tests run as root, listens on no network, and is ended and
/// removed with the directory.
public final class TemporaryMariaDB: Sendable {
    /// The server's socket.
    public let socket: String
    private let data: String
    private let process: OutsideProgram.Running

    /// Makes and starts a server that ends with `directory`.
    ///
    /// - Parameters:
    ///   - name: Several servers of one directory have different names.
    ///   - password: What the user root must say; nothing without one.
    public init(
        in directory: TemporaryDirectory, name: String = "mariadb", password: String? = nil
    ) async throws {
        let top = try directory.makeDirectory(name)
        data = "\(top)/data"
        socket = "\(top)/socket"
        var user: [String] = []
        if TestEnvironment.isRoot {
            chmod(directory.path, 0o711)
            let account = try UserAccount(named: "mysql")
            guard chown(top, account.id, account.groupID) == 0 else {
                throw OutsideProgram.Problem("chown \(top)")
            }
            user = ["--user=mysql"]
        }
        let made = try await OutsideProgram.run(
            // It may write nowhere else.
            ["env", "TMPDIR=\(top)", "mariadb-install-db", "--no-defaults"] + user + [
                "--datadir=\(data)", "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ])
        guard made.status == 0 else { throw Failure(.failed, "\(made)") }
        process = try OutsideProgram(
            ["env", "TMPDIR=\(top)", "mariadbd", "--no-defaults"] + user + [
                "--datadir=\(data)", "--socket=\(socket)", "--skip-networking",
                "--pid-file=\(top)/pid", "--innodb-buffer-pool-size=16M", "--event-scheduler=ON",
                "--innodb-flush-log-at-trx-commit=0", "--log-error=\(top)/log",
            ], timeout: .seconds(1200)
        ).start()
        let server = self
        directory.atEnd { await server.end() }
        try await untilItAnswers()
        if let password {
            try await sql("ALTER USER root@localhost IDENTIFIED BY '\(password)'")
        }
    }

    private func untilItAnswers() async throws {
        let limit = ContinuousClock.now + .seconds(60)
        while true {
            do {
                try await sql("SELECT 1")
                return
            } catch {
                guard ContinuousClock.now < limit else { throw error }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Ends the server as a crash does.
    public func crash() { process.signal(SIGKILL) }

    private func end() async {
        process.signal(SIGKILL)
        _ = try? await process.outcome()
    }

    /// Runs SQL and gives what it answers; the judge's own way, not the driver's.
    @discardableResult
    public func sql(
        _ sql: String, database: String? = nil, password: String? = nil
    ) async throws -> String {
        let words =
            [
                "mariadb", "--no-defaults", "--socket=\(socket)", "--user=root", "--batch",
                "--skip-column-names", "--default-character-set=utf8mb4",
            ] + (password.map { ["--password=\($0)"] } ?? []) + (database.map { [$0] } ?? [])
        let result = try await OutsideProgram.run(words, input: Array((sql + "\n").utf8))
        guard result.status == 0 else { throw Failure(.failed, "\(result)") }
        return result.text.hasSuffix("\n") ? String(result.text.dropLast()) : result.text
    }
}
