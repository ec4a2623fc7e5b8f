import CLinux
import CSQLite
import Glibc
public import Model

/// A database file whose content is not, or no longer, a database.
///
/// An error of its own, because every database of the catalog can be made again from the repository:
/// whoever opened it moves the file aside and rebuilds it.
public struct DamagedDatabase: Error, Sendable, Hashable, CustomStringConvertible {
    public var path: String
    /// SQLite's own words.
    public var detail: String

    public init(path: String, detail: String) {
        self.path = path
        self.detail = detail
    }

    public var description: String {
        "database is damaged: \(printable(path.utf8)) (\(detail))"
    }

    /// As a person sees it.
    public var failure: Failure {
        Failure(
            .damaged, "database is damaged: \(printable(path.utf8))",
            hint: "rebuild it from the repository", cause: detail, side: .local)
    }
}

/// SQLITE_IOERR_SHMSIZE: the file that processes share cannot grow; there is one reason for that.
private let ioErrorSharedMemorySize: Int32 = SQLITE_IOERR | 19 << 8

/// The error for a result code of SQLite: ``DamagedDatabase``, or a ``Failure`` on the local side.
///
/// No statement's text and no bound value is in it.
func databaseError(_ result: Int32, _ connection: OpaquePointer?, path: String) -> any Error {
    let detail =
        connection.flatMap { sqlite3_errmsg($0) }.map { String(cString: $0) }
        ?? String(cString: sqlite3_errstr(result))
    // A full disk shows in other codes too, where SQLite makes the files beside the database.
    let number = connection.map { sqlite3_system_errno($0) } ?? 0
    if result & 0xFF == SQLITE_IOERR || result & 0xFF == SQLITE_CANTOPEN,
        number == ENOSPC || number == EDQUOT || result == ioErrorSharedMemorySize
    {
        return databaseError(SQLITE_FULL, connection, path: path)
    }
    switch result & 0xFF {
    case SQLITE_CORRUPT, SQLITE_NOTADB:
        return DamagedDatabase(path: path, detail: detail)
    case SQLITE_FULL:
        return Failure(
            .noSpace, "no space left for the database \(printable(path.utf8))",
            hint: "free some space there, then run the same command again", side: .local)
    case SQLITE_BUSY, SQLITE_LOCKED:
        return Failure(
            .failed, "database \(printable(path.utf8)) is in use by another process",
            hint: "wait until the other process is done, then run the same command again",
            cause: detail, side: .local, isTransient: true)
    case SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_READONLY, SQLITE_AUTH:
        return Failure(
            .failed, "database \(printable(path.utf8)) cannot be opened",
            hint: "check that the directory exists and that this user may write there",
            cause: detail, side: .local)
    default:
        return Failure(
            .failed, "database \(printable(path.utf8)): \(detail)",
            cause: "SQLite result \(result)", side: .local)
    }
}
