import Model
import Workloads

/// Where the repository's password comes from: `DR_PASSWORD`, `DR_PASSWORD_FILE`,
/// `DR_PASSWORD_COMMAND`, else a person at the terminal.
struct RepositoryPassword: Sendable {
    private static let variables = ["DR_PASSWORD", "DR_PASSWORD_FILE", "DR_PASSWORD_COMMAND"]

    var environment: ProcessEnvironment
    var secrets: any SecretReader
    /// Asks without showing what is typed; nil from it when there is no terminal.
    var ask: @Sendable (_ question: String) async throws -> String?

    /// The password of an existing repository.
    func read(for repository: String) async throws -> String {
        if let source = try source() { return try await secrets.read(source) }
        let question = "password for \(printable(repository.utf8)): "
        guard let answer = try await ask(question) else { throw Self.missing }
        guard !answer.isEmpty else { throw Self.empty }
        return answer
    }

    /// The password that a new repository gets; a person types it twice.
    func choose(for repository: String) async throws -> String {
        if let source = try source() { return try await secrets.read(source) }
        let place = printable(repository.utf8)
        guard let first = try await ask("new password for \(place): ") else { throw Self.missing }
        guard !first.isEmpty else { throw Self.empty }
        guard try await ask("the same again: ") == first else {
            throw Failure(
                .usage, "the two passwords are not the same", hint: "run the command again")
        }
        return first
    }

    /// What the environment names; nil when it names nothing.
    func source() throws -> SecretSource? {
        let given = Self.variables.filter { environment[$0] != nil }
        guard given.count <= 1 else {
            throw Failure(
                .usage, "more than one password is given: \(given.joined(separator: " and "))",
                hint: "unset all but one of them")
        }
        switch given.first {
        case "DR_PASSWORD": return .environment("DR_PASSWORD")
        case "DR_PASSWORD_FILE": return .file(environment["DR_PASSWORD_FILE"] ?? "")
        case "DR_PASSWORD_COMMAND":
            do throws(CommandWords.Problem) {
                let words = try CommandWords.split(environment["DR_PASSWORD_COMMAND"] ?? "")
                return .command(words)
            } catch {
                throw Failure(
                    .usage, "DR_PASSWORD_COMMAND is no command: \(error.message)",
                    hint: error.hint)
            }
        default: return nil
        }
    }

    private static let missing = Failure(
        .usage, "no password for the repository, and no terminal to ask for it",
        hint: "set DR_PASSWORD_FILE to a file that holds it, or DR_PASSWORD_COMMAND or DR_PASSWORD")

    private static let empty = Failure(
        .usage, "the password is empty", hint: "run the command again and type one")
}
