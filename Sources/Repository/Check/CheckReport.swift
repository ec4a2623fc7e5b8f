public import Model

/// One of so many groups of packs, by their names: reading one after the other reads everything.
public struct CheckGroup: Sendable, Hashable, Codable {
    /// 1 to `count`.
    public var number: Int
    public var count: Int

    /// - Precondition: 1 ≤ `number` ≤ `count`.
    public init(_ number: Int, of count: Int) {
        precondition(number >= 1 && number <= count)
        self.number = number
        self.count = count
    }

    /// Parses `3/7`.
    public init?(parsing text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let number = Int(parts[0]), let count = Int(parts[1]),
            (1...1_000_000).contains(count), (1...count).contains(number)
        else { return nil }
        self.init(number, of: count)
    }

    /// Whether a pack is in the group. A pack stays in its group for ever.
    public func contains(_ pack: PackID) -> Bool {
        pack.words.3 % UInt64(count) == UInt64(number - 1)
    }
}

/// How thoroughly a repository is checked.
public struct CheckOptions: Sendable, Hashable {
    /// Read and open every frame, not only lists and records.
    public var readData: Bool
    /// Of which packs the data is read; nil for all.
    public var group: CheckGroup?
    /// Hashes of chain records, or at least 16 of their first digits, that must be there: receipts
    /// of earlier checks.
    public var receipts: [String]

    public init(readData: Bool = false, group: CheckGroup? = nil, receipts: [String] = []) {
        self.readData = readData
        self.group = group
        self.receipts = receipts
    }
}

/// Something that is not as it should be, and whom it concerns.
public struct CheckFinding: Sendable, Hashable, Codable {
    public enum Kind: String, Sendable, Codable {
        case chain, snapshot, pack, chunk, key
        /// No snapshot needs these.
        case condemned, session, reserve
    }

    /// What of a snapshot cannot be restored.
    public struct Affected: Sendable, Hashable, Codable {
        public var service: ServiceName
        public var snapshot: SnapshotID
        public var part: String
        /// Printable path within a tree; nil for the part as a whole.
        public var path: String?
    }

    public var kind: Kind
    /// The object, for example `packs/3f/3f…`.
    public var object: String
    public var reason: String
}

/// What a check saw.
public struct CheckReport: Sendable, Codable {
    public var snapshots = 0
    public var packs = 0
    public var packsRead = 0
    public var bytesRead = ByteCount(0)
    /// Of which packs the data was read; nil for all or none.
    public var group: CheckGroup?
    public var findings: [CheckFinding] = []
    /// What cannot be restored because of the findings; at most 10,000, the rest only counted.
    public var affected: [CheckFinding.Affected] = []
    public var affectedCount = 0
    /// The newest record of each writer, to remember and to compare with next time.
    public var heads: [ChainHead] = []
    /// The same with what people know it by, newest first, to keep as a receipt.
    public var receipts: [ChainReceipt] = []
    /// What a repair would set aside and write off.
    public var repair = RepairPlan()

    public init() {}

    /// 13 when anything is damaged or missing.
    public var exitCode: ExitCode { findings.isEmpty && affected.isEmpty ? .done : .damaged }
}

/// What a repair sets aside, so that what is still whole can be used and what is lost is not counted
/// on any more.
public struct RepairPlan: Sendable, Codable, Hashable {
    /// Packs of which something cannot be read. What can be is stored anew.
    public var packs: [PackID] = []
    /// Names of damaged objects: snapshots' records, chain records, condemned lists.
    public var objects: [String] = []
    /// Snapshots whose records are damaged or gone.
    public var snapshots: [SnapshotID] = []
    /// Places in chains that are not to be missed any more.
    public var records: [LostRecord] = []

    public init() {}

    public var isEmpty: Bool {
        packs.isEmpty && objects.isEmpty && snapshots.isEmpty && records.isEmpty
    }
}
