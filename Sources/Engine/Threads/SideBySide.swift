/// Does `body` for each of `items`, at most `limit` at a time.
///
/// - Returns: What it returned, in the order of the items.
/// - Throws: The first error; the others are cancelled and waited for.
public func sideBySide<Item: Sendable, Value: Sendable>(
    _ items: some Collection<Item>, atOnce limit: Int,
    _ body: @escaping @Sendable (Item) async throws -> Value
) async throws -> [Value] {
    if limit <= 1 {
        var values: [Value] = []
        for item in items { values.append(try await body(item)) }
        return values
    }
    return try await withThrowingTaskGroup(of: (Int, Value).self) { group in
        var rest = items.enumerated().makeIterator()
        func add() {
            guard let (number, item) = rest.next() else { return }
            group.addTask { (number, try await body(item)) }
        }
        for _ in 0..<max(1, limit) { add() }
        var values: [(number: Int, value: Value)] = []
        while let (number, value) = try await group.next() {
            values.append((number, value))
            add()
        }
        return values.sorted { $0.number < $1.number }.map(\.value)
    }
}
