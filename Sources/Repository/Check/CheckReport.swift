public import Model

/// How thoroughly a repository is checked.
public struct CheckOptions: Sendable, Hashable {
    /// Read and open every frame, not only lists and records.
    public var readData: Bool
    /// Share of the packs that are read, above 0 and up to 1; chosen by their names and `turn`.
    public var subset: Double
    /// Another turn reads other packs; consecutive turns cover all of them.
    public var turn: UInt64

    public init(readData: Bool = false, subset: Double = 1, turn: UInt64 = 0) {
        self.readData = readData
        self.subset = subset
        self.turn = turn
    }
}

/// Something that is not as it should be, and whom it concerns.
public struct CheckFinding: Sendable, Hashable, Codable {
    public enum Kind: String, Sendable, Codable {
        case chain, snapshot, pack, chunk
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
    public var findings: [CheckFinding] = []
    /// What cannot be restored because of the findings; at most 10,000, the rest only counted.
    public var affected: [CheckFinding.Affected] = []
    public var affectedCount = 0
    /// The newest record of each writer, to compare with a receipt.
    public var heads: [ChainHead] = []

    public init() {}

    /// 13 when anything is damaged or missing.
    public var exitCode: ExitCode { findings.isEmpty ? .done : .damaged }
}
