import CLinux
import Engine
import Glibc
import Model
import Repository
import Synchronization
import TestSupport

/// A repository of two nights, made once; each trial spoils a copy of its own.
///
/// The tree that is saved has changed again since the second night, so that a third has something to
/// do. Nothing in it changes any more: trials share it.
struct FaultWorld: Sendable {
    let scratch: TemporaryDirectory
    /// Fingerprints of the tree on the first and second night, and as it is now.
    let first: TreeFingerprint
    let second: TreeFingerprint
    let now: TreeFingerprint
    /// Snapshots of the tree of both nights.
    let snapshots: [String]
    /// The snapshot of a service that is not configured any more; it has a pack to itself.
    let abandoned: String
    /// Commands that this `dr` has.
    let commands: Set<String>
    private let count = TrialCounter()

    static let password = "correct horse battery staple"
    /// Owners stay out: trials compare a restore with its source, not with another machine.
    static let aspects: TreeFingerprint.Aspects = [.times, .modes, .holes, .hardLinks]

    /// Makes one, runs `body` with it and cleans up.
    static func with(
        _ label: String, _ body: @Sendable (FaultWorld) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with(label) { scratch in
            try await body(try await FaultWorld(scratch))
        }
    }

    private init(_ scratch: TemporaryDirectory) async throws {
        self.scratch = scratch
        var random = SeededRandom(seed: 7)
        try scratch.makeDirectory("tree/deep/er")
        try scratch.makeDirectory("base")
        for number in 0..<24 {
            let size = number % 5 == 0 ? 90_000 : number * 97
            let place = ["", "deep/", "deep/er/"][number % 3]
            let bytes = number % 2 == 0 ? random.bytes(size) : random.text(size)
            try scratch.write("tree/\(place)file-\(number)", bytes)
        }
        try scratch.write("tree/large", random.bytes(1_500_000))
        symlink("large", scratch.path("tree/link"))
        link(scratch.path("tree/large"), scratch.path("tree/deep/same"))
        let base = try Trial(scratch, name: "base")
        try scratch.makeDirectory("abandoned")
        try scratch.write("abandoned/file", random.bytes(300_000))
        try await base.configure(more: "old: {files: [\(scratch.path("abandoned"))]}")
        // A cheap password: trials are not about guessing it.
        _ = try await BackupRepository.create(
            in: DirectoryStore(root: scratch.path("base/repo")),
            credential: .password(Self.password), label: "trial", scryptCost: 2)
        func fingerprint() throws -> TreeFingerprint {
            try TreeFingerprint(of: scratch.path("tree"), aspects: Self.aspects)
        }
        try await base.expectDone("backup", "--quiet", "old")
        abandoned = try await base.snapshots("old").first ?? ""
        try await base.configure()
        first = try fingerprint()
        try await base.expectDone("backup", "--quiet")
        try scratch.write("tree/file-3", random.bytes(200_000))
        unlink(scratch.path("tree/deep/file-4"))
        second = try fingerprint()
        try await base.expectDone("backup", "--quiet")
        try scratch.write("tree/deep/new", random.bytes(400_000))
        try scratch.write("tree/file-6", random.text(60_000))
        now = try fingerprint()
        snapshots = try await base.snapshots("site").reversed()
        guard snapshots.count == 2, !abandoned.isEmpty else {
            throw OutsideProgram.Problem("make two nights")
        }
        let help = try await base.dr.run("--help").text
        commands = Set(
            help.split(separator: "\n").filter { $0.hasPrefix("  ") }
                .compactMap { $0.split(separator: " ").first.map(String.init) })
    }

    /// A copy of the repository and of what the machine knows of it.
    func trial(_ name: String? = nil) async throws -> Trial {
        let name = name ?? "trial\(count.next())"
        let trial = try Trial(scratch, name: name)
        let copied = try await OutsideProgram.run(
            ["cp", "-a", "--reflink=auto", scratch.path("base"), scratch.path(name)])
        guard copied.status == 0 else { throw OutsideProgram.Problem(copied.errorText) }
        return trial
    }

    /// The directory that a restore of the tree into `out` writes.
    func restored(_ out: String) -> String { "\(out)/site/files\(scratch.path)/tree" }
}

/// Counts up, from any thread.
final class TrialCounter: Sendable {
    private let value = Atomic<Int>(0)
    func next() -> Int { value.add(1, ordering: .relaxed).newValue }
}

