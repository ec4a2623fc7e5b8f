public import Model

/// What a stream holds.
public enum StreamContent: Sendable {
    case anything
    /// A database's rows: from night to night few and scattered ones change.
    case rows
}

/// Where a driver puts what it captures: the seam between systems and bytes.
///
/// `Snapshot` implements it over the repository, tests over memory. Calls of one sink come one after
/// the other. What is put is not a snapshot yet: that is only written when the driver's `capture`
/// has returned.
public protocol CaptureSink: Sendable {
    /// Stores a small document under `name`.
    func document(_ name: String, _ bytes: [UInt8], attributes: [String: String]) async throws

    /// Stores everything that can be read from `descriptor` until its end.
    ///
    /// The end of a pipe says nothing about the program behind it: the driver must check how that
    /// ended before it returns.
    ///
    /// - Parameters:
    ///   - descriptor: Open for reading; stays open.
    ///   - content: What the bytes are, and so how small the pieces are in which they are recognised.
    ///   - observer: Sees the same bytes in order, in slices of any size, on the reading thread.
    /// - Returns: The number of bytes stored.
    func stream(
        _ name: String, from descriptor: Int32, of content: StreamContent,
        attributes: [String: String], observer: (any StreamObserver)?
    ) async throws -> UInt64

    /// Stores the directory at `path` of this machine, or the single file, with everything in it.
    func tree(
        _ name: String, at path: String, options: TreeCaptureOptions,
        attributes: [String: String]
    ) async throws -> TreeCaptureSummary

    /// Stores the disks that `reader` finds in the one stream of `descriptor`, each as a part.
    ///
    /// - Parameter descriptor: Open for reading; stays open.
    func disks(from descriptor: Int32, by reader: any DiskStreamReader) async throws

    /// Stores the entries of the tar archive that can be read from `descriptor` as a tree.
    ///
    /// - Parameters:
    ///   - aside: Paths of small files that are given back instead of stored.
    /// - Throws: `Failure` for an archive that is not whole.
    func archive(
        _ name: String, from descriptor: Int32, aside: [String], attributes: [String: String]
    ) async throws -> ArchiveCaptureSummary
}

extension CaptureSink {
    public func disks(from descriptor: Int32, by reader: any DiskStreamReader) async throws {
        throw Failure(.failed, "disks cannot be stored here", side: .local)
    }

    public func archive(
        _ name: String, from descriptor: Int32, aside: [String], attributes: [String: String]
    ) async throws -> ArchiveCaptureSummary {
        throw Failure(.failed, "archives cannot be stored here", side: .local)
    }
}

/// Understands a stream in which disks lie mixed.
public protocol DiskStreamReader: AnyObject, Sendable {
    /// Reads the stream to its end, on a thread of its own.
    ///
    /// - Throws: For a stream that is not whole; nothing of it is kept then.
    func read(_ descriptor: Int32, into receiver: any DiskReceiver) throws
}

/// Takes the blocks of disks in any order; owned by one thread.
public protocol DiskReceiver: AnyObject {
    /// Begins the part `name`, a disk.
    ///
    /// - Parameter length: In bytes.
    /// - Returns: The number under which its blocks are put.
    func begin(_ name: String, length: UInt64, attributes: [String: String]) throws -> Int

    /// Stores a block of 65536 bytes, or what is left of the disk in its last one.
    ///
    /// - Parameter block: Its number; no number may come twice, and what never comes is a hole.
    func put(_ disk: Int, block: UInt64, _ bytes: UnsafeRawBufferPointer) throws
}

/// What reading an archive came to.
public struct ArchiveCaptureSummary: Sendable, Hashable {
    public var tree: TreeCaptureSummary
    /// What was asked for, by its path.
    public var aside: [String: [UInt8]]

    public init(tree: TreeCaptureSummary, aside: [String: [UInt8]]) {
        self.tree = tree
        self.aside = aside
    }
}

/// Looks at a stream as it passes; owned by one thread at a time.
public protocol StreamObserver: AnyObject, Sendable {
    /// The next bytes. An error makes the stream, and with it the capture, fail.
    func observe(_ bytes: UnsafeRawBufferPointer) throws
}

/// What of a directory is left out.
public struct TreeCaptureOptions: Sendable, Hashable {
    /// Glob patterns against the absolute path; `**` crosses directories.
    public var exclude: [String]
    /// Leave out what lies on another file system than the root.
    public var oneFileSystem: Bool
    /// The path that patterns and messages know the root by; nil for where it is read.
    public var name: String?

    public init(exclude: [String] = [], oneFileSystem: Bool = true) {
        self.exclude = exclude
        self.oneFileSystem = oneFileSystem
    }
}

/// What reading a directory came to.
public struct TreeCaptureSummary: Sendable, Hashable {
    public var files: UInt64
    public var entries: UInt64
    public var bytes: ByteCount
    /// Entries that could not be read, or changed while they were, with the reason; named in words.
    public var omissions: [String]

    public init(files: UInt64, entries: UInt64, bytes: ByteCount, omissions: [String]) {
        self.files = files
        self.entries = entries
        self.bytes = bytes
        self.omissions = omissions
    }
}
