import CLinux
import CSQLite
import Glibc
import Model

/// A connection to somebody's SQLite database, for looking at it and copying it; blocking, and for
/// one thread at a time.
final class SQLiteFile {
    /// How the file is opened.
    enum Access {
        /// A live database: locks and write-ahead log are respected.
        case live
        /// A file that nobody else uses: neither looked for nor made.
        case immutable
        /// A new file.
        case new
    }

    let path: String
    private let connection: OpaquePointer

    init(_ path: String, _ access: Access) throws {
        self.path = path
        switch access {
        case .new:
            connection = try Self.open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)
        case .immutable:
            let escaped = path.utf8.map { byte -> String in
                switch byte {
                case UInt8(ascii: "/"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    String(Unicode.Scalar(byte))
                default: "%" + Hexadecimal.encode([byte])
                }
            }.joined()
            connection = try Self.open(
                "file://\(escaped)?immutable=1", SQLITE_OPEN_READONLY | SQLITE_OPEN_URI)
        case .live:
            do {
                connection = try Self.openLive(path, SQLITE_OPEN_READONLY)
            } catch {
                // A crash's journal must be played back first, which takes a writer.
                connection = try Self.openLive(path, SQLITE_OPEN_READWRITE)
            }
        }
    }

    deinit { sqlite3_close_v2(connection) }

    private static func openLive(_ path: String, _ flags: Int32) throws -> OpaquePointer {
        let connection = try open(path, flags)
        sqlite3_busy_timeout(connection, 60_000)
        // Opening reads nothing yet.
        let result = sqlite3_exec(connection, "SELECT count(*) FROM sqlite_master", nil, nil, nil)
        guard result == SQLITE_OK else {
            let failure = failure(path, result, connection)
            sqlite3_close_v2(connection)
            throw failure
        }
        return connection
    }

    private static func open(_ path: String, _ flags: Int32) throws -> OpaquePointer {
        var connection: OpaquePointer?
        let result = sqlite3_open_v2(
            path, &connection, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard result == SQLITE_OK, let connection else {
            let failure = failure(path, result, connection)
            sqlite3_close_v2(connection)
            throw failure
        }
        return connection
    }

    /// The first column of every row.
    func texts(_ sql: String) throws -> [String] {
        var statement: OpaquePointer?
        var result = sqlite3_prepare_v2(connection, sql, -1, &statement, nil)
        defer { sqlite3_finalize(statement) }
        guard result == SQLITE_OK else { throw failure(result) }
        var texts: [String] = []
        while true {
            result = sqlite3_step(statement)
            if result == SQLITE_DONE { return texts }
            guard result == SQLITE_ROW else { throw failure(result) }
            texts.append(sqlite3_column_text(statement, 0).map { String(cString: $0) } ?? "")
        }
    }

    /// The first column of the first row.
    func text(_ sql: String) throws -> String { try texts(sql).first ?? "" }

    /// Tables that hold rows of their own, the shadows of virtual tables among them.
    func tables() throws -> [String] {
        try texts(
            """
            SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' \
            ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL TABLE%' ORDER BY name
            """)
    }

    func rows(of table: String) throws -> UInt64 {
        let quoted = table.replacing("\"", with: "\"\"")
        return UInt64(try text("SELECT count(*) FROM \"\(quoted)\"")) ?? 0
    }

    /// What is wrong with the file; empty for a sound one.
    func damage() throws -> [String] {
        do {
            let lines = try texts("PRAGMA integrity_check(20)")
            return lines == ["ok"] ? [] : lines
        } catch let error as Failure where error.code == .failed {
            // Damage can be such that even the check cannot go on.
            return [error.cause ?? error.message]
        }
    }

    /// Copies this database, as it is at one moment, into the empty database `copy`.
    ///
    /// In write-ahead mode the moment is held while others go on writing. In rollback mode they may
    /// write between the steps, which makes the copy begin anew; after `patience` it is made in one
    /// go, and writers wait for it.
    func backUp(to copy: SQLiteFile, patience: Duration = .seconds(20)) throws {
        let isWriteAhead = try text("PRAGMA journal_mode") == "wal"
        if isWriteAhead {
            try run("BEGIN")
            _ = try text("SELECT count(*) FROM sqlite_schema")
        }
        defer { if isWriteAhead { try? run("COMMIT") } }
        try copy.run("PRAGMA journal_mode = OFF")
        try copy.run("PRAGMA synchronous = OFF")
        guard let backup = sqlite3_backup_init(copy.connection, "main", connection, "main") else {
            throw copy.failure(sqlite3_errcode(copy.connection))
        }
        let start = ContinuousClock.now
        while true {
            let isOutOfPatience = ContinuousClock.now - start > patience
            let result = sqlite3_backup_step(backup, isOutOfPatience || isWriteAhead ? -1 : 4096)
            switch result & 0xFF {
            case SQLITE_DONE:
                let ended = sqlite3_backup_finish(backup)
                guard ended == SQLITE_OK else { throw copy.failure(ended) }
                return
            case SQLITE_OK: continue
            case SQLITE_BUSY, SQLITE_LOCKED:
                if ContinuousClock.now - start < .seconds(300) {
                    usleep(2000)
                    continue
                }
                fallthrough
            default:
                sqlite3_backup_finish(backup)
                throw failure(result)
            }
        }
    }

    func run(_ sql: String) throws {
        let result = sqlite3_exec(connection, sql, nil, nil, nil)
        guard result == SQLITE_OK else { throw failure(result) }
    }

    private func failure(_ result: Int32) -> Failure { Self.failure(path, result, connection) }

    private static func failure(_ path: String, _ result: Int32, _ connection: OpaquePointer?)
        -> Failure
    {
        let shown = printable(path.utf8)
        let cause = connection.map { printable(String(cString: sqlite3_errmsg($0)).utf8) }
        switch result & 0xFF {
        case SQLITE_NOTADB:
            return Failure(.failed, "\(shown) is not an SQLite database", side: .source)
        case SQLITE_FULL: return Failure(.noSpace, "\(shown): no space left", side: .local)
        case SQLITE_BUSY, SQLITE_LOCKED:
            return Failure(
                .failed, "\(shown) stayed locked by a writer", cause: cause, side: .source,
                isTransient: true)
        default:
            return Failure(
                .failed, "\(shown) cannot be read as an SQLite database", cause: cause,
                side: .source)
        }
    }
}
