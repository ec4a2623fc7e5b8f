public import Model

/// Whether the last drill still counts.
public struct DrillStanding: Sendable, Hashable, Codable {
    /// The last drill of everything that passed; nil when there was none.
    public var run: RunID?
    public var at: Timestamp?
    /// Since it ended.
    public var age: TimeSpan?
    /// Older than it may be, or there was none.
    public var isOverdue: Bool
    /// What has changed since: then it proves less than it did.
    public var expired: [String]
    /// The newest drill, where it is a later one and did not pass.
    public var lastFailed: RunID?
    public var openActions: Int
    /// How long a drill counts.
    public var interval: TimeSpan
    /// The interval was asked for: overdue is a failure.
    public var isWanted: Bool

    /// - Parameters:
    ///   - plan: Of everything, to this machine; nil when none can be made.
    ///   - program: This version of `dr`.
    public init(
        _ chain: EvidenceChain, plan: RecoveryPlan?, configurationHash: String, program: String,
        interval: TimeSpan, isWanted: Bool, now: Timestamp
    ) throws {
        let drills = chain.drills
        let passed = drills.last { $0.attestation.isPassed && $0.identity.plan == "everything" }
        self.interval = interval
        self.isWanted = isWanted
        openActions = chain.openActions.count
        run = passed?.identity.drill
        at = passed?.identity.ended
        age = passed.map { max(.zero, now - $0.identity.ended) }
        isOverdue = age.map { $0 > interval } ?? true
        expired = []
        if let latest = drills.last, !latest.attestation.isPassed, latest.scenario.isWhole,
            latest.identity.plan == "everything"
        {
            lastFailed = latest.identity.drill
        }
        guard let identity = passed?.identity else { return }
        if let plan, try PlanFingerprint(plan).hash != identity.planHash {
            expired.append("the plan has changed")
        }
        if identity.configurationHash != configurationHash {
            expired.append("the configuration has changed")
        }
        if identity.program != program {
            expired.append("it was dr \(identity.program), this is \(program)")
        }
    }

    /// Whether it counts as proof today.
    public var counts: Bool { run != nil && !isOverdue && expired.isEmpty }

    /// One line for people.
    public var text: String {
        let failed = lastFailed.map { "; drill \($0.short) after it did not pass" } ?? ""
        let actions = openActions > 0 ? "; \(counted(openActions, "action")) open" : ""
        guard let age else { return "last drill: none that passed\(failed)\(actions)" }
        let days = Int(age.seconds / 86400)
        var words = [days == 0 ? "last drill today" : "last drill \(counted(days, "day")) ago"]
        if isOverdue { words.append("overdue") }
        if !expired.isEmpty { words.append("no longer valid: \(expired.joined(separator: ", "))") }
        if counts { words.append("passed") }
        return words.joined(separator: ", ") + failed + actions
    }
}
