/// How a `dr` process ends. One table, the same in code, help and documentation.
public enum ExitCode: Int32, Sendable, Codable, CaseIterable {
    case done = 0
    case failed = 1
    case usage = 2
    case partial = 3
    case verificationFailed = 4
    case objectiveMissed = 5
    case noRepository = 10
    case busy = 11
    case wrongKey = 12
    case damaged = 13
    case noSpace = 14
    case unsupportedRepository = 15
    case interrupted = 130
    case terminated = 143

    /// One line for help and documentation.
    public var meaning: String {
        switch self {
        case .done: "done"
        case .failed: "failed, or status is overdue"
        case .usage: "wrong usage or configuration"
        case .partial: "partly done, or a snapshot is suspicious"
        case .verificationFailed: "verification failed"
        case .objectiveMissed: "recovered, but an objective was missed"
        case .noRepository: "no repository at that place"
        case .busy: "another backup or prune is running"
        case .wrongKey: "wrong password or key"
        case .damaged: "damaged, missing or rolled-back record"
        case .noSpace: "no space left"
        case .unsupportedRepository: "newer or unsupported repository"
        case .interrupted: "interrupted"
        case .terminated: "terminated"
        }
    }

    /// The code for a run with several causes: damage before verification before partial before
    /// objective; anything else outranks those, the first of them winning.
    public static func combining(_ codes: some Sequence<ExitCode>) -> ExitCode {
        let order: [ExitCode] = [.damaged, .verificationFailed, .partial, .objectiveMissed]
        let all = codes.filter { $0 != .done }
        if let other = all.first(where: { !order.contains($0) }) { return other }
        return order.first { all.contains($0) } ?? .done
    }
}
