import Model
import TestSupport
import Testing

/// Expects that a program ended with `code` and said all of `texts`, on either output.
func expect(
    _ outcome: OutsideProgram.Outcome, _ code: ExitCode, _ texts: String...,
    at place: SourceLocation = #_sourceLocation
) {
    #expect(outcome.status == code.rawValue, "\(outcome)", sourceLocation: place)
    for text in texts {
        #expect(
            outcome.text.contains(text) || outcome.errorText.contains(text),
            "\(text) is missing: \(outcome)", sourceLocation: place)
    }
}

/// Requires that a program ended with `code`, and expects that it said all of `texts`.
func require(
    _ outcome: OutsideProgram.Outcome, endsWith code: ExitCode, saying texts: String...,
    at place: SourceLocation = #_sourceLocation
) throws {
    try #require(outcome.status == code.rawValue, "\(outcome)", sourceLocation: place)
    for text in texts {
        #expect(
            outcome.text.contains(text) || outcome.errorText.contains(text),
            "\(text) is missing: \(outcome)", sourceLocation: place)
    }
}

/// Runs a script of bash in `scratch`; it must succeed.
func shell(_ script: String, in scratch: TemporaryDirectory) async throws {
    let outcome = try await OutsideProgram(["bash", "-ec", script], directory: scratch.path).run()
    #expect(outcome.status == 0, "\(outcome)")
}

extension DrBinary {
    /// Makes the repository of the configuration and opens it with a random key from then on:
    /// passwords take a while to stretch.
    mutating func initializeWithKey() async throws {
        environment["DR_CONFIG"] = "dr.yaml"
        let password = ["DR_PASSWORD": "correct horse battery staple"]
        let made = try await run("init", environment: password)
        #expect(made.status == 0, "\(made)")
        let added = try await run(
            "key", "add", "--random-key", "key", "--label", "machine", environment: password)
        #expect(added.status == 0, "\(added)")
        environment["DR_KEY_FILE"] = "key"
    }
}
