import CLinux
import Engine
import Glibc
import Model

/// A consistent copy of a live database in a directory of its own; blocking.
struct SQLiteCopy: Sendable {
    /// What is recorded beside the bytes.
    struct Facts: Codable, Sendable {
        var path: String
        var pageSize: UInt64
        var userVersion: Int64
        var applicationID: Int64
        var encoding: String
        var journalMode: String
        /// What `PRAGMA integrity_check` says of the copy; empty for a sound one.
        var damage: [String]
        var mode: UInt32
        var userID: UInt32
        var groupID: UInt32
        var modified: Timestamp
    }

    let directory: String
    var file: String { "\(directory)/database" }
    let facts: Facts
    let rows: [String: UInt64]

    /// Copies the database at `path`.
    init(of path: String) throws {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw Failure(
                .failed, "\(printable(path.utf8)) does not exist",
                hint: "correct the path, or remove the service", side: .source)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw Failure(.failed, "\(printable(path.utf8)) is not a file", side: .source)
        }
        guard status.st_size > 0 else {
            throw Failure(
                .failed, "\(printable(path.utf8)) is empty, not an SQLite database", side: .source)
        }
        directory = try Self.makeDirectory(for: path, size: UInt64(status.st_size))
        do {
            let live = try SQLiteFile(path, .live)
            let journalMode = try live.text("PRAGMA journal_mode")
            try live.backUp(to: try SQLiteFile("\(directory)/database", .new))
            let copy = try SQLiteFile("\(directory)/database", .immutable)
            let damage = try copy.damage()
            var rows: [String: UInt64] = [:]
            if damage.isEmpty {
                for table in try copy.tables() { rows["main.\(table)"] = try copy.rows(of: table) }
            }
            self.rows = rows
            facts = Facts(
                path: path, pageSize: UInt64(try copy.text("PRAGMA page_size")) ?? 0,
                userVersion: Int64(try copy.text("PRAGMA user_version")) ?? 0,
                applicationID: Int64(try copy.text("PRAGMA application_id")) ?? 0,
                encoding: try copy.text("PRAGMA encoding"), journalMode: journalMode,
                damage: damage, mode: status.st_mode & 0o7777, userID: status.st_uid,
                groupID: status.st_gid,
                modified: Timestamp(
                    seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec))
        } catch {
            try? TreeRemoval.remove(directory)
            throw error
        }
    }

    func remove() { try? TreeRemoval.remove(directory) }

    /// A directory that only this user can enter, where the copy has room: TMPDIR, else /var/tmp,
    /// else beside the database.
    private static func makeDirectory(for path: String, size: UInt64) throws -> String {
        let beside = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let named = getenv("TMPDIR").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        let candidates = (named.map { [$0] } ?? []) + ["/var/tmp", beside.isEmpty ? "/" : beside]
        // A write-ahead log may make the copy larger than the file.
        let log = (try? FileSystem().size(of: "\(path)-wal")) ?? 0
        let needed = size + log + (16 << 20)
        for candidate in candidates {
            guard let free = try? FileSystem().freeBytes(at: candidate), free > needed else {
                continue
            }
            sweep(candidate)
            var template = Array("\(candidate)/.dr-sqlite-\(getpid())-XXXXXX".utf8CString)
            if mkdtemp(&template) != nil {
                return String(
                    decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }
        }
        throw Failure(
            .noSpace, "no room for a copy of \(printable(path.utf8)) (\(ByteCount(needed)))",
            hint: "set TMPDIR to a directory with enough space", side: .local)
    }

    /// Removes copies that a killed process left in `directory`.
    private static func sweep(_ directory: String) {
        for name in (try? FileSystem().names(in: directory)) ?? []
        where name.hasPrefix(".dr-sqlite-") {
            guard let process = Int32(name.dropFirst(11).prefix { $0.isNumber }),
                kill(process, 0) != 0, errno == ESRCH
            else { continue }
            var status = stat()
            let path = "\(directory)/\(name)"
            guard lstat(path, &status) == 0, status.st_uid == geteuid() else { continue }
            try? TreeRemoval.remove(path)
        }
    }
}
