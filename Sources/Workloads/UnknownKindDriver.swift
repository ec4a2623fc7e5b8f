public import Model

/// Stands in for a kind of workload that a later release knows and this one does not.
///
/// Its snapshots come back into a directory, part by part; only a driver that knows the system can
/// bring them back into it.
public struct UnknownKindDriver: WorkloadDriver {
    public let kind: WorkloadKind

    public init(kind: WorkloadKind) { self.kind = kind }

    public func capture(
        _ workload: WorkloadSpecification, of service: Service, into sink: any CaptureSink,
        context: WorkloadContext
    ) async throws -> CaptureOutcome {
        throw Failure(.usage, "service \(service.name): \(shown) is no kind that dr can capture")
    }

    public func replaySteps(
        for source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [ReplayStep] {
        switch target {
        case .here, .place:
            [ReplayStep(id: "unknown", title: "bring back \(shown)", phase: .data)]
        case .directory(let path): try DirectoryReplay(source: source, directory: path).steps()
        }
    }

    public func preflight(
        _ steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [PreflightFinding] {
        switch target {
        case .here, .place: [PreflightFinding(.blocker, refusal(service), hint: Self.hint)]
        case .directory(let path):
            try DirectoryReplay(source: source, directory: path).findings()
        }
    }

    public func perform(
        _ step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> ReplayOutcome {
        guard case .directory(let path) = target else {
            throw Failure(.unsupportedRepository, refusal(service), hint: Self.hint)
        }
        return try await DirectoryReplay(
            source: source, directory: path, context: context
        ).perform(step)
    }

    private var shown: String { "'\(printable(kind.rawValue.utf8))'" }
    private static let hint = "install a newer dr, or restore this service to a directory"

    private func refusal(_ service: Service) -> String {
        "service \(service.name): a newer dr took its snapshot, of the kind \(shown)"
    }
}
