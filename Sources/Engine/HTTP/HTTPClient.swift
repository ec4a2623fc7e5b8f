import CCurl
import Model
import Synchronization

/// Speaks HTTP through the system's libcurl: TCP with TLS, proxies from the environment, unix
/// sockets.
///
/// Every transfer takes a thread of ``BlockingPool`` while it runs. Connections are kept and used
/// again. Safe to use from anywhere at once; cancelling the task ends the transfer.
public final class HTTPClient: Sendable {
    private let idle = Mutex<[HTTPLane]>([])
    private let pool: BlockingPool
    private let maximumIdleLanes: Int

    /// - Parameters:
    ///   - pool: Its threads are the most transfers at once; more wait their turn.
    ///   - idleLanes: Lanes, and with them connections, that are kept for the next request.
    public init(pool: BlockingPool = .shared, idleLanes: Int = 8) {
        self.pool = pool
        maximumIdleLanes = idleLanes
    }

    /// Sends a request and collects the answer's body.
    ///
    /// - Throws: ``Failure`` when there is no whole answer, transient where trying again may help;
    ///   `CancellationError`. A status such as 404 is no error here.
    public func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        try await perform(request, receive: nil)
    }

    /// Sends a request and passes the answer's body on as it comes.
    ///
    /// The body of an answer that is no success is collected instead, for its message.
    ///
    /// - Parameter receive: Called in order on one thread with slices of any size; may block, which
    ///   slows the sender down, and may throw, which ends the transfer with that error.
    public func send(
        _ request: HTTPRequest,
        receive: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws -> HTTPResponse {
        try await perform(request, receive: receive)
    }

    private func perform(
        _ request: HTTPRequest, receive: (@Sendable (UnsafeRawBufferPointer) throws -> Void)?
    ) async throws -> HTTPResponse {
        try Task.checkCancellation()
        let interrupt = try Interrupt()
        return try await withTaskCancellationHandler {
            try await pool.run { [self] in
                let lane = try idle.withLock { $0.popLast() } ?? HTTPLane()
                let transfer = HTTPTransfer(request, interrupt: interrupt, receive: receive)
                let response = try withoutBrokenPipeSignal { try transfer.run(on: lane) }
                idle.withLock { if $0.count < maximumIdleLanes { $0.append(lane) } }
                return response
            }
        } onCancel: {
            interrupt.raise()
        }
    }
}

/// One transfer at a time: a handle, and the connections that it keeps.
final class HTTPLane: Sendable {
    // libcurl's handles may move between threads as long as one uses them at a time. A lane is
    // either in the client's list of idle ones or owned by the one transfer that took it out.
    nonisolated(unsafe) let easy: UnsafeMutableRawPointer
    nonisolated(unsafe) let multi: UnsafeMutableRawPointer

    /// Initialises the library before the first handle is made; the language runs this once.
    private static let initialised = dr_curl_global_init()

    init() throws {
        guard Self.initialised == CURLE_OK, let easy = curl_easy_init() else {
            throw Failure(.failed, "libcurl could not be initialised", side: .local)
        }
        guard let multi = curl_multi_init() else {
            curl_easy_cleanup(easy)
            throw Failure(.failed, "libcurl could not be initialised", side: .local)
        }
        self.easy = easy
        self.multi = multi
    }

    deinit {
        curl_easy_cleanup(easy)
        curl_multi_cleanup(multi)
    }
}
