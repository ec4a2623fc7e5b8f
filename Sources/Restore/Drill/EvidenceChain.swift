public import Catalog
import Engine
public import Model

/// The evidence of all drills of a catalog, oldest first: reports, and what people added to them.
public struct EvidenceChain: Sendable {
    public struct Link: Sendable {
        public var record: EvidenceRecord
        /// SHA-256 of the record as it is kept.
        public var hash: String
    }

    public private(set) var links: [Link] = []
    /// What is wrong with the chain; empty when it is whole.
    public private(set) var problems: [String] = []

    /// Reads and verifies all of it.
    public init(_ catalog: Catalog) async throws {
        let head = try await catalog.evidenceHead()
        var previous = ""
        var expected: UInt64 = 1
        for kept in try await catalog.evidence() {
            let hash = PlanFingerprint.digest(kept.bytes)
            while expected < kept.sequence {
                problems.append("record \(expected) is missing")
                expected += 1
            }
            expected = kept.sequence + 1
            guard let record = try? StableJSON.decode(EvidenceRecord.self, from: kept.bytes) else {
                problems.append("record \(kept.sequence) cannot be read")
                previous = hash
                continue
            }
            if record.sequence != kept.sequence {
                problems.append("record \(kept.sequence) says that it is \(record.sequence)")
            }
            if record.previous != previous {
                problems.append(
                    "record \(kept.sequence) does not follow the one before: one of the two was "
                        + "changed")
            }
            links.append(Link(record: record, hash: hash))
            previous = hash
        }
        guard let head else {
            if !links.isEmpty { problems.append("nothing tells which record is the newest") }
            return
        }
        if head.sequence >= expected {
            problems.append("records from \(expected) to \(head.sequence) are missing")
        } else if head.hash != previous || head.sequence != expected - 1 {
            problems.append("the newest record is not the one that was written last")
        }
    }

    /// Adds a drill's report or a person's note; durable when this returns.
    @discardableResult
    public static func append(
        to catalog: Catalog, of run: RunID, at time: Timestamp, drill: DrillReport? = nil,
        note: DrillNote? = nil
    ) async throws -> (sequence: UInt64, hash: String) {
        try await catalog.append(evidenceOf: run, hash: PlanFingerprint.digest) { number, before in
            var record = EvidenceRecord(sequence: number, previous: before, run: run, at: time)
            record.drill = drill
            record.note = note
            return try StableJSON.encode(record)
        }
    }

    /// Reports of drills, oldest first.
    public var drills: [DrillReport] { links.compactMap(\.record.drill) }

    /// The report of one drill, with its place in the chain.
    public func drill(_ run: RunID) -> Link? {
        links.last { $0.record.run == run && $0.record.drill != nil }
    }

    /// What people added to a drill's report.
    public func notes(of run: RunID) -> [EvidenceRecord] {
        links.map(\.record).filter { $0.run == run && $0.note != nil }
    }

    /// Every corrective action, with when it was closed.
    public var actions: [CorrectiveAction] {
        var actions: [CorrectiveAction] = []
        for record in links.map(\.record) {
            guard let note = record.note else { continue }
            switch note.kind {
            case .action:
                var action = CorrectiveAction(
                    number: record.sequence, drill: record.run, finding: note.text,
                    opened: record.at)
                (action.owner, action.due, action.link) = (note.owner, note.due, note.link)
                actions.append(action)
            case .closed:
                for place in actions.indices where actions[place].number == note.closes {
                    actions[place].closed = record.at
                }
            case .observation, .accepted: break
            }
        }
        return actions
    }

    public var openActions: [CorrectiveAction] { actions.filter { $0.closed == nil } }
}
