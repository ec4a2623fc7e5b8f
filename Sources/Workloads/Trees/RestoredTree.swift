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
    /// - Returns: What came back, and where what was there is now.
    package func replay(
        _ part: String, from source: any ReplaySource, options: TreeReplayOptions, replace: Bool
    ) async throws -> (summary: TreeReplaySummary, aside: String?) {
        let shown = printable(path.utf8)
        let state = try await BlockingPool.shared.run { self.state }
        if state == .directory || state == .other, !replace {
            throw Failure(
                .failed, "\(shown) exists already",
                hint: "choose another place, or allow it to be replaced", side: .target)
        }
        // A mount point cannot be renamed, nor anything renamed over it.
        if await (try BlockingPool.shared.run { isMountPoint }) {
            var options = options
            options.allowNonEmptyTarget = replace
            return (try await source.tree(part, to: path, options: options), nil)
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
        let aside = try await BlockingPool.shared.run { try place(temporary, replace: replace) }
        return (summary, aside)
    }

    private func place(_ temporary: String, replace: Bool) throws -> String? {
        var aside: String?
        if state == .directory || state == .other, replace {
            let name = "\(path)_before_\(AsideName.now())"
            guard dr_rename_exclusive(AT_FDCWD, path, AT_FDCWD, name) == 0 else {
                throw SystemError.last("rename", path).failure(side: .target)
            }
            aside = name
        }
        // Replaces an empty directory, nothing else.
        if rename(temporary, path) != 0 {
            throw SystemError.last("rename", path).failure(side: .target)
        }
        return aside
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
