import Model

/// What must be undone before a run is over: services that wait at rest, hooks that run last.
///
/// Registered before the deed, so that a failure half-way is undone too. What is undone is not
/// cancelled with the run.
actor NightReleases {
    typealias Body = @Sendable () async -> [Failure]

    private var pending: [(key: String, body: Body)] = []

    func add(_ key: String, _ body: @escaping Body) { pending.append((key, body)) }

    /// Undoes what was registered under `key`, the last first.
    func release(_ key: String) async -> [Failure] {
        let mine = pending.filter { $0.key == key }
        pending.removeAll { $0.key == key }
        return await Self.run(mine)
    }

    /// Undoes everything that is left, the last first.
    func releaseAll() async -> [Failure] {
        let all = pending
        pending = []
        return await Self.run(all)
    }

    private static func run(_ entries: [(key: String, body: Body)]) async -> [Failure] {
        await Task {
            var failures: [Failure] = []
            for entry in entries.reversed() { failures += await entry.body() }
            return failures
        }.value
    }
}
