public import Model

/// Asks whether a container is up: running, and healthy where it has a health check.
public struct ContainerCheck: Sendable {
    public let engine: DockerEngine
    public let container: String

    public init(engine: DockerEngine, container: String) {
        self.engine = engine
        self.container = container
    }

    /// What one look says.
    public enum Answer: Sendable, Hashable {
        case passed
        /// Not yet, in words.
        case waiting(String)
        /// Waiting longer will not help, in words.
        case failed(String)
    }

    /// Looks once.
    public func look() async throws -> Answer {
        guard let found = try await engine.find(container: container) else {
            return .failed("container \(container) does not exist")
        }
        if found.isRestarting {
            return .waiting("container \(container) restarts, last exit code \(found.exitCode)")
        }
        if found.isPaused { return .waiting("container \(container) is paused") }
        guard found.isRunning else {
            let words = "container \(container) is \(found.status), exit code \(found.exitCode)"
            return found.status == "created" ? .waiting(words) : .failed(words)
        }
        switch found.health {
        case nil, "healthy": return .passed
        case .some(let health):
            // An unhealthy one may still become healthy: the Engine goes on looking.
            let last = found.json["State"]["Health"]["Log"].array?.last
            let output = last?["Output"].string ?? ""
            let line = output.split(separator: "\n").last.map { printable($0.utf8.prefix(300)) }
            return .waiting(
                "container \(container) is \(health)" + (line.map { ": \($0)" } ?? ""))
        }
    }

    /// Looks until it passes.
    ///
    /// - Throws: ``Failure`` with exit code 4 when it fails, or has not passed within `timeout`.
    public func wait(timeout: TimeSpan) async throws {
        let deadline = ContinuousClock.now + timeout.duration
        var pause = Duration.milliseconds(20)
        while true {
            switch try await look() {
            case .passed: return
            case .failed(let words): throw Failure(.verificationFailed, words, side: .target)
            case .waiting(let words):
                guard ContinuousClock.now < deadline else {
                    throw Failure(
                        .verificationFailed, "\(words), after \(timeout)", side: .target)
                }
            }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(500))
        }
    }
}
