/// How a backup run does its work.
public struct NightRules: Sendable, Hashable {
    /// Workloads that are captured at once, over all machines.
    public var jobs: Int
    /// Workloads of one machine that are captured at once.
    public var jobsPerHost: Int
    /// After this nothing more is begun and what runs is ended; nil for no limit.
    public var deadline: TimeSpan?
    /// The longest capture of one workload, where its service says nothing else; nil for no limit.
    public var timeout: TimeSpan?
    /// How often a capture is begun when what made it fail may pass, the first time included.
    public var attempts: Int
    /// The pause before the second attempt; each further one is four times as long.
    public var pause: TimeSpan
    /// The share of the data, in percent, that is read back and checked after a run; 0 for none.
    public var check: Int
    /// Programs around the whole run.
    public var hooks: Hooks

    public init() {
        jobs = 4
        jobsPerHost = 2
        deadline = nil
        timeout = nil
        attempts = 3
        pause = TimeSpan(seconds: 10)
        check = 0
        hooks = Hooks()
    }
}

/// Programs that run around a capture: each a program and its arguments, without a shell.
public struct Hooks: Sendable, Hashable {
    /// Runs first; when it fails nothing is captured.
    public var before: [String]?
    /// Runs last, however the captures ended.
    public var after: [String]?
    /// Runs when something failed.
    public var failed: [String]?
    /// After this a program is ended and counts as failed.
    public var timeout: TimeSpan

    public init(
        before: [String]? = nil, after: [String]? = nil, failed: [String]? = nil,
        timeout: TimeSpan = TimeSpan(seconds: 300)
    ) {
        self.before = before
        self.after = after
        self.failed = failed
        self.timeout = timeout
    }

    /// Whether there is none.
    public var isEmpty: Bool { before == nil && after == nil && failed == nil }
}

/// How much smaller than the last good snapshot a new one may be, in percent of that one.
///
/// 100 allows everything but that something becomes empty.
public struct PlausibilityRules: Sendable, Hashable {
    /// Rows of a database's tables, and of each large table.
    public var rows: Int
    /// Bytes of a dump, a volume, a tree or a program's output.
    public var bytes: Int
    /// Files of a volume or a tree.
    public var files: Int

    public init(rows: Int = 50, bytes: Int = 50, files: Int = 50) {
        self.rows = rows
        self.bytes = bytes
        self.files = files
    }
}
