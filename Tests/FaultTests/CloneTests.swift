import Engine
import Model
import TestSupport
import Testing

/// Copies of one machine, memory of the repository and all, that go on as if each were the only one:
/// a restored virtual machine, a disk that was cloned.
@Suite struct CloneTests {
    /// Names of packs, and salts of records, in a repository.
    private func seals(_ trial: Trial) async throws -> Set<String> {
        var seals: Set<String> = []
        for path in try await trial.files("-path", "*/packs/*", "-type", "f") {
            seals.insert("pack " + (path.split(separator: "/").last ?? ""))
        }
        let records = try await trial.files(
            "-type", "f", "(", "-path", "*/snapshots/*", "-o", "-path", "*/writers/*", ")")
        for path in records {
            let bytes = try FileSystem().read(path)
            seals.insert("salt \(bytes[8..<40].map { String($0, radix: 16) })")
        }
        return seals
    }

    @Test("Clones that save the same data at the same time repeat no name and no salt")
    func clonesApart() async throws {
        try await FaultWorld.with("clone") { world in
            let count = TestEnvironment.isFull ? 40 : 6
            let base = try await world.trial()
            let old = try await seals(base)
            var trials: [Trial] = []
            for _ in 0..<count { trials.append(try await world.trial()) }
            let running = try trials.map { try $0.dr.program(["backup", "--quiet"]).start() }
            for process in running { #expect(try await process.outcome().status == 0) }
            var all: Set<String> = []
            var total = 0
            for trial in trials {
                let new = try await seals(trial).subtracting(old)
                // A pack, two snapshots, one record of a chain.
                #expect(new.count >= 4)
                total += new.count
                all.formUnion(new)
            }
            print("\(count) clones: \(total) seals, \(all.count) of them different")
            #expect(all.count == total)
        }
    }

    @Test("Clones that write into one repository, one after the other, do each other no harm")
    func clonesTogether() async throws {
        try await FaultWorld.with("clone") { world in
            let first = try await world.trial()
            let second = try await world.trial()
            // The second goes on with the memory that both had, in the repository of the first.
            _ = try await OutsideProgram.run(["rm", "-rf", second.repository])
            _ = try await OutsideProgram.run(
                ["ln", "-s", first.repository, second.repository])
            for trial in [first, second, first, second] {
                try await trial.expectDone("backup", "--quiet")
                let check = try await trial.run(["check"])
                #expect(check.status == 0, "\(check)")
            }
            try await world.expectUnharmed(first)
            try await world.expectUnharmed(second)
            let writers = try await first.files("-path", "*/writers/*", "-type", "d")
            #expect(writers.count == 2, "the clone has taken a writer's name of its own")
        }
    }
}
