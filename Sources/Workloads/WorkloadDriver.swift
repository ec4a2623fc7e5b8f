public import Model

/// Knows one kind of system: how to capture it, and how to bring it back. Both live in one folder.
public protocol WorkloadDriver: Sendable {
    var kind: WorkloadKind { get }

    /// Captures `workload` into `sink`.
    ///
    /// Returns only when everything was read to its end and whoever wrote it ended well; throws
    /// otherwise, and then no snapshot is written. What was stopped or paused runs again in either
    /// case.
    func capture(
        _ workload: WorkloadSpecification, of service: Service, into sink: any CaptureSink,
        context: WorkloadContext
    ) async throws -> CaptureOutcome

    /// The steps that bring `snapshot` back to `target`, in an order that its own dependencies
    /// allow. Looks at nothing but the snapshot's record and documents.
    func replaySteps(
        for source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [ReplayStep]

    /// What stands in the way of `steps` at `target`, all of it, before anything is changed.
    func preflight(
        _ steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [PreflightFinding]

    /// Carries out one step. Throws when it failed; what it left half done a repeated call replaces.
    func perform(
        _ step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> ReplayOutcome
}

/// What drivers need of the world around them.
public struct WorkloadContext: Sendable {
    /// The Docker Engine of workloads that name none; nil for this machine's.
    public var dockerHost: String?
    /// Reads secrets when they are needed.
    public var secrets: any SecretReader
    /// What exists may be replaced; it is moved aside where that is possible.
    public var replace: Bool
    /// Setuid bits, devices and privileged attributes come back to a directory too.
    public var privilegedMetadata: Bool
    /// Says what is going on, for people; never a secret.
    public var report: @Sendable (String) -> Void

    public init(
        dockerHost: String? = nil, secrets: any SecretReader, replace: Bool = false,
        privilegedMetadata: Bool = false,
        report: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.dockerHost = dockerHost
        self.secrets = secrets
        self.replace = replace
        self.privilegedMetadata = privilegedMetadata
        self.report = report
    }
}

/// Turns a ``SecretSource`` into the secret, at the moment it is needed.
public protocol SecretReader: Sendable {
    func read(_ source: SecretSource) async throws -> String
}

/// What a capture came to, beside the parts it put into the sink.
public struct CaptureOutcome: Sendable {
    public var consistency: Consistency
    public var proof: Proof
    public var suspicions: [String]
    public var omissions: [String]
    public var notes: [String]

    public init(consistency: Consistency) {
        self.consistency = consistency
        proof = Proof()
        suspicions = []
        omissions = []
        notes = []
    }
}

/// Where things are brought back to.
public enum ReplayTarget: Sendable, Hashable {
    /// This machine, under the original names.
    case here
    /// A directory that receives every workload in the form a person would want.
    case directory(String)
}

/// One thing that a driver does to bring a workload back.
public struct ReplayStep: Sendable, Hashable, Codable {
    /// Unique within the workload, for example `volume:umami-data`.
    public var id: String
    /// For people, for example `restore volume umami-data`.
    public var title: String
    /// Ids of this workload's steps that must be done before.
    public var needs: [String]
    /// Bytes it will write, as far as known.
    public var bytes: ByteCount
    /// Whether it makes data, starts something, or proves it.
    public var phase: Phase
    /// Names it makes on the target, for example `volume/umami-data`: two workloads' steps that
    /// make the same one are one step.
    public var makes: [String]

    public enum Phase: String, Sendable, Hashable, Codable {
        case prepare, data, start, check
    }

    public init(
        id: String, title: String, needs: [String] = [], bytes: ByteCount = ByteCount(0),
        phase: Phase, makes: [String] = []
    ) {
        self.id = id
        self.title = title
        self.needs = needs
        self.bytes = bytes
        self.phase = phase
        self.makes = makes
    }
}

/// Something seen before minute 0.
public struct PreflightFinding: Sendable, Hashable, Codable {
    public enum Severity: String, Sendable, Hashable, Codable {
        /// The plan cannot start.
        case blocker
        /// It exists already; `--replace` would move it aside or replace it.
        case conflict
        case warning
    }
    public var severity: Severity
    public var message: String
    public var hint: String?

    public init(_ severity: Severity, _ message: String, hint: String? = nil) {
        self.severity = severity
        self.message = message
        self.hint = hint
    }
}

/// What one step came to.
public struct ReplayOutcome: Sendable, Hashable {
    public var bytes: ByteCount
    public var notes: [String]
    /// What did not come back although the step as a whole did.
    public var problems: [String]

    public init(bytes: ByteCount = ByteCount(0), notes: [String] = [], problems: [String] = []) {
        self.bytes = bytes
        self.notes = notes
        self.problems = problems
    }
}
