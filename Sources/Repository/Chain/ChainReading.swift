import FoundationEssentials
public import Model

/// The chains as they are, being compared with what everybody says of them.
private struct ChainReading {
    typealias Found = (record: ChainRecord, hash: ChainHash)
    var records: [WriterID: [UInt64: Found]] = [:]
    var problems: [LostRecord: Set<String>] = [:]

    mutating func add(_ record: ChainRecord, _ hash: ChainHash) {
        records[record.writer, default: [:]][record.sequence] = (record, hash)
    }

    mutating func problem(_ place: LostRecord, _ text: String) {
        problems[place, default: []].insert(
            "record \(place.sequence) of writer \(place.writer.short) \(text)")
    }

    /// Whether what somebody saw is still there.
    mutating func check(_ head: ChainHead) {
        let place = LostRecord(writer: head.writer, sequence: head.sequence)
        guard let found = records[head.writer]?[head.sequence] else {
            return problem(
                place, "was seen before and is missing: records were hidden or rolled back")
        }
        if found.hash != head.hash { problem(place, "was replaced") }
    }

    /// Everything in the order of each chain.
    mutating func follow(into state: inout ChainState) {
        var writtenOff: Set<LostRecord> = []
        for (writer, chain) in records {
            guard let last = chain.keys.max() else { continue }
            for sequence in 1...last {
                guard let (record, hash) = chain[sequence] else {
                    problem(
                        LostRecord(writer: writer, sequence: sequence), "is missing, of \(last)")
                    continue
                }
                state.expected.formUnion(record.added)
                state.removed.formUnion(record.removed)
                state.hashes.insert(hash)
                state.epoch = max(state.epoch, record.epoch ?? 1)
                writtenOff.formUnion(record.writtenOff ?? [])
                if sequence == last {
                    let head = ChainHead(writer: writer, sequence: last, hash: hash)
                    state.heads[writer] = head
                    state.receipts.append(
                        ChainReceipt(head: head, host: record.host, at: record.at))
                }
                if sequence > 1, let before = chain[sequence - 1], record.previous != before.hash {
                    problem(
                        LostRecord(writer: writer, sequence: sequence - 1), "was replaced")
                }
                for head in record.heads { check(head) }
            }
        }
        for place in writtenOff { problems[place] = nil }
        state.receipts.sort { ($0.at, $0.head.writer) > ($1.at, $1.head.writer) }
    }
}

extension BackupRepository {
    /// Reads all chains and checks them against themselves, each other and what is known.
    ///
    /// - Parameter known: Heads that this machine has seen before; empty on a fresh one.
    public func readChains(known: [ChainHead] = []) async throws -> ChainState {
        var state = ChainState()
        var reading = ChainReading()
        for object in try await store.list(ChainRecord.prefix).sorted(by: { $0.key < $1.key }) {
            guard let place = ChainRecord.place(of: object.key) else { continue }
            do {
                let bytes = try await store.get(object.key, .whole)
                let record = try ChainRecord.decode(bytes, object.key, secrets)
                guard record.writer == place.writer, record.sequence == place.sequence else {
                    throw FormatError(object.key.path, "it is another record")
                }
                reading.add(record, ChainRecord.hash(bytes))
            } catch let error as FormatError {
                state.findings.append(error.description)
                state.unreadable.append(object.key)
                state.lost.insert(place)
            } catch is ObjectMissing {
                continue
            }
        }
        for head in known { reading.check(head) }
        reading.follow(into: &state)
        state.findings += reading.problems.values.joined()
        state.lost.formUnion(reading.problems.keys)
        state.expected.subtract(state.removed)
        state.marks = ChainMarks(
            reading.records.values.flatMap { $0.values.map(\.record) }, without: state.removed)
        state.findings = Array(Set(state.findings)).sorted()
        return state
    }

    /// Which of the heads that this machine has seen before are not there any more, in words: the
    /// repository went back in time, or somebody hides or replaces records. One small read a writer.
    public func vanishedHeads(known: [ChainHead]) async throws -> [String] {
        var reading = ChainReading()
        for head in known {
            let key = ChainRecord.objectKey(head.writer, head.sequence)
            do {
                let bytes = try await store.get(key, .whole)
                if ChainRecord.hash(bytes) != head.hash {
                    reading.problem(
                        LostRecord(writer: head.writer, sequence: head.sequence), "was replaced")
                }
            } catch is ObjectMissing {
                reading.check(head)
            }
        }
        guard !reading.problems.isEmpty else { return [] }
        // A person may have accepted it meanwhile, on another machine.
        let accepted = try await readChains(known: known)
        return reading.problems.filter { accepted.lost.contains($0.key) }.values.joined().sorted()
    }

