import Engine
import Model

extension DockerEngine {
    /// What the Engine knows of a container.
    ///
    /// - Throws: ``Failure`` when there is none of that name or id.
    public func inspect(container: String) async throws -> ContainerInspection {
        guard let found = try await find(container: container) else {
            throw Failure(
                .failed, "there is no container \(container) on \(address)", side: .source)
        }
        return found
    }

    /// Like ``inspect(container:)``; nil when there is none.
    ///
    /// The Engine also takes the beginning of an id for a name; that is no match here.
    public func find(container: String) async throws -> ContainerInspection? {
        let path = ["containers", container, "json"]
        guard let json = try await find(request(.get, path)) else { return nil }
        let found = ContainerInspection(json: json)
        return found.name == container || found.id == container ? found : nil
    }

    /// Containers in short, also those that do not run.
    ///
    /// - Parameter filters: As the Engine has them, for example `["volume": ["umami-data"]]`.
    public func containers(filters: [String: [String]] = [:]) async throws -> [ContainerSummary] {
        let list = try await call(
            request(.get, ["containers", "json"], query: [("all", "1")] + Self.query(filters)))
        return list.array?.map(ContainerSummary.init(json:)) ?? []
    }

    /// Creates a container, without starting it.
    ///
    /// - Returns: Its id.
    public func createContainer(name: String, body: JSONValue) async throws -> String {
        let answer = try await call(
            request(.post, ["containers", "create"], query: [("name", name)], body: body))
        guard let id = answer["Id"].string else { throw unexpected("a container's creation") }
        return id
    }

    /// Starts a container; one that runs is left as it is.
    public func start(container: String) async throws {
        try await change(container, "start", longest: TimeSpan(seconds: 600))
    }

    /// Stops a container as its definition says, with SIGKILL at the end of its own patience.
    ///
    /// - Parameter patience: The seconds that its definition grants, for the length of the call.
    /// - Returns: False when it did not run.
    @discardableResult
    public func stop(container: String, patience: Int64) async throws -> Bool {
        // A negative patience waits for ever.
        let longest = patience < 0 ? nil : TimeSpan(seconds: Double(patience) + 120)
        return try await change(container, "stop", longest: longest)
    }

    public func pause(container: String) async throws { try await change(container, "pause") }

    public func unpause(container: String) async throws { try await change(container, "unpause") }

    /// Waits until a container is no longer running.
    ///
    /// - Returns: Its exit code.
    public func wait(container: String) async throws -> Int64 {
        var request = try request(.post, ["containers", container, "wait"])
        request.idleTimeout = nil
        return try await call(request)["StatusCode"].integer ?? 0
    }

    /// Removes a container; one that is gone is no error.
    ///
    /// - Parameters:
    ///   - force: Also when it runs.
    ///   - volumes: Its anonymous volumes too.
    public func remove(container: String, force: Bool = false, volumes: Bool = false) async throws {
        var request = try request(
            .delete, ["containers", container],
            query: [("force", force ? "1" : "0"), ("v", volumes ? "1" : "0")])
        request.idleTimeout = TimeSpan(seconds: 300)
        try await removed(request)
    }

    /// - Returns: False when it was so already.
    @discardableResult
    private func change(
        _ container: String, _ verb: String, longest: TimeSpan? = TimeSpan(seconds: 120)
    ) async throws -> Bool {
        var request = try request(.post, ["containers", container, verb])
        request.idleTimeout = longest
        let answer = try await send(request)
        guard answer.isSuccess || answer.status == 304 else { throw refusal(answer) }
        return answer.status != 304
    }

    func removed(_ request: HTTPRequest) async throws {
        let answer = try await send(request)
        guard answer.isSuccess || answer.status == 404 else { throw refusal(answer) }
    }

    func unexpected(_ what: String) -> Failure {
        Failure(.failed, "docker: an answer that is none to \(what)", side: .source)
    }

    static func query(_ filters: [String: [String]]) throws -> [(String, String)] {
        if filters.isEmpty { return [] }
        let json = JSONValue.object(filters.mapValues { JSONValue($0) })
        return [("filters", String(decoding: try json.bytes(), as: UTF8.self))]
    }
}
