import CLinux
import Engine
import Glibc
import Model

/// A tree that is brought back beside its place and moved there when whole, so that nothing half
/// done ever has its name, and what was there can be moved aside.
struct RestoredTree: Sendable {
    let path: String

    enum State { case absent, emptyDirectory, directory, other }

    /// What is at the path now; a link counts as something other than a directory.
    var state: State {
        var status = stat()
        guard lstat(path, &status) == 0 else { return errno == ENOENT ? .absent : .other }
        guard status.st_mode & S_IFMT == S_IFDIR else { return .other }
        let names = (try? FileSystem().names(in: path)) ?? ["?"]
        return names.allSatisfy { $0 == "lost+found" } ? .emptyDirectory : .directory
    }

    /// Brings the part back.
    ///
    /// - Returns: What came back, and where what was there is now.
    func replay(
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

/// Removes a directory and everything in it, following no link and crossing no file system.
enum TreeRemoval {
    static func remove(_ path: String) throws {
        let slash = path.lastIndex(of: "/")
        let above = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let name = Array((slash.map { path[path.index(after: $0)...] } ?? path[...]).utf8)
        let parent = dr_openat(AT_FDCWD, above, dr_O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
        if parent < 0 {
            if errno == ENOENT { return }
            throw SystemError.last("open", above).failure(side: .target)
        }
        defer { close(parent) }
        do { try remove(name, in: parent, device: nil) } catch {
            throw error.failure(side: .target)
        }
    }

    private static func remove(_ name: [UInt8], in parent: Int32, device: dev_t?)
        throws(SystemError)
    {
        if EntryName.withCString(name, { unlinkat(parent, $0, 0) }) == 0 { return }
        let number = dr_errno()
        if number == ENOENT { return }
        guard number == EISDIR || number == EPERM else { throw .last("unlink", bytes: name) }
        let directory = EntryName.withCString(name) {
            dr_openat(parent, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        }
        if directory < 0 { throw .last("open", bytes: name) }
        var status = stat()
        guard fstat(directory, &status) == 0, device == nil || device == status.st_dev,
            let entries = fdopendir(directory)
        else {
            _ = close(directory)
            throw SystemError("rmdir", path: String(decoding: name, as: UTF8.self), number: EXDEV)
        }
        defer { closedir(entries) }
        while let entry = readdir(entries) {
            let child = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: UInt8.self, capacity: 256) {
                    Array(UnsafeBufferPointer(start: $0, count: strlen($0)))
                }
            }
            if child == [46] || child == [46, 46] { continue }
            try remove(child, in: directory, device: status.st_dev)
        }
        if EntryName.withCString(name, { unlinkat(parent, $0, AT_REMOVEDIR) }) != 0 {
            throw .last("rmdir", bytes: name)
        }
    }
}
