public import Model

/// Captures containers, Compose projects and volumes of a Docker Engine, and brings them back.
///
/// The Engine is that of the specification, else that of the context, else this machine's. Data is
/// read and written at the volumes' own directories, so the Engine must run on this machine.
public struct DockerDriver: WorkloadDriver {
    public let kind = WorkloadKind.docker

    public init() {}

    public func capture(
        _ workload: WorkloadSpecification, of service: Service, into sink: any CaptureSink,
        context: WorkloadContext
    ) async throws -> CaptureOutcome {
        guard case .docker(let specification) = workload else {
            throw Failure(.failed, "the docker driver was given a \(workload.kind) workload")
        }
        let engine = try await DockerEngine.connect(
            host: specification.engine ?? context.dockerHost)
        return try await DockerCapture(
            engine: engine, specification: specification, service: service, sink: sink,
            report: context.report
        ).run()
    }

    public func replaySteps(
        for source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [ReplayStep] {
        []
    }

    public func preflight(
        _ steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [PreflightFinding] {
        []
    }

    public func perform(
        _ step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> ReplayOutcome {
        ReplayOutcome()
    }
}
