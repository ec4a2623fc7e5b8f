public import Model

/// Where a driver gets a snapshot's parts back from: the other side of ``CaptureSink``.
///
/// `Restore` implements it over the repository, tests over memory.
public protocol ReplaySource: Sendable {
    /// The snapshot that is replayed.
    var snapshot: SnapshotRecord { get }

    /// The bytes of a document, or of any small stream; refused above 64 MiB.
    func document(_ part: String) async throws -> [UInt8]

    /// Writes a stream part to `descriptor` from beginning to end, verified as it goes.
    ///
    /// - Returns: The number of bytes written.
    func stream(_ part: String, to descriptor: Int32) async throws -> UInt64

    /// Brings a tree part back as the directory `path`, which is created when missing.
    ///
    /// Nothing outside `path` is touched, whatever the tree or the target holds.
    func tree(_ part: String, to path: String, options: TreeReplayOptions) async throws
        -> TreeReplaySummary

    /// Writes a tree part to `descriptor` as a pax archive that GNU tar unpacks with everything in it.
    ///
    /// - Parameter name: What the root is called in the archive; what lies in it is below that.
    /// - Throws: Also when something turns out to be damaged halfway: then the archive has no end.
    func archive(_ part: String, called name: String, to descriptor: Int32) async throws
        -> TreeReplaySummary

    /// Gives the bytes of a part that is no tree to `receiver`, from beginning to end, verified.
    ///
    /// - Returns: The number of bytes, holes counted.
    func read(_ part: String, into receiver: any PieceReceiver) async throws -> UInt64
}

extension ReplaySource {
    public func read(_ part: String, into receiver: any PieceReceiver) async throws -> UInt64 {
        throw Failure(.failed, "parts cannot be read piece by piece here", side: .local)
    }
}

/// Takes a part's bytes in order, on whatever thread reads them; one call comes after the other.
public protocol PieceReceiver: AnyObject, Sendable {
    func receive(_ bytes: UnsafeRawBufferPointer) throws
    /// A run of zeros that is stored nowhere.
    func receiveZeros(_ count: UInt64) throws
}

/// How a tree is brought back.
public struct TreeReplayOptions: Sendable, Hashable {
    /// Setuid bits, devices and privileged attributes (`trusted.*`, `security.*`) come back too.
    public var privilegedMetadata: Bool
    /// Owners come back; needs root.
    public var owners: Bool
    /// Entries of the target that the tree does not hold are an error unless this is set.
    public var allowNonEmptyTarget: Bool
    /// What lies at this path of the tree comes back as the target itself; empty for all of it.
    public var root: [UInt8]

    public init(
        privilegedMetadata: Bool = true, owners: Bool = true, allowNonEmptyTarget: Bool = false,
        root: [UInt8] = []
    ) {
        self.privilegedMetadata = privilegedMetadata
        self.owners = owners
        self.allowNonEmptyTarget = allowNonEmptyTarget
        self.root = root
    }
}

/// What bringing a tree back came to.
public struct TreeReplaySummary: Sendable, Hashable {
    public var files: UInt64
    public var entries: UInt64
    public var bytes: ByteCount
    /// Metadata that was dropped on purpose, counted in words.
    public var dropped: [String]
    /// What did not come back, with the reason; an exit code of its own when not empty.
    public var problems: [String]
    /// How many of these are files that the repository has lost or damaged.
    public var damaged: Int
    /// The code that stands for the other problems, where it is one of its own: no space.
    public var cause: ExitCode?

    public init() {
        files = 0
        entries = 0
        bytes = ByteCount(0)
        dropped = []
        problems = []
        damaged = 0
    }
}
