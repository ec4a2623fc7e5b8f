public import Workloads

extension TestEnvironment {
    /// The Engine that tests may fill and empty.
    public static func dockerEngine() async throws -> DockerEngine {
        try await DockerEngine.connect(address: DockerAddress(parsing: dockerHost ?? ""))
    }
}

/// Runs `body` with a running container of its own, which is removed at the end in every case.
///
/// - Parameter extra: Members of the creation's body beside image and command.
public func withContainer<Result>(
    on engine: DockerEngine, running words: [String] = ["sleep", "3600"],
    extra: [String: JSONValue] = [:],
    _ body: (String) async throws -> Result
) async throws -> Result {
    let name = "dr-test-\(UInt32.random(in: 0 ... .max))"
    var definition: JSONValue = .object(extra)
    definition["Image"] = .string(TestEnvironment.busyboxImage ?? "")
    definition["Cmd"] = JSONValue(words)
    // The first process of a container ignores signals it has no handler for.
    if definition["HostConfig"]["Init"] == .null, definition["StopSignal"] == .null {
        definition["StopSignal"] = .string("SIGKILL")
    }
    _ = try await engine.createContainer(name: name, body: definition)
    let outcome: Swift.Result<Result, any Error>
    do {
        try await engine.start(container: name)
        outcome = .success(try await body(name))
    } catch {
        outcome = .failure(error)
    }
    try await engine.remove(container: name, force: true, volumes: true)
    return try outcome.get()
}
