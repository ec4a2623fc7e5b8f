import Engine
public import Model

/// Captures containers, Compose projects and volumes of a Docker Engine, and brings them back.
///
/// The Engine is that of the specification, else that of the context, else this machine's. Data is
/// read and written at the volumes' own directories: here, or by `ssh` on the Engine's machine.
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
            held: await HeldContainers(context.quiesced), journal: context.rests,
            report: context.report
        ).run()
    }

    public func quiesce(
        _ workload: WorkloadSpecification, of service: Service, context: WorkloadContext
    ) async throws -> (any Quiesced)? {
        guard case .docker(let specification) = workload, service.consistency != .live else {
            return nil
        }
        let engine = try await DockerEngine.connect(
            host: specification.engine ?? context.dockerHost)
        var surveyor = try await DockerSurveyor(engine: engine, specification: specification)
        let survey = try await surveyor.run()
        guard survey.hasData else { return nil }
        let containers = try await DockerCapture.subjects(of: survey, specification, engine)
        let rest = ContainersAtRest(
            engine: engine, mode: service.consistency,
            containers: DockerCapture.dependentsFirst(containers), journal: context.rests,
            report: context.report)
        return QuiescedContainers(
            resting: try await rest.begin(), containers: containers, engine: "\(engine.address)")
    }

    public func replaySteps(
        for source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [ReplayStep] {
        switch target {
        case .here, .place:
            try await snapshot(source, target).steps().map {
                try $0.within(scope(of: source, service, target))
            }
        case .directory(let path): try DirectoryReplay(source: source, directory: path).steps()
        }
    }

    public func omissions(
        from source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [String] {
        guard let place = target.place else { return [] }
        return try await DockerSnapshot(reading: source).obstacles(at: place)
            .sorted { $0.key < $1.key }
            .map { "container \($0.key) is left out at \(place.name): \($0.value)" }
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
        let snapshot = try await snapshot(source, target)
        let engine: DockerEngine
        do {
            engine = try await self.engine(for: source, service, target, context)
        } catch let failure as Failure {
            return [PreflightFinding(.blocker, failure.description, hint: failure.hint)]
        }
        let scope = try scope(of: source, service, target)
        return try await DockerPreflight(
            engine: engine, snapshot: snapshot, target: target,
            planned: context.within(scope).planned, replace: context.replace
        ).findings(for: steps).map { $0.name == PreflightFinding.room ? $0 : $0.within(scope) }
    }

    public func places(
        of steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [String: String] {
        var root: String?
        if target.isLive {
            let engine = try await engine(for: source, service, target, context)
            // Nothing of it is on this machine.
            if engine.isRemote { return [:] }
            root = try await engine.info().dataRoot
        }
        var places: [String: String] = [:]
        for step in steps {
            if let path = step.makes.first(where: { $0.hasPrefix("path/") }) {
                places[step.id] = String(path.dropFirst("path".count))
            } else if step.bytes.bytes > 0 {
                places[step.id] = root
            }
        }
        return places
    }

    public func restoredPlaces(
        of step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [RestoredPlace] {
        guard target.isLive else { return [] }
        let snapshot = try await snapshot(source, target)
        let (kind, name) = try DockerStepKind.parse(step.id)
        switch kind {
        case .bind:
            guard let part = try snapshot.bind(name).part else { return [] }
            return [RestoredPlace(part: part, path: name)]
        case .volume:
            let definition = try snapshot.volume(name)
            guard let part = definition.part else { return [] }
            let engine = try await engine(for: source, service, target, context)
            guard let volume = try await engine.find(volume: name) else { return [] }
            return [
                RestoredPlace(part: part, path: definition.boundDirectory ?? volume.mountPoint)
            ]
        default: return []
        }
    }

    /// The containers that a drill makes of a snapshot, and what leads to them.
    public func endpoints(
        from source: any ReplaySource, service: ServiceName, at place: TargetPlace
    ) async throws -> [DrillEndpoint] {
        try await DockerSnapshot(reading: source).endpoints(of: service, at: place)
    }

    public func makeRoom(
        for steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [String] {
        guard target.isLive, context.replace else { return [] }
        return try await DockerRoom(
            engine: engine(for: source, service, target, context),
            context: context.within(scope(of: source, service, target))
        ).clear()
    }

    public func perform(
        _ step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> ReplayOutcome {
        if case .directory(let path) = target {
            return try await DirectoryReplay(
                source: source, directory: path, context: context
            ).perform(step)
        }
        return try await DockerReplay(
            engine: engine(for: source, service, target, context), source: source,
            snapshot: snapshot(source, target),
            context: context.within(scope(of: source, service, target))
        ).perform(step)
    }

    /// What the snapshot holds, under the names of the target.
    private func snapshot(
        _ source: any ReplaySource, _ target: ReplayTarget
    ) async throws -> DockerSnapshot {
        let snapshot = try await DockerSnapshot(reading: source)
        return try target.place.map { try snapshot.placed(at: $0) } ?? snapshot
    }

    /// The target's Engine, else the one that the service's configuration names for the workload.
    private func engine(
        for source: any ReplaySource, _ service: Service, _ target: ReplayTarget,
        _ context: WorkloadContext
    ) async throws -> DockerEngine {
        let own = host(of: source, service)
        let host = target.place.map { $0.engine(of: own) } ?? own
        return try await DockerEngine.connect(host: host ?? context.dockerHost)
    }

    /// The Engine that the service's configuration names for the workload.
    private func host(of source: any ReplaySource, _ service: Service) -> String? {
        let workload = service.workloads.first { specification in
            WorkloadID(
                service: service.name, kind: specification.kind, name: specification.name)
                == source.snapshot.workload
        }
        return switch workload {
        case .docker(let docker): docker.engine
        default: workload?.serverContainer?.engine
        }
    }

    /// Two Engines may have volumes of one name. One that all services share needs no scope.
    private func scope(
        of source: any ReplaySource, _ service: Service, _ target: ReplayTarget
    ) throws -> String {
        let own = host(of: source, service)
        guard target.place?.engine == nil,
            let host = target.place.map({ $0.engine(of: own) }) ?? own
        else { return "" }
        return MachineFiles(of: try DockerAddress(parsing: host).destination).scope
    }
}
