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

    static let prefix = "writers"

    static func objectKey(_ writer: WriterID, _ sequence: UInt64) -> ObjectKey {
        let digits = String(sequence)
        let padding = String(repeating: "0", count: max(0, 12 - digits.count))
        return ObjectKey("\(prefix)/\(writer)/\(padding)\(digits)")
    }
    var objectKey: ObjectKey { Self.objectKey(writer, sequence) }
}

/// Everything the chains say, and what is wrong with them.
public struct ChainState: Sendable {
    /// The newest record of each writer.
    public var heads: [WriterID: ChainHead] = [:]
    /// Snapshots that some chain says were written and none says were removed.
    public var expected: Set<SnapshotID> = []
    /// Snapshots that some chain says were removed.
    public var removed: Set<SnapshotID> = []
    /// What people have said about snapshots, and what they have taken back.
    public var marks = ChainMarks()
    /// Missing, damaged, replaced or rolled-back records, in words.
    public var findings: [String] = []
}

extension BackupRepository {
    /// Reads all chains and checks them against themselves, each other and what is known.
    ///
    /// - Parameter known: Heads that this machine has seen before; empty on a fresh one.
    public func readChains(known: [ChainHead] = []) async throws -> ChainState {
        var state = ChainState()
        var records: [WriterID: [UInt64: (record: ChainRecord, hash: ChainHash)]] = [:]
        for object in try await store.list(ChainRecord.prefix).sorted(by: { $0.key < $1.key }) {
            guard let place = Self.place(of: object.key) else { continue }
            do {
                let bytes = try await store.get(object.key, .whole)
                let record = try Self.decode(bytes, object.key, secrets)
                guard record.writer == place.writer, record.sequence == place.sequence else {
                    throw FormatError(object.key.path, "it is another record")
                }
                records[place.writer, default: [:]][place.sequence] = (record, Self.hash(bytes))
            } catch let error as FormatError {
                state.findings.append(error.description)
            } catch is ObjectMissing {
                continue
            }
        }
        for (writer, chain) in records {
            guard let last = chain.keys.max() else { continue }
            for sequence in 1...last {
                guard let (record, hash) = chain[sequence] else {
                    state.findings.append(
                        "record \(sequence) of writer \(writer.short) is missing, of \(last)")
                    continue
                }
                state.expected.formUnion(record.added)
                state.removed.formUnion(record.removed)
                if sequence == last {
                    state.heads[writer] = ChainHead(writer: writer, sequence: last, hash: hash)
                }
                if sequence > 1, let before = chain[sequence - 1], record.previous != before.hash {
                    state.findings.append(
                        "record \(sequence - 1) of writer \(writer.short) was replaced")
                }
                for head in record.heads { Self.check(head, records, &state.findings) }
            }
        }
        for head in known { Self.check(head, records, &state.findings) }
        state.expected.subtract(state.removed)
        state.marks = ChainMarks(
            records.values.flatMap { $0.values.map(\.record) }, without: state.removed)
        state.findings = Array(Set(state.findings)).sorted()
        return state
    }

    /// Whether what somebody saw is still there.
    private static func check(
        _ head: ChainHead,
        _ records: [WriterID: [UInt64: (record: ChainRecord, hash: ChainHash)]],
        _ findings: inout [String]
    ) {
        let name = "record \(head.sequence) of writer \(head.writer.short)"
        guard let found = records[head.writer]?[head.sequence] else {
            findings.append(
                "\(name) was seen before and is missing: records were hidden or rolled back")
            return
        }
        if found.hash != head.hash { findings.append("\(name) was replaced") }
    }

    /// Appends a record to a writer's chain.
    ///
    /// - Parameters:
    ///   - marks: What a person has said about snapshots.
    ///   - known: This writer's own newest head and the newest seen of the others.
    /// - Returns: The heads to remember, and nil when another machine goes on with the same writer
    ///   id, as a clone of this one does: take a new id and call again.
    public func appendToChain(
        writer: WriterID, run: RunID, host: String, at time: Timestamp, added: [SnapshotID],
        removed: [SnapshotID], marks: [MarkChange] = [], known: [ChainHead]
    ) async throws -> [ChainHead]? {
        let own = known.first { $0.writer == writer }
        var heads = Dictionary(known.map { ($0.writer, $0) }) { first, _ in first }
        // Names tell each writer's newest record; only those that are new have to be read.
        let newest = try await chainLengths()
        if (newest[writer] ?? 0) > (own?.sequence ?? 0) { return nil }
        for (other, sequence) in newest where other != writer {
            if let seen = heads[other], seen.sequence >= sequence { continue }
            let key = ChainRecord.objectKey(other, sequence)
            let bytes = try await store.get(key, .whole)
            heads[other] = ChainHead(writer: other, sequence: sequence, hash: Self.hash(bytes))
        }
        let record = ChainRecord(
            writer: writer, sequence: (own?.sequence ?? 0) + 1, previous: own?.hash, at: time,
            host: host, run: run, added: added, removed: removed,
            heads: heads.values.filter { $0.writer != writer }.sorted { $0.writer < $1.writer },
            marks: marks.isEmpty ? nil : marks.map { ChainMark($0) })
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let sealed = try SealedRecord.seal(
            Array(try encoder.encode(record)), as: record.objectKey, with: secrets)
        try await store.put(record.objectKey, [sealed])
        guard try await store.get(record.objectKey, .whole) == sealed else { return nil }
        heads[writer] = ChainHead(
            writer: writer, sequence: record.sequence, hash: Self.hash(sealed))
        return heads.values.sorted { $0.writer < $1.writer }
    }

    /// The newest sequence of each writer, as the store lists them.
    public func chainLengths() async throws -> [WriterID: UInt64] {
        var newest: [WriterID: UInt64] = [:]
        for object in try await store.list(ChainRecord.prefix) {
            guard let place = Self.place(of: object.key) else { continue }
            newest[place.writer] = max(newest[place.writer] ?? 0, place.sequence)
        }
        return newest
    }

    /// One record of a chain.
    ///
    /// - Throws: ``FormatError`` when it is damaged, ``ObjectMissing`` when it is not there.
    public func chainRecord(_ writer: WriterID, _ sequence: UInt64) async throws -> ChainRecord {
        let key = ChainRecord.objectKey(writer, sequence)
        return try Self.decode(try await store.get(key, .whole), key, secrets)
    }

    private static func place(of key: ObjectKey) -> (writer: WriterID, sequence: UInt64)? {
        let components = key.path.split(separator: "/")
        guard components.count == 3, let writer = WriterID(components[1]),
            let sequence = UInt64(components[2]), sequence > 0,
            ChainRecord.objectKey(writer, sequence) == key
        else { return nil }
        return (writer, sequence)
    }

    private static func decode(_ bytes: Data, _ key: ObjectKey, _ secrets: MasterSecrets)
        throws(FormatError) -> ChainRecord
    {
        let plain = try SealedRecord.open(bytes, as: key, with: secrets)
        guard let record = try? JSONDecoder().decode(ChainRecord.self, from: Data(plain)) else {
            throw FormatError(key.path, "its content is not a chain record")
        }
        return record
    }

    private static func hash(_ bytes: Data) -> ChainHash {
        SHA256.hash(data: bytes).withUnsafeBytes { ChainHash($0) }
    }
}
