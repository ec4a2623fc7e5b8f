import Model
import Repository
import Workloads

/// Where the repository's password comes from: `DR_PASSWORD`, `DR_PASSWORD_FILE`,
/// `DR_PASSWORD_COMMAND`, else a person at the terminal.
///
/// The password of another repository, or a new one, comes from variables of another prefix in the
/// same way.
struct RepositoryPassword: Sendable {
    var environment: ProcessEnvironment
    var secrets: any SecretReader
    /// Asks without showing what is typed; nil from it when there is no terminal.
    var ask: @Sendable (_ question: String) async throws -> String?
    /// What the variables' names begin with: `DR`, `DR_NEW`, `DR_FROM`.
    var prefix = "DR"
    /// A file that the command line names, instead of the variables.
    var file: String?

    private var variables: [String] {
        ["\(prefix)_PASSWORD", "\(prefix)_PASSWORD_FILE", "\(prefix)_PASSWORD_COMMAND"]
    }
    private var keyVariable: String { "\(prefix)_KEY_FILE" }

    /// What opens an existing repository: its password, or a key that a file holds.
    func credential(for repository: String) async throws -> Credential {
        guard file == nil, let path = environment[keyVariable] else {
            return .password(try await read(for: repository))
        }
        if let other = variables.first(where: { environment[$0] != nil }) {
            throw Failure(
                .usage, "both a key and a password are given: \(keyVariable) and \(other)",
                hint: "unset one of them")
        }
        return .key(try RandomKey.parse(try await secrets.read(.file(path)), from: path))
    }

    /// The password of an existing repository.
    func read(for repository: String) async throws -> String {
        if let source = try source() { return try await secrets.read(source) }
        let question = "password for \(printable(repository.utf8)): "
        guard let answer = try await ask(question) else { throw missing }
        guard !answer.isEmpty else { throw Self.empty }
        return answer
    }

    /// The password that a new repository gets; a person types it twice.
    func choose(for repository: String) async throws -> String {
        if let source = try source() { return try await secrets.read(source) }
        let place = printable(repository.utf8)
        guard let first = try await ask("new password for \(place): ") else { throw missing }
        guard !first.isEmpty else { throw Self.empty }
        guard try await ask("the same again: ") == first else {
            throw Failure(
                .usage, "the two passwords are not the same", hint: "run the command again")
        }
        return first
    }

    /// What the environment names; nil when it names nothing.
    func source() throws -> SecretSource? {
        if let file { return .file(file) }
        let given = variables.filter { environment[$0] != nil }
        guard given.count <= 1 else {
            throw Failure(
                .usage, "more than one password is given: \(given.joined(separator: " and "))",
                hint: "unset all but one of them")
        }
        guard let name = given.first else { return nil }
        let value = environment[name] ?? ""
        if name.hasSuffix("_FILE") { return .file(value) }
        guard name.hasSuffix("_COMMAND") else { return .environment(name) }
        do throws(CommandWords.Problem) {
            return .command(try CommandWords.split(value))
        } catch {
            throw Failure(.usage, "\(name) is no command: \(error.message)", hint: error.hint)
        }
    }

    private var missing: Failure {
        let which =
            switch prefix {
            case "DR_NEW": "no new password"
            case "DR_FROM": "no password for the repository that is copied"
            default: "no password for the repository"
            }
        return Failure(
            .usage, "\(which), and no terminal to ask for it",
            hint: "set \(prefix)_PASSWORD_FILE to a file that holds it, or"
                + " \(prefix)_PASSWORD_COMMAND or \(prefix)_PASSWORD")
    }

    private static let empty = Failure(
        .usage, "the password is empty", hint: "run the command again and type one")
}
