public import Model

/// How a ``Database`` is opened.
public struct DatabaseOptions: Sendable, Hashable {
    /// How much of a commit survives a power cut.
    public enum Synchronous: String, Sendable, Hashable {
        /// Every commit is durable when it returns.
        case full = "FULL"
        /// The file is never damaged, but the last commits may be gone.
        case normal = "NORMAL"
        /// Nothing is promised; only for what can be made again from nothing.
        case off = "OFF"
    }

    public var synchronous: Synchronous
    /// Memory for pages of the file.
    public var cache: ByteCount
    /// How much of the file may be mapped instead of read; 0 for none.
    ///
    /// A read error of a mapped page is a signal, not an error: map only what can be rebuilt.
    public var memoryMap: ByteCount
    /// Bytes of a page; only a new file takes it.
    public var pageSize: ByteCount
    /// How long a call waits for another process's transaction.
    public var busyTimeout: TimeSpan
    /// Opens an existing file without changing it.
    public var isReadOnly: Bool

    public init(
        synchronous: Synchronous = .full, cache: ByteCount = ByteCount(8 << 20),
        memoryMap: ByteCount = ByteCount(0), pageSize: ByteCount = ByteCount(4096),
        busyTimeout: TimeSpan = TimeSpan(seconds: 30), isReadOnly: Bool = false
    ) {
        self.synchronous = synchronous
        self.cache = cache
        self.memoryMap = memoryMap
        self.pageSize = pageSize
        self.busyTimeout = busyTimeout
        self.isReadOnly = isReadOnly
    }
}
