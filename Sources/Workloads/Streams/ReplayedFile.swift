import CLinux
import Engine
import Glibc
import Model

/// A file that is written under a temporary name beside its own, and gets its name when whole.
struct ReplayedFile: Sendable {
    let path: String

    /// The name while it is being written; a repeated call begins it anew.
    var temporary: String {
        let slash = path.lastIndex(of: "/")
        let directory = slash.map { path[...$0] } ?? ""
        let name = slash.map { path[path.index(after: $0)...] } ?? path[...]
        return "\(directory).\(name.prefix(200)).dr-restoring"
    }

    /// Writes a part to the file, durably.
    ///
    /// - Parameters:
    ///   - replace: A file that has the name is moved aside.
    ///   - claim: A file that has the name and is the run's own is replaced.
    ///   - settle: Called with the temporary name when all is written, before it gets its own.
    /// - Returns: The number of bytes.
    @discardableResult
    func write(
        _ part: String, from source: any ReplaySource, mode: UInt32 = 0o600, replace: Bool,
        claim: NameClaim = .unrecorded,
        settle: @Sendable (_ descriptor: Int32) async throws -> Void = { _ in }
    ) async throws -> UInt64 {
        try await write(mode: mode, replace: replace, claim: claim) { descriptor in
            let count = try await source.stream(part, to: descriptor)
            try await settle(descriptor)
            return count
        }
    }

    /// Writes what `body` writes to the descriptor it is given to the file, durably.
    ///
    /// - Returns: What `body` returned.
    @discardableResult
    func write(
        mode: UInt32 = 0o600, replace: Bool, claim: NameClaim = .unrecorded,
        _ body: @Sendable (_ descriptor: Int32) async throws -> UInt64
    ) async throws -> UInt64 {
        let descriptor = try await begin(mode)
        do {
            let count = try await body(descriptor)
            try await end(descriptor, replace: replace, claim)
            return count
        } catch {
            _ = close(descriptor)
            _ = unlink(temporary)
            throw error
        }
    }

    /// Writes bytes to the file, durably.
    func write(
        _ bytes: [UInt8], mode: UInt32 = 0o600, replace: Bool, claim: NameClaim = .unrecorded
    ) async throws {
        let descriptor = try await begin(mode)
        do {
            try await BlockingPool.shared.run {
                try bytes.withUnsafeBytes {
                    try FileSystem().write($0, to: descriptor, path: temporary)
                }
            }
            try await end(descriptor, replace: replace, claim)
        } catch {
            _ = close(descriptor)
            _ = unlink(temporary)
            throw (error as? SystemError)?.failure(side: .target) ?? error
        }
    }

    private func begin(_ mode: UInt32) async throws -> Int32 {
        try await BlockingPool.shared.run {
            do {
                let files = FileSystem()
                if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
                    try files.makeDirectories(String(path[..<slash]), mode: 0o755)
                }
                try files.unlink(temporary)
                return try files.open(
                    temporary, flags: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
            } catch {
                throw (error as? SystemError)?.failure(side: .target) ?? error
            }
        }
    }

    private var isThere: Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    private func end(_ descriptor: Int32, replace: Bool, _ claim: NameClaim) async throws {
        let isThere = try await BlockingPool.shared.run {
            do throws(SystemError) {
                try FileSystem().synchronize(descriptor, path: temporary)
            } catch { throw error.failure(side: .target) }
            return self.isThere
        }
        let isOwn = claim.isOwn
        if isThere, !isOwn {
            guard replace else { throw taken }
            let aside = "\(path)_before_\(AsideName.now())"
            await claim.moveAside(to: aside)
            try await BlockingPool.shared.run {
                do throws(SystemError) {
                    try FileSystem().rename(path, to: aside)
                } catch { throw error.failure(side: .target) }
            }
        }
        await claim.claim()
        do { try await name(descriptor, isOwn: isOwn) } catch let error as NameTaken {
            await claim.disclaim()
            throw error.failure
        }
    }

    /// Somebody else was faster.
    private struct NameTaken: Error { var failure: Failure }

    private var taken: Failure {
        Failure(
            .failed, "\(printable(path.utf8)) exists already",
            hint: "choose another place, or allow it to be replaced", side: .target)
    }

    private func name(_ descriptor: Int32, isOwn: Bool) async throws {
        try await BlockingPool.shared.run {
            do {
                let files = FileSystem()
                if isOwn {
                    try files.rename(temporary, to: path)
                } else if dr_rename_exclusive(AT_FDCWD, temporary, AT_FDCWD, path) != 0 {
                    if errno == EEXIST { throw NameTaken(failure: taken) }
                    throw SystemError.last("rename", path)
                }
                let slash = path.lastIndex(of: "/")
                try files.synchronizeDirectory(slash.map { String(path[...$0]) } ?? ".")
                _ = close(descriptor)
            } catch {
                throw (error as? SystemError)?.failure(side: .target) ?? error
            }
        }
    }
}
