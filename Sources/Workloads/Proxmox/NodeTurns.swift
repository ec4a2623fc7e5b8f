/// Lets one dump after the other run on each node: `vzdump` would have them wait there, with its
/// connection open and a place of the night taken.
actor NodeTurns {
    static let shared = NodeTurns()
    private static let pause: Duration = .milliseconds(100)

    private var busy: Set<String> = []

    /// Waits until nobody else has the node.
    private func enter(_ node: String) async throws {
        while busy.contains(node) { try await Task.sleep(for: Self.pause) }
        busy.insert(node)
    }

    private func leave(_ node: String) { busy.remove(node) }

    /// Runs `body` while nobody else has the node.
    nonisolated func taking<Value: Sendable>(
        _ node: String, _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        try await enter(node)
        do {
            let value = try await body()
            await leave(node)
            return value
        } catch {
            await leave(node)
            throw error
        }
    }
}
