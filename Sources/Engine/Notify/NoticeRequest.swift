import Model

/// A notice in the form that a kind of receiver takes.
enum NoticeRequest {
    /// - Parameter token: The receiver's, already read.
    static func make(
        _ notice: Notice, for receiver: NotificationReceiver, token: String?
    ) throws -> HTTPRequest {
        let address = Self.address(of: receiver, token: token)
        switch receiver.kind {
        case .ntfy:
            var request = HTTPRequest(.post, address)
            request.headers = [
                HTTPHeader("Title", ascii(notice.title)),
                HTTPHeader("Priority", notice.isBad ? "high" : "default"),
                HTTPHeader("Tags", notice.isBad ? "warning" : "white_check_mark"),
                HTTPHeader("Content-Type", "text/plain; charset=utf-8"),
            ]
            if let token { request.headers.append(HTTPHeader("Authorization", "Bearer \(token)")) }
            request.body = .bytes(Array(notice.text(limit: 3800, withTitle: false).utf8))
            return request
        case .discord:
            return try json(
                address,
                Discord(
                    content: notice.text(limit: 1900), allowed_mentions: Discord.Mentions()))
        case .slack:
            // Three characters have a meaning of their own there.
            let text = notice.text(limit: 3000).replacing("&", with: "&amp;")
                .replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            return try json(address, Slack(text: text))
        case .gotify:
            var request = try json(
                address,
                Gotify(
                    title: notice.title, message: notice.text(limit: 8000, withTitle: false),
                    priority: notice.isBad ? 8 : 3))
            if let token { request.headers.append(HTTPHeader("X-Gotify-Key", token)) }
            return request
        case .webhook:
            var request = try json(
                address,
                Webhook(
                    host: notice.host, title: notice.title,
                    events: notice.events.map(\.rawValue).sorted(), lines: notice.lines,
                    bad: notice.isBad))
            if let token { request.headers.append(HTTPHeader("Authorization", "Bearer \(token)")) }
            return request
        case .healthchecks:
            let end =
                switch notice.moment {
                case .start: "/start"
                case .failure: "/fail"
                case .success, .between: ""
                }
            var request = HTTPRequest(.post, address + end)
            request.headers = [HTTPHeader("Content-Type", "text/plain; charset=utf-8")]
            request.body = .bytes(Array(notice.text(limit: 90_000).utf8))
            return request
        case .mail:
            throw Failure(.usage, "mail is not sent over HTTP")
        }
    }

    /// Where a token is a part of the address, it is its last one.
    private static func address(of receiver: NotificationReceiver, token: String?) -> String {
        var address = receiver.address
        while address.hasSuffix("/") { address.removeLast() }
        switch receiver.kind {
        case .discord, .slack, .healthchecks: return token.map { "\(address)/\($0)" } ?? address
        case .gotify: return address.hasSuffix("/message") ? address : "\(address)/message"
        case .ntfy, .webhook, .mail: return receiver.address
        }
    }

    private static func json(_ address: String, _ body: some Encodable) throws -> HTTPRequest {
        var request = HTTPRequest(.post, address)
        request.headers = [HTTPHeader("Content-Type", "application/json")]
        request.body = .bytes(try StableJSON.encode(body))
        return request
    }

    /// Headers hold nothing else.
    static func ascii(_ text: String) -> String {
        String(text.unicodeScalars.map { $0.isASCII && $0.value >= 32 ? Character($0) : "?" })
    }

    private struct Discord: Encodable {
        struct Mentions: Encodable { var parse: [String] = [] }
        var content: String
        // The service's own name for it.
        var allowed_mentions: Mentions
    }

    private struct Slack: Encodable { var text: String }

    private struct Gotify: Encodable {
        var title: String
        var message: String
        var priority: Int
    }

    private struct Webhook: Encodable {
        var host: String
        var title: String
        var events: [String]
        var lines: [String]
        var bad: Bool
    }
}

/// A notice as a mail for `sendmail -t`.
enum NoticeMail {
    static func make(_ notice: Notice, to address: String) -> [UInt8] {
        let lines = [
            "To: \(header(address))", "Subject: \(header(notice.title))",
            "Auto-Submitted: auto-generated", "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "",
            notice.text(limit: 30_000, withTitle: false), "",
        ]
        return Array(lines.joined(separator: "\n").utf8)
    }

    private static func header(_ text: String) -> String { NoticeRequest.ascii(text) }
}
