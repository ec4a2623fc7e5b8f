public import Catalog
public import Engine
public import Model
public import Workloads

/// What a recovery needs of the world around it.
public struct RecoveryEnvironment: Sendable {
    /// Remembers the run, its steps and its journal; nil to remember nothing.
    public var catalog: Catalog?
    public var timepiece: any Timepiece
    public var sourceFor: SourceProvider
    public var driverFor: DriverProvider
    public var context: WorkloadContext
    public var probe: any HealthProbe
    /// Tells a person what to do and returns when it was done; nil when nobody is there.
    public var person: (@Sendable (_ message: String) async throws -> Void)?
    public var limits: RecoveryLimits
    /// What the run is recorded as.
    public var purpose = RunPurpose.restore
    /// Kept with the run beside its plan, by their names.
    public var documents: [String: [UInt8]] = [:]
    /// Steps that fail on purpose, by their ids.
    public var failing: Set<String> = []
    /// Looks at data that came back before anything uses it; nil outside drills.
    public var sample: SampleComparison?
    /// This machine and this process.
    public var host: String
    public var processID: Int32
    /// The version of `dr`.
    public var program: String

    public init(
        catalog: Catalog?, timepiece: any Timepiece = SystemTimepiece(),
        sourceFor: @escaping SourceProvider, driverFor: @escaping DriverProvider,
        context: WorkloadContext, probe: any HealthProbe,
        limits: RecoveryLimits = RecoveryLimits(), host: String, processID: Int32, program: String
    ) {
        self.catalog = catalog
        self.timepiece = timepiece
        self.sourceFor = sourceFor
        self.driverFor = driverFor
        self.context = context
        self.probe = probe
        person = nil
        self.limits = limits
        self.host = host
        self.processID = processID
        self.program = program
    }
}

/// What is going on, for whoever watches.
public struct RecoveryProgress: Sendable {
    /// Since the outage was declared.
    public var elapsed: TimeSpan
    public var event: Event

    public enum Event: Sendable {
        case moved(GraphExecutor.Moment)
        /// What a step says of itself while it runs, for people; its id in the plan.
        case said(step: String, words: String)
    }

    /// Nil while only words were said.
    public var moment: GraphExecutor.Moment? {
        guard case .moved(let moment) = event else { return nil }
        return moment
    }
}

/// Why a plan was not begun: nothing was changed.
public struct RecoveryRefused: Error, Sendable, CustomStringConvertible {
    /// All that was found, what stands in the way first.
    public var findings: [PlanFinding]
    /// As a person sees it.
    public var failure: Failure

    public var description: String { failure.description }

    init(_ findings: [PlanFinding], replace: Bool) {
        self.findings = findings
        let blockers = findings.filter { $0.severity == .blocker }
        let conflicts = findings.filter { $0.severity == .conflict }
        let stopping = blockers.isEmpty ? conflicts : blockers
        let things = stopping.count == 1 ? "one thing stands" : "\(stopping.count) things stand"
        let isRoom = !blockers.isEmpty && blockers.allSatisfy { $0.name == SpaceCheck.findingName }
        failure = Failure(
            isRoom ? .noSpace : .failed, "\(things) in the way: nothing was changed",
            hint: blockers.isEmpty
                ? "remove what exists already, or let it be replaced with --replace"
                : blockers.compactMap(\.hint).first
                    ?? "put these right, then run the same command again",
            cause: stopping.map(\.message).joined(separator: "; "), side: .target)
    }
}
