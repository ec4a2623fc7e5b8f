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

    /// Brings what writes to `workload` to rest until it is released, so that the captures of several
    /// workloads show one moment.
    ///
    /// - Returns: nil when there is nothing that it could stop.
    /// - Throws: After it has set going again what it had stopped already.
    func quiesce(
        _ workload: WorkloadSpecification, of service: Service, context: WorkloadContext
    ) async throws -> (any Quiesced)?

    /// The steps that bring `snapshot` back to `target`, in an order that its own dependencies
    /// allow. Looks at nothing but the snapshot's record and documents.
    func replaySteps(
        for source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [ReplayStep]

    /// What of `snapshot` cannot be brought back to `target`, with the reason, for people.
    func omissions(
        from source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [String]

    /// What stands in the way of `steps` at `target`, all of it, before anything is changed.
    func preflight(
        _ steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [PreflightFinding]

    /// Where on this machine steps will write, by their ids; a step that is missing is not known.
    func places(
        of steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [String: String]

    /// Where a step that was carried out has put parts of the snapshot, on this machine.
    func restoredPlaces(
        of step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [RestoredPlace]

    /// Called once before any step of a run that may replace what exists: stops and moves aside what
    /// would write into what is brought back.
    ///
    /// - Returns: What was done, for people.
    func makeRoom(
        for steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [String]

    /// Carries out one step. Throws when it failed; what it left half done a repeated call replaces.
    func perform(
        _ step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> ReplayOutcome
}

extension WorkloadDriver {
    public func quiesce(
        _ workload: WorkloadSpecification, of service: Service, context: WorkloadContext
    ) async throws -> (any Quiesced)? { nil }

    /// Nothing.
    public func omissions(
        from source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [String] { [] }

    /// Nothing.
    public func makeRoom(
        for steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [String] { [] }

    /// Nowhere that could be looked at.
    public func restoredPlaces(
        of step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [RestoredPlace] { [] }

    /// The paths that the steps make.
    public func places(
        of steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [String: String] {
        var places: [String: String] = [:]
        for step in steps {
            guard let path = step.makes.first(where: { $0.hasPrefix("path/") }) else { continue }
            places[step.id] = String(path.dropFirst("path".count))
        }
        return places
    }
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
    /// Remembers what is brought to rest; nil where nobody would set it going after a crash.
    public var rests: (any RestJournal)?
    /// What is at rest already, because a group is captured.
    public var quiesced: [any Quiesced] = []
    /// What the run remembers of the names it makes.
    public var ledger: any NameLedger
    /// Every name that the plan makes: what holds one of these and is replaced makes room.
    public var planned: Set<String>
    /// Says what is going on, for people; never a secret.
    public var report: @Sendable (String) -> Void

    public init(
        dockerHost: String? = nil, secrets: any SecretReader, replace: Bool = false,
        privilegedMetadata: Bool = false, ledger: any NameLedger = NoLedger(),
        planned: Set<String> = [], report: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.dockerHost = dockerHost
        self.secrets = secrets
        self.replace = replace
        self.privilegedMetadata = privilegedMetadata
        self.ledger = ledger
        self.planned = planned
        self.report = report
    }

    /// A name that is about to be made.
    func claim(_ name: String) -> NameClaim { NameClaim(name, in: ledger) }
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
    /// The moment that the bytes stand for, where it is not that of the capture.
    public var asOf: Timestamp?

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
    /// Where the configuration says, under the names that things have there.
    case place(TargetPlace)
    /// A directory that receives every workload in the form a person would want.
    case directory(String)

    /// Where names differ from those that were captured; nil where they do not, and in a directory.
    public var place: TargetPlace? {
        guard case .place(let place) = self else { return nil }
        return place
    }

    /// Whether things run there, rather than lie there.
    public var isLive: Bool {
        guard case .directory = self else { return true }
        return false
    }

    /// Where a path of the machine comes back; nil in a directory.
    func path(_ original: String) -> String? {
        switch self {
        case .here: original
        case .place(let place): place.path(of: original)
        case .directory: nil
        }
    }

    /// A path that exists already: what runs beside a copy is never replaced by it.
    func taken(_ message: String, path: String) -> PreflightFinding {
        guard let place, place.sharesPaths else {
            return PreflightFinding(.conflict, message, name: "path\(path)")
        }
        return PreflightFinding(
            .blocker, "\(message), and target \(place.name) has no place of its own for it",
            hint: "give the target a root: a directory below which paths come back")
    }
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
    /// It manages what other steps bring back, and comes after all of them.
    public var isLast: Bool
    /// What it makes comes over the network, unless it is there already.
    public var isDownload: Bool
    /// Of steps that have one, those with a lower number are done before those with a higher one
    /// begin, as far as nothing else speaks against it.
    public var startOrder: Int?

    public enum Phase: String, Sendable, Hashable, Codable {
        case prepare, data, start, check
    }

    public init(
        id: String, title: String, needs: [String] = [], bytes: ByteCount = ByteCount(0),
        phase: Phase, makes: [String] = [], isLast: Bool = false, isDownload: Bool = false
    ) {
        self.id = id
        self.title = title
        self.needs = needs
        self.bytes = bytes
        self.phase = phase
        self.makes = makes
        self.isLast = isLast
        self.isDownload = isDownload
    }
}

/// A part of a snapshot, and where it lies after its replay.
public struct RestoredPlace: Sendable, Hashable {
    public var part: String
    public var path: String

    public init(part: String, path: String) {
        self.part = part
        self.path = path
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
    /// The name of findings about room on a disk: no step makes it.
    public static let room = "room"

    /// What is in the way has this name, one of ``ReplayStep/makes``; nil when it has none of these.
    public var name: String?

    public init(
        _ severity: Severity, _ message: String, hint: String? = nil, name: String? = nil
    ) {
        self.severity = severity
        self.message = message
        self.hint = hint
        self.name = name
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
