public import Model

/// What a chain's record says about one snapshot.
public struct ChainMark: Codable, Sendable, Hashable {
    public var snapshot: SnapshotID
    /// `pinned`, `accepted` or `drilled`; readers pass over what they do not know.
    public var mark: String
    /// False when the mark is taken away.
    public var isSet: Bool
    public var reason: String?

    enum CodingKeys: String, CodingKey {
        case snapshot, mark, reason
        case isSet = "set"
    }

    init(_ change: MarkChange) {
        snapshot = change.snapshot
        mark = change.mark.rawValue
        isSet = change.isSet
        reason = change.reason.isEmpty ? nil : change.reason
    }
}

/// What all that was said about snapshots comes to.
///
/// No clock decides: a mark holds until a record takes it away that knows of it, because it stands
/// later in the same chain, or because its writer had seen the record that set the mark. Of two
/// that did not know of each other the one that sets the mark counts.
public struct ChainMarks: Sendable {
    /// A mark of a snapshot.
    public struct Key: Sendable, Hashable {
        public var snapshot: SnapshotID
        public var mark: SnapshotMark

        public init(snapshot: SnapshotID, mark: SnapshotMark) {
            self.snapshot = snapshot
            self.mark = mark
        }
    }

    /// The marks that hold, by snapshot.
    public private(set) var holding: [MarkedSnapshot] = []
    /// Marks that were set once and taken away.
    public private(set) var cleared: Set<Key> = []

    init() {}

    private struct Saying {
        var record: ChainRecord
        var place: Int
        var mark: ChainMark

        /// Whether who said this knew of `other`.
        func knows(_ other: Saying) -> Bool {
            if record.writer == other.record.writer {
                return (record.sequence, place) > (other.record.sequence, other.place)
            }
            return record.heads.contains {
                $0.writer == other.record.writer && $0.sequence >= other.record.sequence
            }
        }
    }

    /// - Parameters:
    ///   - records: Of all chains, in any order.
    ///   - removed: Snapshots that are no more: nothing is said of them.
    init(_ records: [ChainRecord], without removed: Set<SnapshotID>) {
        var sayings: [Key: [Saying]] = [:]
        for record in records {
            for (place, said) in (record.marks ?? []).enumerated() {
                guard let mark = SnapshotMark(rawValue: said.mark),
                    !removed.contains(said.snapshot)
                else { continue }
                sayings[Key(snapshot: said.snapshot, mark: mark), default: []]
                    .append(Saying(record: record, place: place, mark: said))
            }
        }
        for (key, all) in sayings {
            let clearings = all.filter { !$0.mark.isSet }
            let standing = all.filter { saying in
                saying.mark.isSet && !clearings.contains { $0.knows(saying) }
            }
            guard
                let newest = standing.max(by: {
                    ($0.record.at, $0.record.writer, $0.record.sequence, $0.place)
                        < ($1.record.at, $1.record.writer, $1.record.sequence, $1.place)
                })
            else {
                cleared.insert(key)
                continue
            }
            holding.append(
                MarkedSnapshot(
                    snapshot: key.snapshot, mark: key.mark, reason: newest.mark.reason ?? "",
                    at: newest.record.at))
        }
        holding.sort { ($0.snapshot, $0.mark.rawValue) < ($1.snapshot, $1.mark.rawValue) }
    }
}
