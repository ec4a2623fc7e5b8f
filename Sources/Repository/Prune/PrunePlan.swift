public import Model

/// When packs are rewritten.
public struct PruneOptions: Sendable, Hashable {
    /// A pack of which a smaller share than this is needed is rewritten.
    public var rewriteBelow: Double
    /// Rewrite nothing: only packs that hold nothing needed are deleted.
    public var deleteOnly: Bool

    public init(rewriteBelow: Double = 0.6, deleteOnly: Bool = false) {
        self.rewriteBelow = rewriteBelow
        self.deleteOnly = deleteOnly
    }
}

/// What prune is going to do, and why.
public struct PrunePlan: Sendable, Codable, Hashable {
    /// Packs that hold nothing that a snapshot needs.
    public var deleted: [PackID] = []
    /// Packs whose needed chunks move into new ones.
    public var rewritten: [PackID] = []
    /// Packs that stay as they are.
    public var kept = 0
    /// Bytes of the packs of each group.
    public var deletedBytes = ByteCount(0)
    public var rewrittenBytes = ByteCount(0)
    public var keptBytes = ByteCount(0)
    /// Bytes that rewriting will write, about.
    public var movedBytes = ByteCount(0)
    /// Snapshots that the plan was made for.
    public var snapshots: Set<SnapshotID> = []

    public init() {}

    /// Bytes that will be free afterwards, about.
    public var freedBytes: ByteCount {
        ByteCount(
            deletedBytes.bytes + rewrittenBytes.bytes - min(movedBytes.bytes, rewrittenBytes.bytes))
    }
}

/// What prune has done.
public struct PruneResult: Sendable, Codable, Hashable {
    public var deletedPacks = 0
    public var freedBytes = ByteCount(0)
    public var rewrittenPacks = 0
    /// Packs that are condemned but stay until the sessions that are live now have ended.
    public var waitingPacks = 0
    public var liveSessions = 0

    public init() {}
}
