/// How much a restore does at once.
public struct RecoveryRules: Sendable, Hashable {
    /// Pieces of data that are written at once.
    public var jobs: Int
    /// Of these, to one disk; nil for no limit of its own.
    public var jobsPerDisk: Int?
    /// What is fetched over the network at once.
    public var downloads: Int

    public init(jobs: Int = 4, jobsPerDisk: Int? = nil, downloads: Int = 2) {
        self.jobs = jobs
        self.jobsPerDisk = jobsPerDisk
        self.downloads = downloads
    }
}
