import Engine
import FoundationEssentials
import Model
import Repository
import TestSupport
import Testing

/// What a restore makes of a repository that a disk has spoiled.
@Suite struct DamagedRestoreTests {
    private func check(_ trial: Trial) async throws -> CheckReport {
        let outcome = try await trial.run(["check", "--read-data", "--json"])
        #expect(outcome.status == ExitCode.damaged.rawValue, "\(outcome)")
        let line = outcome.text.split(separator: "\n").last.map { Data($0.utf8) } ?? Data()
        return try JSONDecoder().decode(CheckReport.self, from: line)
    }

    /// Spoils one pack, restores the newest snapshot and compares.
    private func trial(
        _ world: FaultWorld, _ spoil: (String) async throws -> Void, pack number: Int
    ) async throws -> Int {
        let trial = try await world.trial()
        let packs = try await trial.files("-path", "*/packs/*", "-type", "f").sorted()
        try await spoil(packs[number % packs.count])
        let report = try await check(trial)
        #expect(!report.findings.isEmpty)
        let lost = Set(
            report.affected.filter { "\($0.snapshot)" == world.snapshots[1] }.map(\.path))
        let outcome = try await trial.run(
            ["restore", "site", "--only", "--at", world.snapshots[1], "--to", "./out", "--yes"])
        guard !lost.isEmpty else {
            #expect(outcome.status == 0, "nothing of it is damaged: \(outcome)")
            await trial.remove()
            return 0
        }
        #expect(outcome.status == ExitCode.damaged.rawValue, "\(lost): \(outcome)")
        let text = outcome.text + outcome.errorText
        #expect(text.contains("site"))
        // Where all of it is lost there is no file to name.
        guard !lost.contains(nil) else {
            await trial.remove()
            return 1
        }
        let names = lost.compactMap { $0 }
        #expect(names.contains { text.contains($0) }, "\(names) \(text)")
        let found = try TreeFingerprint(
            of: world.restored("\(trial.path)/out"), aspects: [.times, .modes, .holes])
        for (path, entry) in world.second.entries where !names.contains(path) {
            // Which names are of one file is not said here: one of them may be lost.
            let plain = entry.split(separator: ", same file as ")[0]
            #expect(found.entries[path].map { $0 == plain } == true, "\(path): \(outcome)")
        }
        for path in names { #expect(found.entries[path] == nil, "\(path) came back spoiled") }
        await trial.remove()
        return names.count
    }

    @Test("What is whole comes back; what is lost is named and not invented")
    func delivers() async throws {
        try await FaultWorld.with("damage") { world in
            var random = SeededRandom.announced()
            var lost = 0
            let count = TestEnvironment.isFull ? 60 : 6
            for number in 0..<count {
                let place = Double.random(in: 0..<1, using: &random)
                lost += try await trial(
                    world,
                    { pack in
                        if number % 3 == 2 {
                            _ = try await OutsideProgram.run(["rm", pack])
                            return
                        }
                        var bytes = try FileSystem().read(pack)
                        let position = Int(place * Double(bytes.count))
                        if number % 3 == 0 {
                            bytes[position] ^= 1
                        } else {
                            bytes.removeLast(bytes.count - position)
                        }
                        try FileSystem().writeDurably(bytes, to: pack)
                    }, pack: number)
            }
            print("\(count) packs spoiled, \(lost) files lost, each of them named")
            #expect(lost > 0)
        }
    }
}
