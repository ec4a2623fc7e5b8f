import CLinux
import Glibc
import Synchronization

/// Stands between a client and an HTTP server on loopback, and spoils chosen requests.
///
/// Without a rule it passes everything on. The first rule that fits a request decides.
public final class FaultProxy: Sendable {
    public enum Fault: Sendable {
        /// An answer of the proxy's own; the server sees nothing.
        case answer(status: Int, body: String)
        /// The connection ends; the server sees nothing.
        case dropRequest
        /// The server does it; the connection ends before its answer.
        case dropResponse
        /// The connection ends in the middle of the answer's body.
        case cutResponse(after: Int)
        /// The answer's body ends early, and says so.
        case shorten(to: Int)
        /// One bit of the answer's body is wrong.
        case flipResponse(Int)
        /// One bit of the request's body is wrong.
        case flipRequest(Int)
        /// "Done", and the server sees nothing.
        case lie
        /// No answer, ever.
        case hang
        /// An answer that comes with so many bytes a second.
        case trickle(bytesPerSecond: Int)
    }

    /// A fault, and the requests that it happens to.
    public struct Rule: Sendable {
        public var fault: Fault
        /// nil for any.
        public var method: String?
        /// Somewhere in the target.
        public var part: String
        public var skip: Int
        public var times: Int

        public init(
            _ fault: Fault, on method: String? = nil, _ part: String = "", skip: Int = 0,
            times: Int = 1
        ) {
            self.fault = fault
            self.method = method
            self.part = part
            self.skip = skip
            self.times = times
        }
    }

    private let way: Way
    private let server: Mutex<TinyHTTPServer?>
    public let port: UInt16

    /// - Parameters:
    ///   - url: `http://127.0.0.1:port`.
    ///   - latency: Microseconds that every answer takes longer.
    public init(to url: String, latency: UInt32 = 0) throws {
        let way = Way(upstream: UInt16(url.split(separator: ":").last ?? "") ?? 0, latency)
        let listening = try TinyHTTPServer(on: nil, answer: { way.pass($0, $1) })
        self.way = way
        port = listening.port
        server = Mutex(listening)
    }

    public var url: String { "http://127.0.0.1:\(port)" }
    public var faults: Int { way.state.withLock { $0.faults } }
    public var requests: Int { way.state.withLock { $0.requests } }
    /// Most requests that were under way at one moment.
    public var mostAtOnce: Int { way.state.withLock { $0.mostAtOnce } }

    public func add(_ rule: Rule) { way.state.withLock { $0.rules.append(rule) } }
    public func clear() { way.state.withLock { $0.rules = [] } }

    /// Ends the proxy: connections are refused from now on.
    public func stop() {
        way.state.withLock { $0.isStopped = true }
        server.withLock {
            $0?.stop()
            $0 = nil
        }
    }

    deinit { stop() }
}

/// What happens to requests; shared by the threads that serve them.
private final class Way: Sendable {
    struct State {
        var rules: [FaultProxy.Rule] = []
        var faults = 0
        var requests = 0
        var underWay = 0
        var mostAtOnce = 0
        var isStopped = false
    }

    let state = Mutex(State())
    private let upstream: UInt16
    private let latency: UInt32

    init(upstream: UInt16, _ latency: UInt32) {
        self.upstream = upstream
        self.latency = latency
    }

    private func next(_ request: TinyHTTPServer.Request) -> FaultProxy.Fault? {
        state.withLock { state in
            state.requests += 1
            for number in state.rules.indices {
                let rule = state.rules[number]
                guard rule.times > 0, rule.method ?? request.method == request.method,
                    rule.part.isEmpty || request.target.contains(rule.part)
                else { continue }
                if rule.skip > 0 {
                    state.rules[number].skip -= 1
                    continue
                }
                state.rules[number].times -= 1
                state.faults += 1
                return rule.fault
            }
            return nil
        }
    }

    /// - Returns: Whether the connection may go on.
    func pass(_ request: TinyHTTPServer.Request, _ send: ([UInt8]) -> Void) -> Bool {
        state.withLock {
            $0.underWay += 1
            $0.mostAtOnce = max($0.mostAtOnce, $0.underWay)
        }
        defer { state.withLock { $0.underWay -= 1 } }
        var request = request
        let fault = next(request)
        switch fault {
        case .answer(let status, let body):
            send(Self.answer(status, body))
            return true
        case .lie:
            send(Self.answer(200, ""))
            return true
        case .dropRequest: return false
        case .hang:
            while !state.withLock({ $0.isStopped }) { usleep(50_000) }
            return false
        case .flipRequest(let place) where !request.body.isEmpty:
            request.body[place % request.body.count] ^= 1
        default: break
        }
        if latency > 0 { usleep(latency) }
        guard let answer = fetch(request) else { return false }
        guard let end = Self.bodyStart(answer) else { return false }
        let (head, body) = (answer[..<end], Array(answer[end...]))
        switch fault {
        case .dropResponse: return false
        case .cutResponse(let count): send(Array(head) + body.prefix(count))
        case .shorten(let count):
            send(Self.head(head, length: min(count, body.count)) + body.prefix(count))
        case .flipResponse(let place) where !body.isEmpty:
            var wrong = body
            wrong[place % body.count] ^= 1
            send(Array(head) + wrong)
        case .trickle(let rate):
            send(Array(head))
            for start in stride(from: 0, to: body.count, by: max(1, rate / 10)) {
                guard !state.withLock({ $0.isStopped }) else { return false }
                send(Array(body[start..<min(start + max(1, rate / 10), body.count)]))
                usleep(100_000)
            }
        default: send(answer)
        }
        return false
    }

    private static func answer(_ status: Int, _ body: String) -> [UInt8] {
        Array(
            "HTTP/1.1 \(status) Spoilt\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
    }

    /// A head that says another length.
    private static func head(_ head: ArraySlice<UInt8>, length: Int) -> [UInt8] {
        let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
            .filter { !$0.lowercased().hasPrefix("content-length:") }
        return Array((lines + ["Content-Length: \(length)"]).joined(separator: "\r\n").utf8)
            + Array("\r\n\r\n".utf8)
    }

    private static func bodyStart(_ answer: [UInt8]) -> Int? {
        let mark = Array("\r\n\r\n".utf8)
        guard answer.count >= mark.count else { return nil }
        for start in 0...(answer.count - mark.count)
        where answer[start] == 13 && Array(answer[start..<(start + 4)]) == mark {
            return start + 4
        }
        return nil
    }

    /// The server's whole answer, on a connection of its own; nil when there is none.
    private func fetch(_ request: TinyHTTPServer.Request) -> [UInt8]? {
        let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(connection) }
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        place.sin_port = upstream.bigEndian
        let result = withUnsafePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(connection, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { return nil }
        var head = "\(request.method) \(request.target) HTTP/1.1\r\n"
        for (name, value) in request.headers.sorted(by: { $0.key < $1.key })
        where name != "connection" {
            head += "\(name): \(value)\r\n"
        }
        var rest = (Array((head + "connection: close\r\n\r\n").utf8) + request.body)[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes {
                Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if sent <= 0 { break }
            rest = rest.dropFirst(sent)
        }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = read(connection, &buffer, buffer.count)
            if count <= 0 { return answer.isEmpty ? nil : answer }
            answer += buffer[..<count]
        }
    }
}
