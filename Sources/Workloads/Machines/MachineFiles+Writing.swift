import Engine
import Glibc
import Model

extension MachineFiles {
    /// Brings a tree back beside its place and moves it there when it is whole; what was there is
    /// moved aside where that is allowed.
    ///
    /// - Parameter claim: What is at the path and is the run's own is dropped.
    /// - Returns: What came back, and where what was there is now.
    func replay(
        _ part: String, from source: any ReplaySource, to path: String,
        options: TreeReplayOptions = TreeReplayOptions(), replace: Bool,
        claim: NameClaim = .unrecorded
    ) async throws -> (summary: TreeReplaySummary, aside: String?) {
        guard let far = farPrograms else {
            return try await RestoredTree(path: path).replay(
                part, from: source, options: options, replace: replace, claim: claim)
        }
        return try await FarTree(files: self, far: far, path: path, replace: replace, claim: claim)
            .replay(part, from: source)
    }

    /// The same for a place that is empty or the run's own.
    func replayStaged(
        _ part: String, from source: any ReplaySource, to path: String,
        claim: NameClaim = .unrecorded
    ) async throws -> TreeReplaySummary {
        guard let far = farPrograms else {
            return try await StagedTree(source: source, part: part, path: path, claim: claim)
                .replay()
        }
        return try await FarTree(files: self, far: far, path: path, replace: false, claim: claim)
            .replay(part, from: source).summary
    }
}

extension MachineFiles {
    /// Says when a disk of another machine has no room for so much more; that of this one is looked at
    /// for the whole plan.
    func lack(of bytes: ByteCount, at path: String) async throws -> PreflightFinding? {
        guard let far = farPrograms, bytes.bytes > 0 else { return nil }
        let script = #"p=$1; while [ ! -e "$p" ]; do p=$(dirname -- "$p"); done; df -Pk -- "$p""#
        let fields =
            try await Self.ask(far, script, [path]).text
            .split(separator: "\n").last?.split(separator: " ") ?? []
        guard fields.count >= 6, let free = UInt64(fields[3]), free << 10 < bytes.bytes else {
            return nil
        }
        return PreflightFinding(
            .blocker,
            "\(far.destination) has \(ByteCount(free << 10)) left at \(printable(path.utf8)), and "
                + "\(bytes) come back there", hint: "free some space there",
            name: PreflightFinding.room)
    }
}

/// A tree that comes back on another machine: GNU tar unpacks it there.
private struct FarTree {
    let files: MachineFiles
    let far: SSHPrograms
    let path: String
    let replace: Bool
    let claim: NameClaim
    /// What the tree is called in the archive.
    private static let root = "tree"

    func replay(
        _ part: String, from source: any ReplaySource
    ) async throws -> (summary: TreeReplaySummary, aside: String?) {
        let place = try await files.place(at: path)
        if place.state == .taken, !replace, !claim.isOwn { throw taken }
        // A mount point cannot be renamed, nor anything renamed over it.
        if place.isMountPoint {
            await claim.claim()
            return (try await unpack(part, from: source, called: ".", to: path), nil)
        }
        if place.state == .taken, claim.isOwn { try await files.remove(path) }
        let temporary = ReplayedFile(path: path).temporary
        try await MachineFiles.ask(
            far, #"rm -rf -- "$1" && mkdir -p -- "$(dirname -- "$2")" && mkdir -m 700 -- "$1""#,
            [temporary, path], side: .target)
        do {
            let summary = try await unpack(part, from: source, called: Self.root, to: temporary)
            let aside = try await makeRoom()
            await claim.claim()
            guard
                try await MachineFiles.move("\(temporary)/\(Self.root)", to: path, on: far)
            else {
                await claim.disclaim()
                throw taken
            }
            try await files.remove(temporary)
            return (summary, aside)
        } catch {
            // What is left is only in the way; the error is what counts.
            await Task { _ = try? await files.remove(temporary) }.value
            throw error
        }
    }

    /// - Returns: Where what was there is now; nil when there was nothing.
    private func makeRoom() async throws -> String? {
        guard try await files.place(at: path).state == .taken else { return nil }
        guard replace else { throw taken }
        let aside = "\(path)_before_\(AsideName.now())"
        await claim.moveAside(to: aside)
        try await files.rename(path, to: aside)
        return aside
    }

    private func unpack(
        _ part: String, from source: any ReplaySource, called name: String, to directory: String
    ) async throws -> TreeReplaySummary {
        let (summary, result) = try await ProgramStreams(programs: far).feeding(
            ProgramCall([
                "tar", "--extract", "--preserve-permissions", "--same-owner", "--xattrs",
                "--xattrs-include=*", "--acls", "--numeric-owner", "-C", directory,
            ])
        ) { try await source.archive(part, called: name, to: $0) }
        guard result.succeeded, let summary else {
            throw result.failure("tar, unpacking on \(far.destination),", side: .target)
        }
        return summary
    }

    private var taken: Failure {
        Failure(
            .failed, "\(printable(path.utf8)) exists already on \(far.destination)",
            hint: "choose another place, or allow it to be replaced", side: .target)
    }
}
