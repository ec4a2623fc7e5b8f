import Synchronization
import TestSupport

/// Receives what `dr` sends to people's phones and chats, as their servers would.
final class MessageListener: Sendable {
    private final class Inbox: Sendable {
        let requests = Mutex<[TinyHTTPServer.Request]>([])
    }

    private let inbox: Inbox
    private let server: TinyHTTPServer
    var url: String { server.url }

    init() throws {
        let inbox = Inbox()
        self.inbox = inbox
        server = try TinyHTTPServer { request, send in
            inbox.requests.withLock { $0.append(request) }
            send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return true
        }
    }

    /// Everything that came since the last call, in the order of its arrival.
    func take() -> [TinyHTTPServer.Request] {
        inbox.requests.withLock { taken in
            defer { taken = [] }
            return taken
        }
    }
}

extension TinyHTTPServer.Request {
    var text: String { String(decoding: body, as: UTF8.self) }
}
