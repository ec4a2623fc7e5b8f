public import Model

/// A container that is stopped or paused for a capture, and must run again after it.
public struct RestedContainer: Sendable, Hashable, Codable {
    /// The Engine's address, for example `unix:///var/run/docker.sock`.
    public var engine: String
    public var name: String
    public var id: String
    /// `pause` or `stop`.
    public var mode: CaptureMode
    /// Seconds that it may take to stop.
    public var patience: Int64

    public init(engine: String, name: String, id: String, mode: CaptureMode, patience: Int64) {
        self.engine = engine
        self.name = name
        self.id = id
        self.mode = mode
        self.patience = patience
    }
}

/// Remembers what was brought to rest, so that it runs again even after `dr` was killed.
public protocol RestJournal: Sendable {
    /// Durable when it returns; called before the container is stopped or paused.
    func resting(_ container: RestedContainer) async throws

    /// The container runs again, or was not brought to rest after all.
    func released(_ container: RestedContainer) async
}

/// Something that a driver has brought to rest for as long as a group is captured.
public protocol Quiesced: Sendable {
    /// Sets it going again, whatever has happened meanwhile.
    ///
    /// - Returns: What could not be set going; nil when all could.
    func release() async -> Failure?
}
