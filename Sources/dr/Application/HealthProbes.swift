import Engine
import Model
import Workloads

extension Application {
    /// Makes the checks of services.
    func probe(_ configuration: Configuration) -> CheckProbe {
        let dockerHost = configuration.dockerHost
        return CheckProbe(
            programs: programs, http: HTTPClient(),
            container: { name in try await Self.look(at: name, dockerHost: dockerHost) })
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
