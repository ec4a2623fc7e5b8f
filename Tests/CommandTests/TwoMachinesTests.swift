import FoundationEssentials
import Model
import TestSupport
import Testing

/// Machines that save different things under one name into one repository.
@Suite("Two machines with services of one name")
struct TwoMachinesTests: CommandSuite {
    /// `dr` on a machine of this name, with a state of its own.
    private func run(
        _ arguments: String..., on host: String, _ dr: DrBinary, _ scratch: TemporaryDirectory
    ) async throws -> OutsideProgram.Outcome {
        var machine = dr
        machine.environment["XDG_STATE_HOME"] = scratch.path("state-\(host)")
        machine.environment["DR_CONFIG"] = "\(host).yaml"
        let renamed = [
            "unshare", "-r", "--uts", "sh", "-c", "hostname \(host) && exec \"$@\"", "sh",
        ]
        return try await OutsideProgram(
            renamed + [machine.path] + arguments, environment: machine.environment,
            directory: machine.directory, timeout: .seconds(300)
        ).run()
    }

    @Test("Each keeps its own, and a night says so; a move to a new machine is no trouble")
    func sameName() async throws {
        try await NightWorld.with { world in
            let (scratch, dr) = (world.scratch, world.dr)
            let probe = try? await OutsideProgram(
                ["unshare", "-r", "--uts", "hostname", "probe"], environment: dr.environment,
                directory: dr.directory, timeout: .seconds(30)
            ).run()
            // Where machines cannot be renamed nothing can be tried.
            guard probe?.status == 0 else { return }
            for host in ["one", "two"] {
                try scratch.write(
                    "\(host).yaml",
                    "repository: repo\nretention: {last: 1}\n"
                        + "services: {site: {files: [\(host)]}}\n")
                try scratch.makeDirectory(host)
                try scratch.write("\(host)/own", host)
            }
            func snapshots() async throws -> [Substring] {
                let list = try await run("snapshots", "--json", on: "one", dr, scratch).text
                return list.split(separator: "\"id\":\"").dropFirst().map { $0.prefix(64) }
            }
            expect(try await run("backup", on: "one", dr, scratch), .done)
            // It may have taken the place of the other one.
            let moved = try await run("backup", on: "two", dr, scratch)
            expect(moved, .done)
            #expect(!moved.errorText.contains("here too"))
            let first = try await snapshots()
            #expect(first.count == 2)

            expect(
                try await run("backup", on: "one", dr, scratch), .partial,
                "host two saves site/files:files here too")
            let second = try await snapshots()
            // One's own older one is gone, two's is still there.
            #expect(second.count == 2)
            #expect(Set(second).intersection(first) == [first[0]])

            // Nobody else has saved it since.
            expect(try await run("backup", on: "one", dr, scratch), .done)
            let third = try await snapshots()
            #expect(third.contains(first[0]) && third.count == 2)
        }
    }
}
