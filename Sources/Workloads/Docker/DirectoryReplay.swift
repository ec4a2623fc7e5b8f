import CLinux
import Engine
import Glibc
import Model

/// Writes a snapshot's parts into a directory: trees as trees, documents and images as files.
struct DirectoryReplay {
    let source: any ReplaySource
    /// The target's directory.
    let directory: String
    /// Devices, setuid bits and privileged attributes come back too.
    var privilegedMetadata = false

    private static let prefix = "write:"

    /// Where this workload's parts go.
    private var place: String {
        let text = source.snapshot.workload.text
        let name = text.firstIndex(of: ":").map { text[text.index(after: $0)...] } ?? text[...]
        return "\(directory)/\(name.replacing("/", with: "_"))"
    }

    func steps() -> [ReplayStep] {
        source.snapshot.parts.map { part in
            ReplayStep(
                id: Self.prefix + part.name, title: "write \(part.name)", bytes: part.bytes,
                phase: .data, makes: ["file\(place)/\(part.name)"])
        }
    }

    func findings() throws -> [PreflightFinding] {
        try source.snapshot.parts.compactMap { part in
            let path = try path(of: part)
            guard try PlaceState.of(path) == .taken else { return nil }
            return PreflightFinding(.conflict, "\(path) exists already")
        }
    }

    func perform(_ step: ReplayStep) async throws -> ReplayOutcome {
        let name = String(step.id.dropFirst(Self.prefix.count))
        guard step.id.hasPrefix(Self.prefix), let part = source.snapshot.part(name) else {
            throw Failure(.failed, "no step of this snapshot: \(step.id)")
        }
        let path = try path(of: part)
        switch part.kind {
        case .document:
            let bytes = try await source.document(name)
            try await BlockingPool.shared.run {
                do {
                    try FileSystem().makeDirectories(Self.parent(of: path), mode: 0o755)
                    try FileSystem().writeDurably(bytes, to: path)
                } catch let error as SystemError { throw error.failure(side: .target) }
            }
            return ReplayOutcome(bytes: ByteCount(UInt64(bytes.count)))
        case .tree:
            let options = TreeReplayOptions(
                privilegedMetadata: privilegedMetadata, owners: geteuid() == 0)
            let summary = try await StagedTree(source: source, part: name, path: path)
                .replay(options)
            return ReplayOutcome(
                bytes: summary.bytes, notes: summary.dropped.map { "\(name): \($0)" },
                problems: summary.problems.map { "\(name): \($0)" })
        default:
            return ReplayOutcome(bytes: ByteCount(try await write(name, to: path)))
        }
    }

    private func write(_ part: String, to path: String) async throws -> UInt64 {
        let incomplete = path + ".dr-incomplete"
        let descriptor = try await BlockingPool.shared.run { () throws -> Int32 in
            do {
                try FileSystem().makeDirectories(Self.parent(of: path), mode: 0o755)
                return try FileSystem().open(
                    incomplete, flags: O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW)
            } catch let error as SystemError { throw error.failure(side: .target) }
        }
        defer { close(descriptor) }
        let count = try await source.stream(part, to: descriptor)
        try await BlockingPool.shared.run {
            do {
                try FileSystem().synchronize(descriptor, path: incomplete)
                try FileSystem().rename(incomplete, to: path)
                try FileSystem().synchronizeDirectory(Self.parent(of: path))
            } catch let error as SystemError { throw error.failure(side: .target) }
        }
        return count
    }

    private func path(of part: SnapshotPart) throws -> String {
        let components = part.name.split(separator: "/", omittingEmptySubsequences: false)
        guard !components.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }) else {
            throw Failure(.failed, "a part's name leads out of the directory: \(part.name)")
        }
        return "\(place)/\(part.name)"
    }

    private static func parent(of path: String) -> String {
        String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    }
}
