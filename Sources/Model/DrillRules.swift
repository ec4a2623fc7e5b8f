/// How drills are done, and how often.
public struct DrillRules: Sendable, Hashable {
    /// How long what a drill has proven counts as proven.
    public var interval: TimeSpan
    /// The interval was asked for: a drill that is overdue is a failure of status.
    public var isWanted: Bool
    /// Below it each drill has a directory of its own.
    public var directory: String
    /// How many files of each tree are compared with the repository.
    public var sample: Int
    /// The numbers that copies of Proxmox VE's guests get; nil to leave guests out.
    public var guests: ClosedRange<Int>?

    public init() {
        interval = TimeSpan(seconds: 90 * 86400)
        isWanted = false
        directory = "/var/tmp"
        sample = 32
    }
}
