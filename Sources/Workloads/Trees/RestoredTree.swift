import CLinux
import Engine
import Glibc
import Model

/// A tree that is brought back beside its place and moved there when whole, so that nothing half
/// done ever has its name, and what was there can be moved aside.
package struct RestoredTree: Sendable {
    package let path: String

    package init(path: String) { self.path = path }

    package enum State { case absent, emptyDirectory, directory, other }

    /// What is at the path now; a link counts as something other than a directory.
    package var state: State {
        var status = stat()
        guard lstat(path, &status) == 0 else { return errno == ENOENT ? .absent : .other }
        guard status.st_mode & S_IFMT == S_IFDIR else { return .other }
        let names = (try? FileSystem().names(in: path)) ?? ["?"]
        return names.allSatisfy { $0 == "lost+found" } ? .emptyDirectory : .directory
    }

    /// Brings the part back.
    ///
    /// - Parameter claim: What is at the path and is the run's own is dropped.
    /// - Returns: What came back, and where what was there is now.
    package func replay(
        _ part: String, from source: any ReplaySource, options: TreeReplayOptions, replace: Bool,
        claim: NameClaim = .unrecorded
    ) async throws -> (summary: TreeReplaySummary, aside: String?) {
        let state = try await BlockingPool.shared.run { self.state }
        let isTaken = state == .directory || state == .other
        if isTaken, !replace, !claim.isOwn { throw taken }
        // A mount point cannot be renamed, nor anything renamed over it.
        if await (try BlockingPool.shared.run { isMountPoint }) {
            var options = options
            options.allowNonEmptyTarget = replace || claim.isOwn
            await claim.claim()
            return (try await source.tree(part, to: path, options: options), nil)
        }
        if isTaken, claim.isOwn {
            try await BlockingPool.shared.run { try TreeRemoval.remove(path) }
        }
        let temporary = ReplayedFile(path: path).temporary
        try await BlockingPool.shared.run {
            try TreeRemoval.remove(temporary)
            guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
            do throws(SystemError) {
                try FileSystem().makeDirectories(String(path[..<slash]), mode: 0o755)
            } catch { throw error.failure(side: .target) }
        }
        let summary = try await source.tree(part, to: temporary, options: options)
        let aside = try await makeRoom(replace: replace, claim)
        await claim.claim()
        if try await BlockingPool.shared.run({ try place(temporary) }) { return (summary, aside) }
        await claim.disclaim()
        throw taken
    }

    /// Brings the part back, and says how it went.
    ///
    /// - Parameters:
    ///   - name: The path that was captured.
    ///   - files: How many must come back; nil when that is not known.
    package func outcome(
        of part: String, from source: any ReplaySource, options: TreeReplayOptions,
        context: WorkloadContext, name: String, files: UInt64?
    ) async throws -> ReplayOutcome {
        let (summary, aside) = try await replay(
            part, from: source, options: options, replace: context.replace,
            claim: context.claim("path\(path)"))
        return ReplayOutcome(summary, aside: aside, name: name, files: files)
    }

    private var taken: Failure {
        Failure(
            .failed, "\(printable(path.utf8)) exists already",
            hint: "choose another place, or allow it to be replaced", side: .target)
    }

    /// - Returns: Where what was there is now; nil when there was nothing.
    private func makeRoom(replace: Bool, _ claim: NameClaim) async throws -> String? {
        let state = try await BlockingPool.shared.run { self.state }
        guard state == .directory || state == .other else { return nil }
        guard replace else { throw taken }
        let aside = "\(path)_before_\(AsideName.now())"
        await claim.moveAside(to: aside)
        try await BlockingPool.shared.run {
            guard dr_rename_exclusive(AT_FDCWD, path, AT_FDCWD, aside) == 0 else {
                throw SystemError.last("rename", path).failure(side: .target)
            }
        }
        return aside
    }

    /// - Returns: False when something has the name by now.
    private func place(_ temporary: String) throws -> Bool {
        if dr_rename_exclusive(AT_FDCWD, temporary, AT_FDCWD, path) == 0 { return true }
        // Replaces an empty directory, nothing else; some file systems know no exclusive rename.
        switch (dr_errno(), state) {
        case (EEXIST, .emptyDirectory), (EINVAL, .absent), (EINVAL, .emptyDirectory): break
        case (EEXIST, _), (EINVAL, _): return false
        default: throw SystemError.last("rename", path).failure(side: .target)
        }
        if rename(temporary, path) == 0 { return true }
        if [EEXIST, ENOTEMPTY].contains(errno) { return false }
        throw SystemError.last("rename", path).failure(side: .target)
    }

    private var isMountPoint: Bool {
        var own = stat()
        var above = stat()
        guard lstat(path, &own) == 0, lstat("\(path)/..", &above) == 0 else { return false }
        return own.st_dev != above.st_dev || own.st_ino == above.st_ino
    }
}

/// The end of the name of what was moved aside, for example `20261122T030000Z`.
enum AsideName {
    static func now() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let text = Timestamp(seconds: now.tv_sec, nanoseconds: 0).description
        return text.filter { $0 != "-" && $0 != ":" }
    }
}

extension ReplayOutcome {
    /// How bringing a tree back went.
    ///
    /// - Parameters:
    ///   - aside: Where what was there is now; nil when there was nothing.
    ///   - name: The path that was captured.
    ///   - files: How many must come back; nil when that is not known.
    init(_ summary: TreeReplaySummary, aside: String?, name: String, files: UInt64?) {
        self.init(
            bytes: summary.bytes, notes: summary.dropped.map { "dropped: \($0)" },
            problems: summary.problems)
        if let aside { notes.append("what was there is now \(printable(aside.utf8))") }
        if let files, files != summary.files {
            problems.append(
                "\(printable(name.utf8)): \(summary.files) files came back of \(files)")
        }
    }
}
