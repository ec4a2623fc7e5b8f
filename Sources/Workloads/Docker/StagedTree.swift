import CLinux
import Engine
import Glibc
import Model

/// Brings a tree back beside its place and puts it there when it is whole.
///
/// A run that dies leaves a directory `.NAME.dr-incomplete`, which the next attempt removes: the
/// place itself is empty or complete at every moment.
struct StagedTree {
    let source: any ReplaySource
    let part: String
    /// Absolute; missing, an empty directory, or the run's own.
    let path: String
    var claim = NameClaim.unrecorded

    private var parent: String {
        let parent = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        return parent.isEmpty ? "/" : parent
    }
    private var name: String { path.split(separator: "/").last.map(String.init) ?? "" }
    private var staging: String { (parent == "/" ? "" : parent) + "/.\(name).dr-incomplete" }

    func replay(_ options: TreeReplayOptions = TreeReplayOptions()) async throws
        -> TreeReplaySummary
    {
        let (path, parent, staging) = (path, parent, staging)
        let isOwn = claim.isOwn
        let isInPlace = try await BlockingPool.shared.run { () throws -> Bool in
            do {
                try FileSystem().makeDirectories(parent, mode: 0o755)
                switch try PlaceState.of(path) {
                case .missing: break
                case .empty(let isMountPoint): if isMountPoint { return true }
                case .taken where isOwn && !PlaceState.isMountPoint(path):
                    try TreeRemoval.remove(path)
                case .taken where isOwn: return true
                case .taken: throw PlaceState.failure(path)
                }
            } catch let error as SystemError { throw error.failure(side: .target) }
            try TreeRemoval.remove(staging)
            return false
        }
        // Nothing can be put in the place of a mounted file system but its content.
        if isInPlace {
            var options = options
            options.allowNonEmptyTarget = options.allowNonEmptyTarget || isOwn
            await claim.claim()
            return try await source.tree(part, to: path, options: options)
        }
        do {
            let summary = try await source.tree(part, to: staging, options: options)
            await claim.claim()
            try await BlockingPool.shared.run {
                do {
                    try Self.rename(staging, to: path)
                    try FileSystem().synchronizeDirectory(parent)
                } catch let error as SystemError { throw error.failure(side: .target) }
            }
            return summary
        } catch {
            if error is PlaceTaken { await claim.disclaim() }
            // What is left is only in the way; the error is what counts.
            await Task {
                _ = try? await BlockingPool.shared.run { try TreeRemoval.remove(staging) }
            }.value
            throw (error as? PlaceTaken)?.failure ?? error
        }
    }

    /// Somebody else was faster.
    private struct PlaceTaken: Error { var failure: Failure }

    /// Replaces an empty directory, nothing else.
    private static func rename(_ staging: String, to path: String) throws {
        if dr_rename_exclusive(AT_FDCWD, staging, AT_FDCWD, path) == 0 { return }
        if try PlaceState.of(path) == .taken { throw PlaceTaken(failure: PlaceState.failure(path)) }
        try FileSystem().rename(staging, to: path)
    }
}

/// What lies where something is to be put.
enum PlaceState: Sendable, Equatable {
    case missing
    case empty(isMountPoint: Bool)
    case taken

    /// Looks at a path of this machine.
    static func of(_ path: String) throws(SystemError) -> PlaceState {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return .missing }
            throw .last("stat", path)
        }
        guard status.st_mode & S_IFMT == S_IFDIR, try FileSystem().names(in: path).isEmpty else {
            return .taken
        }
        return .empty(isMountPoint: isMountPoint(path))
    }

    /// Whether another file system begins there.
    static func isMountPoint(_ path: String) -> Bool {
        var status = stat()
        var above = stat()
        return lstat(path, &status) == 0 && stat(path + "/..", &above) == 0
            && above.st_dev != status.st_dev
    }

    static func failure(_ path: String) -> Failure {
        Failure(
            .failed, "\(path) exists and is not empty", hint: "move it aside first", side: .target)
    }
}
