public import Model

/// When packs are rewritten. The rules and their numbers are in `docs/decisions`.
public struct PruneOptions: Sendable, Hashable {
    /// A pack of whose frames a smaller share than this is needed is rewritten.
    public var rewriteBelow: Double
    /// Where the restore of a workload's newest snapshot would read more than so many times what it
    /// needs, packs are rewritten of which it would.
    public var readExcess: Double
    /// Packs smaller than this are put together when there are many of them.
    public var smallPack: ByteCount
    /// So many small packs are many; or fewer that fill a pack together, but at least 8.
    public var manySmallPacks: Int
    /// Rewrite nothing: only packs that hold nothing needed are deleted.
    public var deleteOnly: Bool
    /// Rewrite every pack that an older data key sealed.
    public var rewriteOldKeys: Bool
    /// At most so many needed bytes are moved, the most useful first; nil for no limit.
    public var moveLimit: ByteCount?
    /// Snapshots that count as removed although they are there: to show what would become free. A
    /// plan that is carried out spares what they need.
    public var forgotten: Set<SnapshotID>

    public init(rewriteBelow: Double = 0.6, deleteOnly: Bool = false) {
        self.rewriteBelow = rewriteBelow
        self.deleteOnly = deleteOnly
        readExcess = 2
        smallPack = ByteCount(8 << 20)
        manySmallPacks = 32
        rewriteOldKeys = false
        forgotten = []
    }
}

/// What prune is going to do, and why.
public struct PrunePlan: Sendable, Codable, Hashable {
    /// Why a pack's needed chunks move into a new one.
    public enum Reason: String, Sendable, Codable, CaseIterable {
        case garbage = "mostly garbage"
        case scattered = "a restore would read far more than it needs"
        case small = "one of many small packs"
        case oldKey = "sealed with an older data key"
    }

    /// A pack whose needed chunks move into new ones.
    public struct Rewrite: Sendable, Codable, Hashable {
        public var pack: PackID
        public var size: ByteCount
        /// Stored bytes that are needed, about.
        public var needed: ByteCount
        public var reason: Reason
    }

    /// Packs that hold nothing that a snapshot needs.
    public var deleted: [PackID] = []
    /// Packs whose needed chunks move into new ones.
    public var rewrites: [Rewrite] = []
    /// Packs that stay as they are.
    public var kept = 0
    /// Bytes of the packs of each group.
    public var deletedBytes = ByteCount(0)
    public var rewrittenBytes: ByteCount {
        rewrites.reduce(into: ByteCount(0)) { $0 += $1.size }
    }
    public var keptBytes = ByteCount(0)
    /// Snapshots that the plan was made for.
    public var snapshots: Set<SnapshotID> = []
    /// What restoring the newest snapshot of each workload reads as things are now.
    public var restores: [RestoreCost] = []
    /// Packs that were there when the plan was made.
    var packs: Set<PackID> = []
    /// What the plan was made from, so that nothing is followed twice; no part of its value.
    var survey = Aside<NeedsSurvey>()

    public init() {}

    private enum CodingKeys: String, CodingKey {
        case deleted, rewrites, kept, deletedBytes, keptBytes, snapshots, restores
    }

    /// Packs whose needed chunks move into new ones.
    public var rewritten: [PackID] { rewrites.map(\.pack) }

    /// Bytes that rewriting will write, about.
    public var movedBytes: ByteCount { rewrites.reduce(into: ByteCount(0)) { $0 += $1.needed } }

    /// Bytes that will be free afterwards, about.
    public var freedBytes: ByteCount {
        let rewritten = rewrittenBytes.bytes
        return ByteCount(deletedBytes.bytes + rewritten - min(movedBytes.bytes, rewritten))
    }
}

/// Something that is carried along with a value and does not count when values are compared.
struct Aside<Value: Sendable>: Sendable, Hashable {
    var value: Value?

    static func == (left: Self, right: Self) -> Bool { true }
    func hash(into hasher: inout Hasher) {}
}

/// How far prune is.
public enum PruneProgress: Sendable, Hashable {
    /// Following snapshots to what they need.
    case following(Int, of: Int)
    /// Writing needed bytes anew.
    case moving(ByteCount, of: ByteCount)
    /// Deleting packs.
    case deleting(Int, of: Int)
}

/// What prune has done.
public struct PruneResult: Sendable, Codable, Hashable {
    public var deletedPacks = 0
    public var freedBytes = ByteCount(0)
    public var rewrittenPacks = 0
    /// Bytes of the packs that were written for them.
    public var writtenBytes = ByteCount(0)
    /// Packs that could not be rewritten because there is no space for the new ones.
    public var skippedForSpace = 0
    /// Packs that are condemned but stay until the sessions that are live now have ended.
    public var waitingPacks = 0
    public var liveSessions = 0
    /// Packs that are condemned and that the store refused to delete.
    public var refusedPacks = 0
    /// Why the first of them was refused.
    public var refusal: String?

    public init() {}
}
