import CSQLite
import Engine
import Model

extension Database {
    /// Adds the function `dr_sum(…)` to the connection: all its arguments mixed into one integer.
    ///
    /// Triggers keep the sums of tables with it, so that a byte that a disk has changed is noticed;
    /// SQLite itself only notices what makes the file malformed.
    func addRowSum() throws {
        try check(
            sqlite3_create_function_v2(
                connection, "dr_sum", -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nil,
                { context, count, values in
                    var sum = ValueSum()
                    for number in 0..<Int(count) {
                        if let value = values?[number] { sum.add(value) }
                    }
                    sqlite3_result_int64(context, sum.value)
                }, nil, nil, nil))
    }

    /// Reads with `isWhole` in one transaction, after looking at the file's structure.
    ///
    /// - Parameter thoroughly: Compare indexes with their tables, too.
    /// - Throws: ``DamagedDatabase`` when either finds something, also when the tables are not there.
    func verifying(
        thoroughly: Bool = false, _ isWhole: (Database) throws -> Bool
    ) throws {
        do {
            try quickCheck(thoroughly: thoroughly)
            try execute("BEGIN")
            defer { try? execute("COMMIT") }
            if try isWhole(self) { return }
        } catch let failure as Failure where failure.code == .failed && !failure.isTransient {
            throw DamagedDatabase(path: path, detail: failure.description)
        }
        throw DamagedDatabase(path: path, detail: "its rows do not give their sum")
    }
}

/// SQLite's values mixed into 64 bits: FNV-1a over type, length and bytes, spread at the end.
private struct ValueSum {
    private var state: UInt64 = 0xcbf2_9ce4_8422_2325

    var value: Int64 {
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return Int64(bitPattern: mixed ^ (mixed >> 31))
    }

    mutating func add(_ value: OpaquePointer) {
        let type = sqlite3_value_type(value)
        add(UInt64(type))
        switch type {
        case SQLITE_INTEGER: add(UInt64(bitPattern: sqlite3_value_int64(value)))
        case SQLITE_FLOAT: add(sqlite3_value_double(value).bitPattern)
        case SQLITE_NULL: break
        default:
            let start = sqlite3_value_blob(value)
            let count = Int(sqlite3_value_bytes(value))
            add(UInt64(count))
            for byte in UnsafeRawBufferPointer(start: start, count: count) {
                state = (state ^ UInt64(byte)) &* 0x100_0000_01b3
            }
        }
    }

    private mutating func add(_ word: UInt64) {
        state = (state ^ word) &* 0x9e37_79b9_7f4a_7c15
        state ^= state >> 29
    }
}
