import CLinux
import Engine
import Glibc
import Model

/// One PostgreSQL server, reached with its own client programs where they run.
struct PostgresClient: Sendable {
    let programs: any ProgramRunner
    /// How the server is called, for people.
    let name: String
    let address: PostgresAddress
    /// The user of the system to run the programs as; nil for the place's own.
    let systemUser: String?
    /// Ends with `/`; empty for `PATH`.
    let directory: String
    /// Where all client programs of the machine are on which they run; empty for this machine.
    var installed: [String] = []
    /// The database for what concerns the whole cluster.
    var maintenance: String { address.database ?? "postgres" }

    /// Waits no longer than this for a query's answer.
    private static let patience = TimeSpan(seconds: 3600)

    /// The same server through the programs in another directory.
    func using(directory: String) -> PostgresClient {
        PostgresClient(
            programs: programs, name: name, address: address, systemUser: systemUser,
            directory: directory, installed: installed)
    }

    /// A call of one of PostgreSQL's programs, the connection in its environment.
    func call(_ program: String, _ arguments: [String], options: String? = nil) -> ProgramCall {
        var environment = address.environment
        environment["PGCONNECT_TIMEOUT"] = environment["PGCONNECT_TIMEOUT"] ?? "30"
        environment["PGAPPNAME"] = "dr"
        // Messages are recognised by their text in a few places.
        environment["LC_MESSAGES"] = "C"
        if let options {
            environment["PGOPTIONS"] = (environment["PGOPTIONS"].map { $0 + " " } ?? "") + options
        }
        return ProgramCall(
            [directory + program] + arguments, environment: environment, user: systemUser)
    }

    // MARK: Queries

    /// What one query that gives one JSON value answers.
    func query<Value: Decodable>(
        _ type: Value.Type, _ sql: String, in database: String? = nil
    ) async throws -> Value {
        let result = try await psql(sql, in: database)
        do { return try StableJSON.decode(type, from: result.output) } catch {
            throw Failure(
                .failed, "\(name): an answer of psql is not understood", cause: "\(error)",
                side: .source)
        }
    }

    /// What one query that gives one value answers, as text.
    func text(_ sql: String, in database: String? = nil) async throws -> String {
        let text = try await psql(sql, in: database).text
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    /// Runs statements one after the other; the first that fails ends it.
    ///
    /// They go through standard input: they may hold password verifiers.
    func run(_ statements: [String], in database: String? = nil, options: String? = nil)
        async throws
    {
        let script = statements.joined(separator: "\n")
        _ = try await psql(script, in: database, options: options, isQuiet: true)
    }

    private func psql(
        _ sql: String, in database: String?, options: String? = nil, isQuiet: Bool = false
    ) async throws -> ProgramResult {
        var call = call(
            "psql",
            [
                "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d",
                SQLText.connection(to: database ?? maintenance),
            ], options: options)
        call.environment["PGCLIENTENCODING"] = "UTF8"
        call.timeout = Self.patience
        let result = try await ProgramStreams(programs: programs).run(
            call, feeding: Array((sql + "\n").utf8))
        guard result.succeeded else { throw failure("psql", result, side: .source) }
        return result
    }

    // MARK: Failures

    /// The failure of a program, with a hint where its words are known.
    func failure(_ what: String, _ result: ProgramResult, side: Failure.Side) -> Failure {
        var failure = result.failure("\(name): \(what)", side: side)
        // What was being said may quote a statement with a verifier in it.
        failure.cause = failure.cause.map(Self.redacted)
        let text = result.errorText
        if text.contains("password authentication failed") || text.contains("no password supplied")
        {
            failure.hint = "set password: of the service, or check it"
        } else if text.contains("Peer authentication failed") {
            failure.hint = "run as root or as the database's user, or set password:"
        } else if text.contains("server version mismatch") {
            failure.hint = "install the client programs of the server's major version"
        } else if text.contains("permission denied") {
            failure.hint = "connect as a superuser"
        } else if Self.isUnreachable(result) {
            failure.hint = "is the server running, and is its address right?"
            failure.isTransient = true
        }
        return failure
    }

    /// Whether psql could not connect.
    static func isUnreachable(_ result: ProgramResult) -> Bool {
        result.status == 2 && !result.errorText.contains("authentication failed")
            && !result.errorText.contains("no password supplied")
    }

    private static func redacted(_ text: String) -> String {
        var text = text
        for mark in ["SCRAM-SHA-256$", "PASSWORD '", "md5"] {
            while let start = text.firstRange(of: mark) {
                let rest = text[start.upperBound...]
                let end = rest.firstIndex { $0 == "'" || $0 == " " || $0 == "\"" } ?? rest.endIndex
                if mark == "md5", rest.distance(from: rest.startIndex, to: end) < 32 { break }
                text.replaceSubrange(start.lowerBound..<end, with: "(redacted)")
            }
        }
        return text
    }
}
