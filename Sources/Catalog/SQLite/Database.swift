import CLinux
import CSQLite
import Glibc
import Model

/// One connection to an SQLite file, in write-ahead mode.
///
/// Not `Sendable`: whoever opens it owns it, on a thread of its own or behind a `Mutex`; it may move
/// between threads as long as one at a time uses it. Calls block, so they do not belong on the
/// cooperative pool. The connection closes when it and its statements are gone.
///
/// Every call throws ``DamagedDatabase`` for a file that is no database or is damaged, and a
/// `Failure` with side `.local` for the rest, code `noSpace` when the disk is full.
public final class Database {
    /// The file.
    public let path: String
    let connection: OpaquePointer
    private var cached: [String: Statement] = [:]

    /// Opens the database at `path`, and makes it, readable by its owner alone, when missing.
    public init(_ path: String, options: DatabaseOptions = DatabaseOptions()) throws {
        if !options.isReadOnly, path != ":memory:" {
            // SQLite gives its side files the permissions of the file itself.
            let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            if descriptor >= 0 { _ = Glibc.close(descriptor) }
        }
        let flags =
            (options.isReadOnly
                ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)
            | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        var opened: OpaquePointer?
        let result = sqlite3_open_v2(path, &opened, flags, nil)
        guard result == SQLITE_OK, let opened else {
            defer { sqlite3_close_v2(opened) }
            throw databaseError(result, opened, path: path)
        }
        self.path = path
        connection = opened
        // From here on `deinit` closes the connection if something throws.
        sqlite3_busy_timeout(
            opened, Int32(clamping: options.busyTimeout.nanoseconds / 1_000_000))
        try execute("PRAGMA cache_size = -\(max(1, options.cache.bytes >> 10))")
        try execute("PRAGMA mmap_size = \(options.memoryMap.bytes)")
        try addRowSum()
        guard !options.isReadOnly else { return }
        try execute("PRAGMA page_size = \(options.pageSize.bytes)")
        try execute("PRAGMA journal_mode = WAL")
        try execute("PRAGMA synchronous = \(options.synchronous.rawValue)")
        try execute("PRAGMA foreign_keys = ON")
        // A row that is replaced counts as removed, too.
        try execute("PRAGMA recursive_triggers = ON")
    }

    deinit {
        cached.removeAll()
        // Statements that are still held keep the connection until they are gone.
        sqlite3_close_v2(connection)
    }

    /// Runs one or more statements that need no values and whose rows, if any, are of no interest.
    public func execute(_ sql: String) throws {
        try check(sqlite3_exec(connection, sql, nil, nil, nil))
    }

    /// Prepares a statement to be run many times.
    public func prepare(_ sql: String) throws -> Statement {
        var prepared: OpaquePointer?
        try check(
            sqlite3_prepare_v3(
                connection, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil))
        guard let prepared else {
            preconditionFailure("a statement without SQL was prepared")
        }
        return Statement(prepared, of: self)
    }

    /// The statement for `sql`, prepared once and kept as long as the connection.
    ///
    /// It must not be in use when it is asked for again; ask for it, run it, reset it.
    public func statement(_ sql: String) throws -> Statement {
        if let known = cached[sql] { return known }
        let made = try prepare(sql)
        // The connection keeps it, so it must not keep the connection.
        made.database = nil
        cached[sql] = made
        return made
    }

    /// Runs `body` in a transaction that takes the write lock at once: all of it is durable when this
    /// returns (with `synchronous` full), none of it when this throws.
    public func transaction<Value>(_ body: (Database) throws -> Value) throws -> Value {
        try execute("BEGIN IMMEDIATE")
        do {
            let value = try body(self)
            try execute("COMMIT")
            return value
        } catch {
            // Some errors have rolled back already; another error here adds nothing to the first.
            if sqlite3_get_autocommit(connection) == 0 {
                sqlite3_exec(connection, "ROLLBACK", nil, nil, nil)
            }
            throw error
        }
    }

    /// Whether a transaction is open.
    public var isInTransaction: Bool { sqlite3_get_autocommit(connection) == 0 }
    /// The row id of the last insert.
    public var lastInsertedRow: Int64 { sqlite3_last_insert_rowid(connection) }
    /// Rows that the last statement inserted, changed or removed.
    public var changedRows: Int { Int(sqlite3_changes(connection)) }

    /// The number the file's owner keeps in it to tell versions of the schema apart; 0 when new.
    public func userVersion() throws -> Int64 {
        let statement = try prepare("PRAGMA user_version")
        guard try statement.step() else { return 0 }
        return statement.int64(0)
    }

    /// Sets the number that ``userVersion()`` gives, within the open transaction if there is one.
    public func setUserVersion(_ version: Int64) throws {
        try execute("PRAGMA user_version = \(version)")
    }

    /// Moves the write-ahead log into the file and empties it, as far as no reader holds it.
    public func checkpoint() throws {
        try execute("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    /// Looks for damage in the whole file; throws ``DamagedDatabase`` when there is any.
    ///
    /// - Parameter thoroughly: Compare indexes with their tables, too, which takes longer.
    public func quickCheck(thoroughly: Bool = false) throws {
        let statement = try prepare("PRAGMA \(thoroughly ? "integrity" : "quick")_check(1)")
        guard try statement.step() else { return }
        let verdict = statement.text(0)
        if verdict != "ok" { throw DamagedDatabase(path: path, detail: verdict) }
    }

    func check(_ result: Int32) throws {
        guard result == SQLITE_OK else {
            throw databaseError(result, connection, path: path)
        }
    }
}