    /// Appends a record to a writer's chain.
    ///
    /// - Parameters:
    ///   - marks: What a person has said about snapshots.
    ///   - known: This writer's own newest head and the newest seen of the others.
    ///   - writtenOff: Records that are lost and not to be missed any more.
    /// - Returns: The heads to remember, and nil when another machine goes on with the same writer
    ///   id, as a clone of this one does: take a new id and call again.
    public func appendToChain(
        writer: WriterID, run: RunID, host: String, at time: Timestamp, added: [SnapshotID],
        removed: [SnapshotID], marks: [MarkChange] = [], known: [ChainHead],
        writtenOff: [LostRecord] = []
    ) async throws -> [ChainHead]? {
        let own = known.first { $0.writer == writer }
        var heads = Dictionary(known.map { ($0.writer, $0) }) { first, _ in first }
        // Names tell each writer's newest record; only those that are new have to be read.
        let newest = try await chainLengths()
        if (newest[writer] ?? 0) > (own?.sequence ?? 0) { return nil }
        for (other, sequence) in newest.sorted(by: { $0.key < $1.key }) where other != writer {
            if let seen = heads[other], seen.sequence >= sequence { continue }
            if let hash = try await intactHash(other, sequence) {
                heads[other] = ChainHead(writer: other, sequence: sequence, hash: hash)
            }
        }
        let epoch = secrets.currentEpoch
        let record = ChainRecord(
            writer: writer, sequence: (own?.sequence ?? 0) + 1, previous: own?.hash, at: time,
            host: host, run: run, added: added, removed: removed,
            heads: heads.values.filter { $0.writer != writer }.sorted { $0.writer < $1.writer },
            marks: marks.isEmpty ? nil : marks.map { ChainMark($0) },
            epoch: epoch > 1 ? epoch : nil, writtenOff: writtenOff.isEmpty ? nil : writtenOff)
        // The listing may have lagged behind: nobody's record is ever written over.
        if try await store.size(record.objectKey) != nil { return nil }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        // What makes room must be possible when there is none.
        let (sealed, isKept) = try await offerRecord(
            Array(try encoder.encode(record)), as: record.objectKey,
            usingReserve: !removed.isEmpty)
        guard isKept else { return nil }
        heads[writer] = ChainHead(
            writer: writer, sequence: record.sequence, hash: ChainRecord.hash(sealed))
        return heads.values.sorted { $0.writer < $1.writer }
    }

    /// The hash of a record; nil when it is damaged or gone, which is for a check to say. What was
    /// only read wrongly must not accuse the record for ever after.
    private func intactHash(_ writer: WriterID, _ sequence: UInt64) async throws -> ChainHash? {
        let key = ChainRecord.objectKey(writer, sequence)
        for _ in 0..<2 {
            do {
                let bytes = try await store.get(key, .whole)
                _ = try ChainRecord.decode(bytes, key, secrets)
                return ChainRecord.hash(bytes)
            } catch is FormatError {
                continue
            } catch is ObjectMissing {
                return nil
            }
        }
        return nil
    }

    /// Snapshots that chains expect and that are not there, whatever else goes on meanwhile.
    ///
    /// - Parameter listed: Listed before the chains were read.
    func missingSnapshots(of chains: ChainState, listed: Set<SnapshotID>) async throws
        -> Set<SnapshotID>
    {
        var missing = chains.expected.subtracting(listed)
        if missing.isEmpty { return missing }
        // One that was written since is listed now; one that was removed since has its tombstone.
        missing.subtract(try await listSnapshots())
        if missing.isEmpty { return missing }
        return missing.subtracting(try await readChains().removed)
    }

    /// The newest sequence of each writer, as the store lists them.
    public func chainLengths() async throws -> [WriterID: UInt64] {
        var newest: [WriterID: UInt64] = [:]
        for object in try await store.list(ChainRecord.prefix) {
            guard let place = ChainRecord.place(of: object.key) else { continue }
            newest[place.writer] = max(newest[place.writer] ?? 0, place.sequence)
        }
        return newest
    }

    /// One record of a chain.
    ///
    /// - Throws: ``FormatError`` when it is damaged, ``ObjectMissing`` when it is not there.
    public func chainRecord(_ writer: WriterID, _ sequence: UInt64) async throws -> ChainRecord {
        let key = ChainRecord.objectKey(writer, sequence)
        return try ChainRecord.decode(try await store.get(key, .whole), key, secrets)
    }
}
