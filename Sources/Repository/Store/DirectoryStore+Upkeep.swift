import CLinux
import Engine
import Glibc
public import Model

extension DirectoryStore {
    /// A crashed writer leaves a handful; this keeps one sweep short whatever it finds.
    private static let sweepLimit = 10_000

    /// Renames the file; its time becomes now first, so that a crash between the two does no harm.
    public func move(_ key: ObjectKey, to other: ObjectKey) async throws {
        try await blocking { store in
            try store.makeDirectory(of: other)
            let old = store.path(key)
            let new = store.path(other)
            var status = stat()
            guard lstat(old, &status) == 0 else {
                if errno == ENOENT { throw ObjectMissing(key) }
                throw SystemError.last("lstat", old)
            }
            if utimensat(AT_FDCWD, old, nil, 0) != 0 {
                throw SystemError.last("utimensat", old)
            }
            try store.files.rename(old, to: new)
            try store.files.synchronizeDirectory(Self.parent(new))
            try store.files.synchronizeDirectory(Self.parent(old))
        }
    }

    private static func parent(_ path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }

    /// Removes temporary files of our own that crashed writers left; somebody else's stay.
    public func sweep(olderThan age: TimeSpan) async throws -> Int {
        let limit = try await now() + TimeSpan(nanoseconds: -age.nanoseconds)
        return try await blocking { store in
            var count = 0
            for name in try store.names("") {
                if StorePlace.ownNames.contains(name) {
                    try store.sweep(name, before: limit, &count)
                } else if Self.isTemporary(name, in: "") {
                    try store.remove(name, before: limit, &count)
                }
            }
            return count
        }
    }

    private func names(_ directory: String) throws -> [String] {
        do throws(SystemError) {
            return try files.names(in: directory.isEmpty ? root : root + "/" + directory)
        } catch {
            if error.number == ENOENT || error.number == ENOTDIR { return [] }
            throw error
        }
    }

    private func sweep(_ directory: String, before limit: Timestamp, _ count: inout Int) throws {
        for name in try names(directory) where count < Self.sweepLimit {
            let path = directory + "/" + name
            if Self.isTemporary(name, in: directory + "/") {
                try remove(path, before: limit, &count)
            } else if name.utf8.count == 2 || directory == "writers" || directory == "damaged" {
                // Only these have folders of their own.
                try sweep(path, before: limit, &count)
            }
        }
    }

    private func remove(_ path: String, before limit: Timestamp, _ count: inout Int) throws {
        var status = stat()
        guard lstat(root + "/" + path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return
        }
        let written = Timestamp(
            seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
        guard written < limit else { return }
        try files.unlink(root + "/" + path)
        count += 1
    }

    /// Whether a file is what ``Engine/FileSystem/writeDurably(_:to:mode:)-(_,String,_)`` writes
    /// before it renames: an object's name, up to eight hexadecimal digits, `.tmp`.
    static func isTemporary(_ name: String, in directory: String) -> Bool {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[2] == "tmp", (1...8).contains(parts[1].utf8.count),
            parts[1].allSatisfy(\.isHexDigit),
            ObjectKey(validating: directory + parts[0]) != nil
        else { return false }
        return directory.isEmpty ? StorePlace.ownNames.contains(String(parts[0])) : true
    }

    /// At most three names; what the file system itself keeps at its root does not count.
    public func foreignNames() async throws -> [String] {
        try await blocking { store in
            let foreign = try store.names("").sorted().filter {
                !StorePlace.ownNames.contains($0) && !Self.isTemporary($0, in: "")
                    && $0 != "lost+found"
            }
            return Array(foreign.prefix(3))
        }
    }
}