/// One copy of the world, with `dr` at home in it.
struct Trial: Sendable {
    let name: String
    let path: String
    var dr: DrBinary
    private let scratch: TemporaryDirectory

    fileprivate init(_ scratch: TemporaryDirectory, name: String) throws {
        self.scratch = scratch
        self.name = name
        path = scratch.path(name)
        dr = try DrBinary(in: scratch)
        dr.directory = path
        dr.environment["XDG_STATE_HOME"] = path + "/state"
        dr.environment["DR_PASSWORD"] = FaultWorld.password
        dr.environment["DR_CONFIG"] = "dr.yaml"
        dr.environment["DOCKER_HOST"] = nil
    }

    var repository: String { path + "/repo" }

    fileprivate func configure(more: String = "") async throws {
        try scratch.write(
            "\(name)/dr.yaml",
            """
            repository: repo
            services:
              site: {files: [\(scratch.path("tree"))]}
              rows: {command: {name: rows, capture: seq 3000, restore: tee rows.txt}}
              \(more)
            """)
    }

    /// Runs `dr`, at most a minute.
    func run(_ arguments: [String], within limit: Duration = .seconds(60)) async throws
        -> OutsideProgram.Outcome
    {
        try await dr.program(arguments, timeout: limit).run()
    }

    func expectDone(_ arguments: String...) async throws {
        let outcome = try await run(arguments)
        guard outcome.status == 0 else {
            throw TrialFailure("dr \(arguments.joined(separator: " ")): \(outcome)")
        }
    }

    /// Ids of the snapshots of a service, newest first.
    func snapshots(_ service: String) async throws -> [String] {
        let outcome = try await run(["snapshots", service, "--json"])
        guard outcome.status == 0 else { throw TrialFailure("dr snapshots: \(outcome)") }
        return outcome.text.split(separator: "\"id\":\"").dropFirst().map { String($0.prefix(64)) }
    }

    /// Removes the trial's files.
    func remove() async {
        _ = try? await OutsideProgram.run(["rm", "-rf", "--one-file-system", path])
    }

    /// Names of files below the repository that fit a pattern of `find`.
    func files(_ pattern: String...) async throws -> [String] {
        let found = try await OutsideProgram.run(["find", repository] + pattern)
        return found.text.split(separator: "\n").map(String.init)
    }
}

/// Something that a trial found and that should not be.
struct TrialFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

extension FaultWorld {
    /// Restores one snapshot and compares it, to the last attribute.
    func expect(
        _ fingerprint: TreeFingerprint, of snapshot: String, in trial: Trial, _ out: String = "out"
    ) async throws {
        let outcome = try await trial.run(
            ["restore", "site", "--only", "--at", snapshot, "--to", "./\(out)", "--yes", "--quiet"])
        guard outcome.status == 0 else { throw TrialFailure("restore: \(outcome)") }
        let found = try TreeFingerprint(
            of: restored("\(trial.path)/\(out)"), aspects: Self.aspects)
        let differences = found.differences(from: fingerprint, limit: 5)
        if !differences.isEmpty {
            throw TrialFailure("\(snapshot.prefix(8)) came back wrong: \(differences)")
        }
        _ = try await OutsideProgram.run(["rm", "-rf", "\(trial.path)/\(out)"])
    }

    /// What must hold after any accident, with nobody's help: the list shows what was acknowledged,
    /// the next night works, nothing is damaged, and all of it comes back.
    ///
    /// - Parameters:
    ///   - alsoSaved: Snapshots that the run before the accident said were saved.
    ///   - forgotten: Snapshots that it may have removed.
    func expectUnharmed(
        _ trial: Trial, alsoSaved: [String] = [], forgotten: Set<String> = []
    ) async throws {
        let listed = Set(try await trial.snapshots("site"))
        for id in Set(snapshots).union(alsoSaved).subtracting(forgotten) where !listed.contains(id)
        {
            throw TrialFailure("\(id.prefix(8)), acknowledged, is not listed any more")
        }
        try await trial.expectDone("backup", "--quiet")
        let check = try await trial.run(["check", "--read-data"])
        guard check.status == 0 else { throw TrialFailure("check: \(check)") }
        let newest = try await trial.snapshots("site")[0]
        try await expect(now, of: newest, in: trial)
        if !forgotten.contains(snapshots[0]) {
            try await expect(first, of: snapshots[0], in: trial)
        }
        if !forgotten.contains(snapshots[1]) {
            try await expect(second, of: snapshots[1], in: trial)
        }
    }
}
