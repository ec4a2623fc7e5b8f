/// A value to bind where speed does not matter.
enum SQLValue: Sendable {
    case null
    case integer(Int64)
    case text(String)
    case blob([UInt8])

    /// Text, or NULL.
    static func optional(_ text: String?) -> SQLValue { text.map { .text($0) } ?? .null }
    /// An integer, or NULL.
    static func optional(_ number: Int64?) -> SQLValue { number.map { .integer($0) } ?? .null }
}

extension Database {
    /// Runs one statement with its values.
    func run(_ sql: String, _ values: SQLValue...) throws {
        try bound(sql, values).run()
    }

    /// What `map` makes of each row.
    func rows<Value>(
        _ sql: String, _ values: [SQLValue] = [], _ map: (Statement) throws -> Value
    ) throws -> [Value] {
        let statement = try bound(sql, values)
        defer { statement.reset() }
        var found: [Value] = []
        while try statement.step() { found.append(try map(statement)) }
        return found
    }

    /// What `map` makes of the first row; nil when there is none.
    func first<Value>(
        _ sql: String, _ values: SQLValue..., map: (Statement) throws -> Value
    ) throws -> Value? {
        let statement = try bound(sql, values)
        defer { statement.reset() }
        return try statement.step() ? try map(statement) : nil
    }

    private func bound(_ sql: String, _ values: [SQLValue]) throws -> Statement {
        let statement = try statement(sql)
        for (index, value) in values.enumerated() {
            let parameter = Int32(index + 1)
            switch value {
            case .null: statement.bindNull(at: parameter)
            case .integer(let number): statement.bind(number, at: parameter)
            case .text(let text): statement.bind(text, at: parameter)
            case .blob(let bytes): statement.bind(bytes, at: parameter)
            }
        }
        return statement
    }
}
