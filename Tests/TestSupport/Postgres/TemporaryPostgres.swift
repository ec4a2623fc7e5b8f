import CLinux
import Engine
import Glibc
import Model

/// A PostgreSQL server of its own in a scratch directory, reached through a socket there.
///
/// It runs as the user `postgres` when the tests run as root, listens on no network, and is ended
/// and removed with the directory.
public struct TemporaryPostgres: Sendable {
    /// `postgresql://postgres@/postgres?host=…`
    public let uri: String
    /// The data directory.
    public let data: String
    /// The directory of the socket.
    public let socket: String
    private let bin: String
    private let user: String?

    public static let superuser = "postgres"

    /// Makes and starts a server that ends with `directory`.
    ///
    /// - Parameters:
    ///   - name: Several servers of one directory have different names.
    ///   - password: When given, the superuser has it and every connection needs one.
    ///   - initdb: More options of initdb.
    public init(
        in directory: TemporaryDirectory, name: String = "pg", password: String? = nil,
        initdb: [String] = []
    ) async throws {
        guard let bin = TestEnvironment.postgresBin else {
            throw OutsideProgram.Problem("no PostgreSQL")
        }
        self.bin = bin
        let top = try directory.makeDirectory(name)
        user = TestEnvironment.isRoot ? "postgres" : nil
        data = "\(top)/data"
        socket = top
        uri = "postgresql://\(Self.superuser)@/postgres?host=\(top)"
        if user != nil {
            chmod(directory.path, 0o711)
            let account = try UserAccount(named: "postgres")
            guard chown(top, account.id, account.groupID) == 0 else {
                throw OutsideProgram.Problem("chown \(top)")
            }
        }
        var options = ["--username=\(Self.superuser)", "--no-sync", "--encoding=UTF8"]
        options += ["--locale=C.UTF-8", "-D", data] + initdb
        if let password {
            let file = try directory.write("\(name)-password", "\(password)\n")
            chmod(file, 0o644)
            options += ["--pwfile=\(file)", "--auth=scram-sha-256"]
        } else {
            options += ["--auth=trust"]
        }
        try await run(["\(bin)/initdb"] + options)
        try await start()
        let server = self
        directory.atEnd { _ = try? await server.stop() }
    }

    /// Starts the server again after ``stop()``.
    public func start() async throws {
        let settings =
            "-k \(socket) -c listen_addresses='' -c fsync=off -c max_connections=20 "
            + "-c shared_buffers=16MB"
        try await run([
            "\(bin)/pg_ctl", "start", "-D", data, "-w", "-l", "\(socket)/log", "-o", settings,
        ])
    }

    /// Ends the server as a crash does.
    public func stop() async throws {
        try await run(["\(bin)/pg_ctl", "stop", "-D", data, "-m", "immediate", "-w"])
    }

    /// Runs SQL and gives what it answers, unaligned; the judge's own way, not the driver's.
    @discardableResult
    public func sql(
        _ sql: String, database: String = "postgres", password: String? = nil
    ) async throws -> String {
        var environment = ["PGHOST": socket, "PGUSER": Self.superuser, "PGDATABASE": database]
        environment["PGPASSWORD"] = password
        let result = try await LocalPrograms().run(
            ProgramCall(
                ["\(bin)/psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql],
                environment: environment))
        guard result.succeeded else { throw Failure(.failed, result.errorText) }
        return result.text.hasSuffix("\n") ? String(result.text.dropLast()) : result.text
    }

    private func run(_ words: [String]) async throws {
        let result = try await LocalPrograms().run(
            ProgramCall(words, user: user, timeout: TimeSpan(seconds: 60)))
        guard result.succeeded else {
            throw Failure(.failed, "\(words.first ?? ""): \(result.errorText) \(result.text)")
        }
    }
}
