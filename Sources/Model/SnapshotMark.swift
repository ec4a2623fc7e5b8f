/// What a person has said about a snapshot.
public enum SnapshotMark: String, Sendable, Hashable, Codable, CaseIterable {
    /// Retention never removes it.
    case pinned
    /// It is suspicious, and good all the same.
    case accepted
    /// It was brought back by the last drill that passed: retention keeps it until a later one has.
    case drilled
}

/// A mark that holds.
public struct MarkedSnapshot: Sendable, Hashable, Codable {
    public var snapshot: SnapshotID
    public var mark: SnapshotMark
    /// In the person's words; may be empty.
    public var reason: String
    /// When it was said.
    public var at: Timestamp

    public init(snapshot: SnapshotID, mark: SnapshotMark, reason: String, at: Timestamp) {
        self.snapshot = snapshot
        self.mark = mark
        self.reason = reason
        self.at = at
    }
}

/// What a person says about a snapshot, or takes back.
public struct MarkChange: Sendable, Hashable {
    public var snapshot: SnapshotID
    public var mark: SnapshotMark
    /// False when the mark is taken away.
    public var isSet: Bool
    /// In the person's words; may be empty.
    public var reason: String

    public init(_ snapshot: SnapshotID, _ mark: SnapshotMark, isSet: Bool, reason: String = "") {
        self.snapshot = snapshot
        self.mark = mark
        self.isSet = isSet
        self.reason = reason
    }
}
