import Crypto
import FoundationEssentials
public import Model

/// One run's record in a writer's chain.
///
/// Every run that adds or removes snapshots leaves one, sealed as `writers/<writer>/<sequence>`.
/// Because each holds the hash of the one before and the newest heads that it saw of the others, a
/// snapshot or record that disappears, or a repository that goes back in time, is noticed.
public struct ChainRecord: Codable, Sendable, Hashable {
    public var writer: WriterID
    /// 1 for the writer's first record, then one more each.
    public var sequence: UInt64
    /// Hash of the record before, as stored; nil for the first.
    public var previous: ChainHash?
    public var at: Timestamp
    public var host: String
    public var run: RunID
    /// Snapshots that the run wrote.
    public var added: [SnapshotID]
    /// Snapshots that the run removed on purpose: tombstones.
    public var removed: [SnapshotID]
    /// Newest records seen of the other writers.
    public var heads: [ChainHead]
    /// What a person said about snapshots; nil where nothing was.
    public var marks: [ChainMark]?
    /// The newest data key that the writer knew of; nil as long as there is only the first.
    public var epoch: UInt32?
    /// Records that are lost, which a person has accepted: they are not missed any more.
    public var writtenOff: [LostRecord]?

    static let prefix = "writers"

    static func objectKey(_ writer: WriterID, _ sequence: UInt64) -> ObjectKey {
        let digits = String(sequence)
        let padding = String(repeating: "0", count: max(0, 12 - digits.count))
        return ObjectKey("\(prefix)/\(writer)/\(padding)\(digits)")
    }
    var objectKey: ObjectKey { Self.objectKey(writer, sequence) }
}

/// A place in a chain whose record is gone or is not what it was.
public struct LostRecord: Codable, Sendable, Hashable, Comparable {
    public var writer: WriterID
    public var sequence: UInt64

    public init(writer: WriterID, sequence: UInt64) {
        self.writer = writer
        self.sequence = sequence
    }

    public static func < (left: Self, right: Self) -> Bool {
        (left.writer, left.sequence) < (right.writer, right.sequence)
    }
}

/// The end of a writer's chain, to be kept elsewhere and compared later.
public struct ChainReceipt: Codable, Sendable, Hashable {
    public var head: ChainHead
    public var host: String
    public var at: Timestamp
}

/// Everything the chains say, and what is wrong with them.
public struct ChainState: Sendable {
    /// The newest record of each writer.
    public var heads: [WriterID: ChainHead] = [:]
    /// The same with what people know it by, newest first.
    public var receipts: [ChainReceipt] = []
    /// Hashes of all records.
    public var hashes: Set<ChainHash> = []
    /// The newest data key that any writer knew of.
    public var epoch: UInt32 = 1
    /// Places in chains with which something is wrong.
    public var lost: Set<LostRecord> = []
    /// Records that cannot be read.
    public var unreadable: [ObjectKey] = []
    /// Snapshots that some chain says were written and none says were removed.
    public var expected: Set<SnapshotID> = []
    /// Snapshots that some chain says were removed.
    public var removed: Set<SnapshotID> = []
    /// What people have said about snapshots, and what they have taken back.
    public var marks = ChainMarks()
    /// Missing, damaged, replaced or rolled-back records, in words.
    public var findings: [String] = []
}

extension ChainRecord {
    static func place(of key: ObjectKey) -> LostRecord? {
        let components = key.path.split(separator: "/")
        guard components.count == 3, let writer = WriterID(components[1]),
            let sequence = UInt64(components[2]), sequence > 0,
            objectKey(writer, sequence) == key
        else { return nil }
        return LostRecord(writer: writer, sequence: sequence)
    }

    static func decode(_ bytes: Data, _ key: ObjectKey, _ secrets: MasterSecrets)
        throws(FormatError) -> ChainRecord
    {
        let plain = try SealedRecord.open(bytes, as: key, with: secrets)
        guard let record = try? JSONDecoder().decode(ChainRecord.self, from: Data(plain)) else {
            throw FormatError(key.path, "its content is not a chain record")
        }
        return record
    }

    static func hash(_ bytes: Data) -> ChainHash {
        SHA256.hash(data: bytes).withUnsafeBytes { ChainHash($0) }
    }
}
