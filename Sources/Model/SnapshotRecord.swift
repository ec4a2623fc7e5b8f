/// How much a snapshot's bytes agree with one moment.
///
/// A later release may write other words; they are kept, and promise no more than ``crash``.
public struct Consistency: RawRepresentable, Codable, Hashable, Sendable, Comparable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    /// As after a power cut at that moment, or not even of one moment.
    public static let crash = Self(rawValue: "crash")
    /// The file system was at rest: paused, frozen or its writers stopped.
    public static let fileSystem = Self(rawValue: "file system")
    /// The application itself gave a consistent view: a dump, a backup interface, a clean stop.
    public static let application = Self(rawValue: "application")

    private var rank: Int {
        switch self {
        case .fileSystem: 1
        case .application: 2
        default: 0
        }
    }
    public static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }
}

/// What a part of a snapshot is, and with it what restoring it gives.
///
/// A later release may write other words; they are kept, and such a part is bytes from beginning to
/// end, like a stream.
public struct PartKind: RawRepresentable, Codable, Hashable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    /// A small JSON or text document.
    public static let document = Self(rawValue: "document")
    /// Bytes from beginning to end: a dump, a database file, a program's output.
    public static let stream = Self(rawValue: "stream")
    /// A directory with everything in it.
    public static let tree = Self(rawValue: "tree")
    /// A raw disk image with holes.
    public static let disk = Self(rawValue: "disk")

    /// Whether this release knows what it is.
    public var isKnown: Bool { [.document, .stream, .tree, .disk].contains(self) }
}

/// One named piece of a snapshot, for example `container.json`, `volume/umami-data` or
/// `database/umami.dump`.
public struct SnapshotPart: Sendable, Hashable {
    public var name: String
    public var kind: PartKind
    /// The part's bytes; for a tree those of its entry list.
    public var content: ContentReference
    /// Bytes a restore writes: the content's length, for a tree that of all its files.
    public var bytes: ByteCount
    /// Entries of a tree; 1 for the rest.
    public var entries: UInt64
    /// Free facts for the driver that replays it, for example the path a tree was read from.
    public var attributes: [String: String]

    public init(
        name: String, kind: PartKind, content: ContentReference, bytes: ByteCount,
        entries: UInt64 = 1, attributes: [String: String] = [:]
    ) {
        self.name = name
        self.kind = kind
        self.content = content
        self.bytes = bytes
        self.entries = entries
        self.attributes = attributes
    }
}

/// Facts that a restored copy must meet: taken from the captured bytes themselves.
public struct Proof: Codable, Sendable, Hashable {
    /// Rows of each table, by `database.schema.table`.
    public var rows: [String: UInt64]
    /// Last value of each sequence, by `database.schema.sequence`; nil where it was never called.
    public var sequences: [String: Int64?]
    /// Files in each tree part, by the part's name.
    public var files: [String: UInt64]

    public init(
        rows: [String: UInt64] = [:], sequences: [String: Int64?] = [:],
        files: [String: UInt64] = [:]
    ) {
        self.rows = rows
        self.sequences = sequences
        self.files = files
    }
}

/// What a capture read and stored.
public struct CaptureStatistics: Codable, Sendable, Hashable {
    /// Bytes of plaintext the snapshot holds.
    public var bytes: ByteCount
    /// Bytes that were read from the source.
    public var bytesRead: ByteCount
    /// Bytes of plaintext that no earlier snapshot held.
    public var bytesNew: ByteCount
    /// Bytes added to the repository, compressed and sealed.
    public var bytesStored: ByteCount
    /// Files of all trees, and how many of them were recognised as unchanged.
    public var files: UInt64
    public var filesUnchanged: UInt64

    public init() {
        bytes = ByteCount(0)
        bytesRead = ByteCount(0)
        bytesNew = ByteCount(0)
        bytesStored = ByteCount(0)
        files = 0
        filesUnchanged = 0
    }

    public static func += (left: inout Self, right: Self) {
        left.bytes += right.bytes
        left.bytesRead += right.bytesRead
        left.bytesNew += right.bytesNew
        left.bytesStored += right.bytesStored
        left.files += right.files
        left.filesUnchanged += right.filesUnchanged
    }
}

/// The state of one workload at one moment, immutable. A record that exists is complete.
public struct SnapshotRecord: Sendable, Identifiable {
    public var id: SnapshotID
    public var workload: WorkloadID
    public var service: ServiceName
    public var kind: WorkloadKind
    /// The machine whose `dr` took it.
    public var host: String
    /// The run that took it; the snapshots of one run are one recovery point.
    public var run: RunID
    /// The moment its bytes stand for: when the capture began to read.
    public var asOf: Timestamp
    /// When the record was written.
    public var finished: Timestamp
    public var consistency: Consistency
    /// Why the snapshot is not to be trusted as the last good one; empty for a good one.
    public var suspicions: [String]
    /// What was left out or torn, in words; the snapshot is partial when this holds anything.
    public var omissions: [String]
    /// What a person should know, without making the snapshot worse.
    public var notes: [String]
    public var parts: [SnapshotPart]
    public var proof: Proof
    public var statistics: CaptureStatistics
    public var tags: [String]
    /// The version of `dr` that took it.
    public var version: String

    public init(
        id: SnapshotID, workload: WorkloadID, service: ServiceName, kind: WorkloadKind,
        host: String, run: RunID, asOf: Timestamp
    ) {
        self.id = id
        self.workload = workload
        self.service = service
        self.kind = kind
        self.host = host
        self.run = run
        self.asOf = asOf
        finished = asOf
        consistency = .crash
        suspicions = []
        omissions = []
        notes = []
        parts = []
        proof = Proof()
        statistics = CaptureStatistics()
        tags = []
        version = ""
    }

    /// Clocks may differ by so much.
    public static let clockTolerance = TimeSpan(seconds: 86400)

    /// Whether it is dated further ahead of `now` than clocks may differ: such a time says nothing
    /// of how fresh the snapshot is, nor that it is newer than others.
    public func isFromFuture(at now: Timestamp) -> Bool { asOf > now + Self.clockTolerance }

    /// Neither suspicious nor partial.
    public var isGood: Bool { suspicions.isEmpty && omissions.isEmpty }

    /// The part called `name`.
    public func part(_ name: String) -> SnapshotPart? { parts.first { $0.name == name } }
}
