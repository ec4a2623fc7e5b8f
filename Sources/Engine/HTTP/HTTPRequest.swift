public import Model

/// One request of an ``HTTPClient``.
public struct HTTPRequest: Sendable {
    public enum Method: String, Sendable {
        case get = "GET"
        case head = "HEAD"
        case post = "POST"
        case put = "PUT"
        case delete = "DELETE"
    }

    public var method: Method
    /// Absolute, `http` or `https`; with a unix socket the host only fills the `Host` header.
    public var url: String
    /// The path of a unix socket to connect to instead of the URL's host.
    public var unixSocket: String?
    /// Where every connection is made to, whatever the URL and redirects name; nil for there.
    public var through: Detour?
    public var headers: [HTTPHeader]
    public var body: HTTPBody
    /// Longest wait for a connection.
    public var connectTimeout: TimeSpan
    /// Longest time in which not one byte goes either way; nil for no limit. The time that the
    /// caller's own callbacks take does not count.
    public var idleTimeout: TimeSpan?
    /// Longest time for everything together; nil for no limit.
    public var totalTimeout: TimeSpan?
    /// A file of certificates that servers are trusted by, instead of the system's; nil for those.
    public var certificateAuthorities: String?
    /// How many redirects are followed; 0 gives them back as they are.
    public var maximumRedirects: Int
    /// Most bytes of a collected body; a longer answer is an error.
    public var maximumBody: Int

    public init(_ method: Method = .get, _ url: String, unixSocket: String? = nil) {
        self.method = method
        self.url = url
        self.unixSocket = unixSocket
        headers = []
        body = .none
        connectTimeout = TimeSpan(seconds: 10)
        idleTimeout = TimeSpan(seconds: 60)
        totalTimeout = nil
        maximumRedirects = 0
        maximumBody = 64 << 20
    }

    /// What a person is told was asked for: without user, password and query, which hold secrets.
    var place: String {
        if let unixSocket { return unixSocket }
        var text = url.prefix { $0 != "?" && $0 != "#" }[...]
        guard let scheme = text.range(of: "://") else { return String(text) }
        let authority = text[scheme.upperBound...].prefix { $0 != "/" }
        if let at = authority.lastIndex(of: "@") {
            text = text[..<scheme.upperBound] + text[text.index(after: at)...]
        }
        return String(text)
    }
}

/// A header's name, in any case, and value.
public struct HTTPHeader: Sendable, Hashable {
    public var name: String
    public var value: String

    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// What a request sends.
public enum HTTPBody: Sendable {
    case none
    case bytes([UInt8])
    /// Everything that can be read from a descriptor until its end, which stays open. With a length
    /// exactly that many bytes, without one in chunks.
    case descriptor(Int32, length: UInt64?)
    /// Fills a buffer and returns how many bytes it holds now; 0 at the end.
    case source(length: UInt64?, @Sendable (UnsafeMutableRawBufferPointer) throws -> Int)
    /// As many bytes as `length`, of which any can be asked for again: a kept connection that turns
    /// out to be dead costs nothing. Fills a buffer from an offset on and returns how many bytes.
    case replayable(
        length: UInt64, @Sendable (UInt64, UnsafeMutableRawBufferPointer) throws -> Int)
}

/// The answer to an ``HTTPRequest``; any status is an answer.
public struct HTTPResponse: Sendable {
    public var status: Int
    /// In the order of the answer; those of redirects that were followed are left out.
    public var headers: [HTTPHeader]
    /// The body, where it was collected.
    public var body: [UInt8]

    public init(status: Int, headers: [HTTPHeader], body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// 200 to 299.
    public var isSuccess: Bool { (200...299).contains(status) }
    /// The body as text, invalid UTF-8 replaced.
    public var text: String { String(decoding: body, as: UTF8.self) }

    /// The value of the first header called `name`, in any case.
    public func header(_ name: String) -> String? {
        let wanted = name.lowercased()
        return headers.first { $0.name.lowercased() == wanted }?.value
    }
}

extension Substring {
    /// The first place of `text`; the standard library's own needs a newer runtime's regex parts.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) {
                return start..<index(start, offsetBy: text.count)
            }
            start = index(after: start)
        }
        return nil
    }
}
