import Engine
import Model
import TestSupport
import Testing

/// Repositories that are not to be opened: each has its own message, hint and exit code.
@Suite struct RefusalTests {
    private func expect(
        _ trial: Trial, _ command: String, _ code: ExitCode, _ message: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let before = try await OutsideProgram.run(
            ["find", trial.repository, "-type", "f", "-printf", "%p %s %T@\n"])
        let outcome = try await trial.run([command])
        #expect(outcome.status == code.rawValue, "\(outcome)", sourceLocation: sourceLocation)
        let shown = outcome.errorText.replacing(trial.repository, with: "HERE")
        #expect(shown.contains(message), "\(shown)", sourceLocation: sourceLocation)
        #expect(shown.contains("\nhint: "), "\(shown)", sourceLocation: sourceLocation)
        let after = try await OutsideProgram.run(
            ["find", trial.repository, "-type", "f", "-printf", "%p %s %T@\n"])
        #expect(before.text == after.text, "nothing is touched", sourceLocation: sourceLocation)
    }

    private func edit(_ trial: Trial, _ script: String) async throws {
        let outcome = try await OutsideProgram(
            ["sh", "-c", script], directory: trial.repository
        ).run()
        #expect(outcome.status == 0, "\(outcome)")
    }

    @Test("Wrong password, newer format, unknown feature, lost files, another's catalog")
    func refusals() async throws {
        try await FaultWorld.with("refusal") { world in
            for command in ["backup", "snapshots", "check"] {
                var trial = try await world.trial()
                trial.dr.environment["DR_PASSWORD"] = "wrong"
                try await expect(
                    trial, command, .wrongKey,
                    "dr: the password does not open the repository at HERE")

                let newer = try await world.trial()
                try await edit(newer, "sed -i -E 's/(\"format\" ?: ?)1/\\12/' config")
                try await expect(
                    newer, command, .unsupportedRepository,
                    "dr: the repository at HERE has format 2")

                let unknown = try await world.trial()
                try await edit(
                    unknown,
                    "sed -i -z -E 's/(\"features\" ?: ?\\[)[^]]*\\]/\\1\"holography\"]/' config")
                try await expect(
                    unknown, command, .unsupportedRepository,
                    "dr: the repository at HERE uses 'holography'")

                let none = try await world.trial()
                try await edit(none, "rm -r *")
                try await expect(none, command, .noRepository, "dr: there is no repository at HERE")

                let unlocked = try await world.trial()
                try await edit(unlocked, "rm keys/*")
                try await expect(
                    unlocked, command, .damaged, "dr: the repository at HERE lists no key slot")

                let lost = try await world.trial()
                try await edit(lost, "rm config")
                try await expect(
                    lost, command, .damaged, "dr: the repository at HERE has lost its file 'config'"
                )
                try await expect(
                    lost, "init", .damaged, "dr: the repository at HERE has lost its file 'config'")
                for trial in [trial, newer, unknown, none, unlocked, lost] { await trial.remove() }
            }
            // A catalog that knows another repository.
            let mine = try await world.trial()
            try await mine.expectDone("snapshots")
            try world.scratch.write(
                "\(mine.name)/dr.yaml",
                "repository: other\ncatalog: known\nservices: {a: {command: {capture: seq 3}}}\n")
            try await mine.expectDone("init")
            try await mine.expectDone("snapshots")
            try world.scratch.write(
                "\(mine.name)/dr.yaml",
                "repository: repo\ncatalog: known\nservices: {a: {command: {capture: seq 3}}}\n")
            try await expect(mine, "snapshots", .usage, "belongs to another repository")
        }
    }
}
