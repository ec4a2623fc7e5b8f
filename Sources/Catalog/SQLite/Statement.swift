import CSQLite

/// A prepared statement: bind, step, read columns, reset.
///
/// Owned together with its ``Database``. Parameters count from 1, columns from 0, as in SQLite.
/// Nothing here allocates but ``text(_:)`` and ``blob(_:)``.
public final class Statement {
    private let handle: OpaquePointer
    private let connection: OpaquePointer?
    private let path: String
    /// Keeps the connection open while the statement is in use.
    var database: Database?

    init(_ handle: OpaquePointer, of database: Database) {
        self.handle = handle
        self.database = database
        connection = database.connection
        path = database.path
    }

    deinit { sqlite3_finalize(handle) }

    /// Binds an integer.
    public func bind(_ value: Int64, at index: Int32) {
        bound(sqlite3_bind_int64(handle, index, value))
    }

    /// Binds a floating-point number.
    public func bind(_ value: Double, at index: Int32) {
        bound(sqlite3_bind_double(handle, index, value))
    }

    /// Binds NULL.
    public func bindNull(at index: Int32) { bound(sqlite3_bind_null(handle, index)) }

    /// Binds text; it is copied.
    public func bind(_ text: String, at index: Int32) {
        var text = text
        text.withUTF8 { bytes in
            guard let base = bytes.baseAddress, !bytes.isEmpty else {
                bound(sqlite3_bind_text(handle, index, "", 0, nil))
                return
            }
            base.withMemoryRebound(to: CChar.self, capacity: bytes.count) {
                bound(
                    sqlite3_bind_text(
                        handle, index, $0, Int32(bytes.count),
                        unsafeBitCast(-1, to: sqlite3_destructor_type.self)))
            }
        }
    }

    /// Binds bytes without copying them.
    ///
    /// - Parameter bytes: Must stay where they are, unchanged, until the parameter is bound anew,
    ///   the bindings are cleared, or the statement is gone.
    public func bindStatic(_ bytes: UnsafeRawBufferPointer, at index: Int32) {
        if let base = bytes.baseAddress, !bytes.isEmpty {
            bound(sqlite3_bind_blob64(handle, index, base, UInt64(bytes.count), nil))
        } else {
            bound(sqlite3_bind_zeroblob(handle, index, 0))
        }
    }

    /// Binds a copy of `bytes`.
    public func bind(_ bytes: some Sequence<UInt8>, at index: Int32) {
        let copy = Array(bytes)
        copy.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress, !buffer.isEmpty else {
                bound(sqlite3_bind_zeroblob(handle, index, 0))
                return
            }
            bound(
                sqlite3_bind_blob64(
                    handle, index, base, UInt64(buffer.count),
                    unsafeBitCast(-1, to: sqlite3_destructor_type.self)))
        }
    }

    /// Goes to the next row.
    ///
    /// After an error the statement is reset already.
    ///
    /// - Returns: False when there is no more; the statement is then ready to run again.
    public func step() throws -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE:
            sqlite3_reset(handle)
            return false
        case let result:
            let error = databaseError(result, connection, path: path)
            sqlite3_reset(handle)
            throw error
        }
    }

    /// Runs the statement to its end, ignoring rows, and makes it ready to run again.
    public func run() throws { while try step() {} }

    /// Makes the statement ready to run again; bindings stay.
    public func reset() { sqlite3_reset(handle) }

    /// Sets every parameter to NULL.
    public func clearBindings() { sqlite3_clear_bindings(handle) }

    /// Whether the column of the current row is NULL.
    public func isNull(_ column: Int32) -> Bool {
        sqlite3_column_type(handle, column) == SQLITE_NULL
    }

    /// Whether the column holds bytes: the same ones as text stand elsewhere in SQLite's order.
    public func isBlob(_ column: Int32) -> Bool {
        sqlite3_column_type(handle, column) == SQLITE_BLOB
    }

    /// The column as an integer; 0 for NULL.
    public func int64(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    /// The column as a floating-point number; 0 for NULL.
    public func double(_ column: Int32) -> Double { sqlite3_column_double(handle, column) }

    /// The column as text; empty for NULL.
    public func text(_ column: Int32) -> String {
        guard let start = sqlite3_column_text(handle, column) else { return "" }
        let count = Int(sqlite3_column_bytes(handle, column))
        return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }

    /// The bytes of the column where SQLite has them; valid until the next step or reset.
    public func bytes(_ column: Int32) -> UnsafeRawBufferPointer {
        let start = sqlite3_column_blob(handle, column)
        return UnsafeRawBufferPointer(
            start: start, count: Int(sqlite3_column_bytes(handle, column)))
    }

    /// A copy of the bytes of the column.
    public func blob(_ column: Int32) -> [UInt8] { Array(bytes(column)) }

    /// Binding fails only for a wrong index or a statement that is running: mistakes of the code.
    private func bound(_ result: Int32) {
        precondition(
            result == SQLITE_OK || result == SQLITE_NOMEM || result == SQLITE_TOOBIG,
            "a parameter was bound at a wrong index, or while the statement runs")
    }
}
