import CLinux
import Engine
import Glibc
import Model

/// Writes a snapshot's parts into a directory: trees as trees, documents and images as files.
struct DirectoryReplay {
    let source: any ReplaySource
    /// The target's directory.
    let directory: String
    /// Nil where nothing is written.
    var context: WorkloadContext?

    private static let prefix = "write:"

    func steps() throws -> [ReplayStep] {
        try source.snapshot.parts.map { part in
            let path = try path(of: part)
            return ReplayStep(
                id: Self.prefix + part.name, title: "write \(printable(path.utf8))",
                bytes: part.bytes, phase: .data, makes: ["path\(path)"])
        }
    }

    func findings() throws -> [PreflightFinding] {
        try source.snapshot.parts.compactMap { part in
            let path = try path(of: part)
            let state: PlaceState
            do throws(SystemError) {
                state = try PlaceState.of(path)
            } catch { throw error.failure(side: .target) }
            guard state == .taken else { return nil }
            return PreflightFinding(
                .conflict, "\(printable(path.utf8)) exists already", name: "path\(path)")
        }
    }

    func perform(_ step: ReplayStep) async throws -> ReplayOutcome {
        let name = String(step.id.dropFirst(Self.prefix.count))
        guard step.id.hasPrefix(Self.prefix), let part = source.snapshot.part(name) else {
            throw Failure(.failed, "no step of this snapshot: \(printable(step.id.utf8))")
        }
        let path = try path(of: part)
        let claim = context?.claim("path\(path)") ?? .unrecorded
        let replace = context?.replace ?? false
        switch part.kind {
        case .document:
            let bytes = try await source.document(name)
            try await ReplayedFile(path: path).write(
                bytes, mode: 0o644, replace: replace, claim: claim)
            return ReplayOutcome(bytes: ByteCount(UInt64(bytes.count)))
        case .tree:
            let options = TreeReplayOptions(
                privilegedMetadata: context?.privilegedMetadata ?? false, owners: geteuid() == 0)
            let (summary, aside) = try await RestoredTree(path: path).replay(
                name, from: source, options: options, replace: replace, claim: claim)
            var notes = summary.dropped.map { "\(name): \($0)" }
            if let aside { notes.append("what was there is now \(printable(aside.utf8))") }
            return ReplayOutcome(
                bytes: summary.bytes, notes: notes,
                problems: summary.problems.map { "\(name): \($0)" })
        default:
            let count = try await ReplayedFile(path: path).write(
                name, from: source, mode: 0o644, replace: replace, claim: claim)
            return ReplayOutcome(bytes: ByteCount(count))
        }
    }

    private func path(of part: SnapshotPart) throws -> String {
        let components = part.name.split(separator: "/", omittingEmptySubsequences: false)
        guard !components.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }) else {
            throw Failure(
                .failed, "a part's name leads out of the directory: \(printable(part.name.utf8))")
        }
        return ReplayDirectory.path(directory, for: source.snapshot) + "/\(part.name)"
    }
}
