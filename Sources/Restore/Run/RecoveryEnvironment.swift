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
    public var limits: RecoveryLimits
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
    public var moment: GraphExecutor.Moment
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
        failure = Failure(
            .failed, "\(things) in the way: nothing was changed",
            hint: blockers.isEmpty
                ? "remove what exists already, or let it be replaced with --replace"
                : blockers.compactMap(\.hint).first
                    ?? "put these right, then run the same command again",
            cause: stopping.map(\.message).joined(separator: "; "), side: .target)
    }
}
