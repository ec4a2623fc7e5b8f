public import Model

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
    ///   - observer: Sees the same bytes in order, in slices of any size, on the reading thread.
    /// - Returns: The number of bytes stored.
    func stream(
        _ name: String, from descriptor: Int32, attributes: [String: String],
        observer: (any StreamObserver)?
    ) async throws -> UInt64

    /// Stores the directory at `path` of this machine, or the single file, with everything in it.
    func tree(
        _ name: String, at path: String, options: TreeCaptureOptions,
        attributes: [String: String]
    ) async throws -> TreeCaptureSummary
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
