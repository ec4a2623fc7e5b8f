import Engine
import Model
import Workloads

extension Application {
    /// Makes the checks of services.
    ///
    /// - Parameter place: Where they run under other names; nil for this machine.
    func probe(_ configuration: Configuration, at place: TargetPlace? = nil) -> CheckProbe {
        CheckProbe(
            programs: programs, http: HTTPClient(),
            container: { name in
                try await Self.look(
                    at: name, dockerHost: configuration.engine(ofContainer: name, at: place))
            },
            sql: { query, database, name in
                guard let service = configuration.services.first(where: { $0.name == name }) else {
                    throw Failure(
                        .usage, "the configuration has no service \(name) to ask",
                        hint: "add it, or leave the check out")
                }
                return try await postgresDriver.value(
                    of: query, in: database, service: service, at: place,
                    context: context(configuration))
            })
    }

    private static func look(at container: String, dockerHost: String?) async throws
        -> HealthVerdict
    {
        let engine: DockerEngine
        do {
            engine = try await DockerEngine.connect(host: dockerHost)
        } catch let failure as Failure where failure.code != .usage {
            return .unhealthy(failure.description)
        }
        switch try await ContainerCheck(engine: engine, container: container).look() {
        case .passed: return .healthy
        case .waiting(let words), .failed(let words): return .unhealthy(words)
        }
    }
}
