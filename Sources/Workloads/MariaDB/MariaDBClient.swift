import Engine
import Model

/// One MariaDB or MySQL server, reached with its own client programs where they run.
struct MariaDBClient: Sendable {
    let programs: any ProgramRunner
    /// How the server is called, for people.
    let name: String
    /// Where the server is, as options of the programs.
    let connection: [String]
    /// Holds the password where one is configured.
    let environment: [String: String]
    /// Runs a program with the password that the container itself was made with.
    let usesContainersPassword: Bool
    /// `mariadb` and `mariadb-dump`, or what older servers and MySQL call them.
    let query: String
    let dump: String

    /// Waits no longer than this for a query's answer.
    private static let patience = TimeSpan(seconds: 3600)

    /// What the official images' variables hold, without its passing through `dr`.
    private static let wrapper = """
        p="${MARIADB_ROOT_PASSWORD-${MYSQL_ROOT_PASSWORD-}}"; \
        f="${MARIADB_ROOT_PASSWORD_FILE-${MYSQL_ROOT_PASSWORD_FILE-}}"; \
        if [ -n "$f" ]; then p=$(cat "$f"); fi; \
        if [ -n "$p" ]; then export MYSQL_PWD="$p"; fi; exec "$@"
        """

    /// A call of one of the server's programs.
    func call(_ program: String, _ arguments: [String]) -> ProgramCall {
        // Options files of the caller's home would change what is asked.
        let words = [program, "--no-defaults"] + connection + arguments
        guard usesContainersPassword else { return ProgramCall(words, environment: environment) }
        return ProgramCall(
            ["sh", "-c", Self.wrapper, "sh"] + words, environment: environment)
    }

    // MARK: Queries

    /// The rows of a query, each its columns as text.
    func rows(_ sql: String, in database: String? = nil) async throws -> [[String]] {
        let result = try await run([sql + ";"], in: database)
        return result.text.split(separator: "\n").map { line in
            line.split(separator: "\t", omittingEmptySubsequences: false).map {
                Self.unescaped(String($0))
            }
        }
    }

    /// The only value of a query.
    func value(_ sql: String, in database: String? = nil) async throws -> String {
        guard let value = try await rows(sql, in: database).first?.first else {
            throw Failure(.failed, "\(name): an answer is empty", side: .source)
        }
        return value
    }

    /// Runs statements one after the other; the first that fails ends it.
    ///
    /// They go through standard input: they may hold verifiers of passwords.
    @discardableResult
    func run(_ statements: [String], in database: String? = nil) async throws -> ProgramResult {
        var call = call(
            query,
            ["--batch", "--skip-column-names", "--default-character-set=utf8mb4"]
                + (database.map { ["--", $0] } ?? []))
        call.timeout = Self.patience
        let script = statements.joined(separator: "\n") + "\n"
        let result = try await ProgramStreams(programs: programs).run(
            call, feeding: Array(script.utf8))
        guard result.succeeded else { throw failure(query, result, side: .source) }
        return result
    }

    /// In batch mode line breaks, tabs and backslashes of values are escaped.
    private static func unescaped(_ text: String) -> String {
        guard text.contains("\\") else { return text }
        var result = ""
        var isEscaped = false
        for character in text {
            if isEscaped {
                switch character {
                case "n": result.append("\n")
                case "t": result.append("\t")
                case "0": result.append("\0")
                default: result.append(character)
                }
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else {
                result.append(character)
            }
        }
        return result
    }

    // MARK: Failures

    /// The failure of a program, with a hint where its words are known.
    func failure(_ what: String, _ result: ProgramResult, side: Failure.Side) -> Failure {
        var failure = result.failure("\(name): \(what)", side: side)
        // What was being said may quote a statement with a verifier in it.
        failure.cause = failure.cause.map(Self.redacted)
        let text = result.errorText
        if text.contains("Access denied") {
            failure.hint = "set user: and a password: of the service, or check them"
        } else if text.contains("Can't connect") || text.contains("Lost connection")
            || text.contains("server has gone away") || text.contains("(2002)")
            || text.contains("(2003)")
        {
            failure.hint = "is the server running, and is its address right?"
            failure.isTransient = true
        }
        return failure
    }

    private static func redacted(_ text: String) -> String {
        var text = text
        for mark in ["PASSWORD '", "BY '", "AS '", "USING '"] {
            var start = text.startIndex
            while let found = text[start...].firstRange(of: mark) {
                let rest = text[found.upperBound...]
                let end = rest.firstIndex(of: "'") ?? rest.endIndex
                text.replaceSubrange(found.upperBound..<end, with: "(redacted)")
                start = text.index(found.lowerBound, offsetBy: 1)
            }
        }
        return text
    }
}

/// SQL of MariaDB and MySQL as text.
enum MariaDBText {
    /// `` `name` ``
    static func name(_ name: String) -> String {
        "`" + name.replacing("`", with: "``") + "`"
    }

    /// `'value'`, in a session without `NO_BACKSLASH_ESCAPES`.
    static func literal(_ value: String) -> String {
        "'" + value.replacing("\\", with: "\\\\").replacing("'", with: "''") + "'"
    }
}
