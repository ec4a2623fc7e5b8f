import Glibc
import Model
import Repository
import TestSupport
import Testing

/// A `dr` with a repository of its own whose password is quickly tried, and programs of the test's
/// own before those of the machine.
struct SmallWorld {
    let scratch: TemporaryDirectory
    var dr: DrBinary

    static let password = "correct horse battery staple"

    /// - Parameter configuration: Without `repository:`.
    static func with(
        _ label: String, _ configuration: String, _ body: (SmallWorld) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with(label) { scratch in
            var world = SmallWorld(scratch: scratch, dr: try DrBinary(in: scratch))
            try scratch.makeDirectory("bin")
            let path = world.dr.environment["PATH"] ?? ""
            world.dr.environment["PATH"] = "\(scratch.path("bin")):\(path)"
            world.dr.environment["DR_CONFIG"] = "dr.yaml"
            world.dr.environment["DR_PASSWORD_FILE"] = try world.secret("password", password)
            try world.configure(configuration)
            _ = try await BackupRepository.create(
                in: DirectoryStore(root: scratch.path("repo")),
                credential: .password(password), label: "test", scryptCost: 2)
            try await body(world)
        }
    }

    func configure(_ configuration: String) throws {
        try scratch.write("dr.yaml", "repository: repo\n\(configuration)\n")
    }

    /// A file that only its owner reads.
    func secret(_ name: String, _ text: String) throws -> String {
        let path = try scratch.write(name, "\(text)\n")
        chmod(path, 0o600)
        return path
    }

    /// A program that `dr` finds before those of the machine.
    func program(_ name: String, _ script: String) throws {
        chmod(try scratch.write("bin/\(name)", "#!/bin/sh\n\(script)\n"), 0o755)
    }

    func text(of name: String) async throws -> String {
        try await OutsideProgram.run(["cat", scratch.path(name)]).text
    }

    /// Waits until `condition` holds, at most a minute.
    func until(
        _ what: String, at place: SourceLocation = #_sourceLocation,
        _ condition: () async throws -> Bool
    ) async throws {
        let limit = ContinuousClock.now + .seconds(60)
        while try await !condition() {
            try #require(ContinuousClock.now < limit, "never: \(what)", sourceLocation: place)
            try await Task.sleep(for: .milliseconds(20))
        }
    }

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
}
