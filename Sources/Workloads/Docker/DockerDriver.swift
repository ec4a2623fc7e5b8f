import Engine
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
        switch target {
        case .here: try await DockerSnapshot(reading: source).steps()
        case .directory(let path): DirectoryReplay(source: source, directory: path).steps()
        }
    }

    public func preflight(
        _ steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [PreflightFinding] {
        if case .directory(let path) = target {
            return try await BlockingPool.shared.run {
                try DirectoryReplay(source: source, directory: path).findings()
            }
        }
        let snapshot = try await DockerSnapshot(reading: source)
        let engine: DockerEngine
        do {
            engine = try await self.engine(for: source, service, context)
        } catch let failure as Failure {
            return [PreflightFinding(.blocker, failure.description, hint: failure.hint)]
        }
        return try await DockerPreflight(engine: engine, snapshot: snapshot).findings(for: steps)
    }

    public func perform(
        _ step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> ReplayOutcome {
        if case .directory(let path) = target {
            return try await DirectoryReplay(
                source: source, directory: path, privilegedMetadata: context.privilegedMetadata
            ).perform(step)
        }
        context.report(step.title)
        return try await DockerReplay(
            engine: engine(for: source, service, context), source: source,
            snapshot: DockerSnapshot(reading: source)
        ).perform(step)
    }

    /// The Engine that the service's configuration names for the snapshot's workload.
    private func engine(
        for source: any ReplaySource, _ service: Service, _ context: WorkloadContext
    ) async throws -> DockerEngine {
        let workload = service.workloads.first { specification in
            WorkloadID(
                service: service.name, kind: specification.kind, name: specification.name)
                == source.snapshot.workload
        }
        let host: String? =
            switch workload {
            case .docker(let docker): docker.engine
            case .postgres(let postgres):
                if case .container(_, let engine) = postgres.server { engine } else { nil }
            default: nil
            }
        return try await DockerEngine.connect(host: host ?? context.dockerHost)
    }
}
