import Engine
import Model

/// Runs hooks: programs of the user around what `dr` does.
struct HookRunner: Sendable {
    let programs: any ProgramRunner
    /// Added to the environment of each.
    var environment: [String: String] = [:]

    /// - Parameters:
    ///   - name: For messages, for example `before`.
    ///   - variables: Added to the environment.
    /// - Throws: ``Failure`` when it could not be started, did not end with 0 or not in time.
    func run(
        _ name: String, _ words: [String]?, timeout: TimeSpan, variables: [String: String] = [:]
    ) async throws {
        guard let words, let program = words.first else { return }
        let shown = "the hook \(name) (\(printable(program.utf8)))"
        let result: ProgramResult
        do {
            result = try await programs.run(
                ProgramCall(
                    words, environment: environment.merging(variables) { $1 }, timeout: timeout))
        } catch let failure as Failure {
            // A hook that never ran is not to be tried again and again, nor is a late one.
            throw Failure(
                .failed, "\(shown) did not end well", hint: failure.hint,
                cause: failure.description, side: .local)
        }
        guard !result.succeeded else { return }
        let lines = result.errorText.split(whereSeparator: \.isNewline).suffix(3)
        throw Failure(
            .failed, "\(shown) failed with exit code \(result.status)",
            hint: "run it by hand to see what is wrong",
            cause: lines.isEmpty
                ? nil : lines.map { printable($0.utf8) }.joined(separator: "; "), side: .local)
    }
}
