import CLinux
import Glibc
import Model
import Synchronization

/// An HTTP/1.1 server of a few lines, on loopback or on a unix socket, that says what it is told to.
public final class TinyHTTPServer: Sendable {
    public struct Request: Sendable {
        public var method = ""
        public var target = ""
        /// Names in lower case.
        public var headers: [String: String] = [:]
        public var body: [UInt8] = []
    }

    /// Writes the answer, head included; false closes the connection afterwards.
    public typealias Handler =
        @Sendable (Request, _ send: (String) -> Void) -> Bool
    /// The same, in bytes.
    public typealias ByteHandler =
        @Sendable (Request, _ send: ([UInt8]) -> Void) -> Bool

    private let descriptor: Int32
    /// 0 on a unix socket.
    public let port: UInt16
    private let accepted = Mutex<[Int32]>([])
    private let count = Atomic<Int>(0)
    private let handler: ByteHandler

    /// Connections that were made so far.
    public var connections: Int { count.load(ordering: .relaxed) }
    public var url: String { "http://127.0.0.1:\(port)" }

    /// - Parameter socket: The path of a unix socket to make; nil for a free port on loopback.
    public convenience init(socket path: String? = nil, handler: @escaping Handler) throws {
        try self.init(
            on: path,
            answer: { request, send in handler(request) { send(Array($0.utf8)) } })
    }

    /// The same for answers that are no text.
    public init(on path: String?, answer: @escaping ByteHandler) throws {
        handler = answer
        let family = path == nil ? AF_INET : AF_UNIX
        let listening = Glibc.socket(
            family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var storage = sockaddr_storage()
        var size: Int
        if let path {
            var place = sockaddr_un()
            place.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &place.sun_path) { $0.copyBytes(from: path.utf8) }
            size = MemoryLayout<sockaddr_un>.size
            withUnsafeMutableBytes(of: &storage) { all in
                withUnsafeBytes(of: place) { all.copyMemory(from: $0) }
            }
        } else {
            var place = sockaddr_in()
            place.sin_family = sa_family_t(AF_INET)
            place.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            size = MemoryLayout<sockaddr_in>.size
            withUnsafeMutableBytes(of: &storage) { all in
                withUnsafeBytes(of: place) { all.copyMemory(from: $0) }
            }
        }
        let result = withUnsafePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listening, $0, socklen_t(size))
            }
        }
        guard result == 0, listen(listening, 64) == 0 else {
            throw OutsideProgram.Problem("listen")
        }
        var bound = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        if path == nil {
            withUnsafeMutablePointer(to: &bound) {
                _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    getsockname(listening, $0, &length)
                }
            }
        }
        port = UInt16(bigEndian: bound.sin_port)
        descriptor = listening
        Self.thread { [weak self] in
            while true {
                let connection = accept(listening, nil, nil)
                if connection < 0, errno == EINTR { continue }
                guard connection >= 0, let self else { return }
                self.count.add(1, ordering: .relaxed)
                self.accepted.withLock { $0.append(connection) }
                Self.thread { [weak self] in self?.serve(connection) }
            }
        }
    }

    /// Ends the server and every connection to it.
    public func stop() {
        shutdown(descriptor, Int32(SHUT_RDWR))
        for connection in accepted.withLock({ $0 }) { shutdown(connection, Int32(SHUT_RDWR)) }
    }

    deinit {
        stop()
        close(descriptor)
    }

    private func serve(_ connection: Int32) {
        var input = Input(descriptor: connection)
        while let request = input.request() {
            let goesOn = handler(request) { bytes in
                var rest = bytes[...]
                while !rest.isEmpty {
                    let sent = rest.withUnsafeBytes {
                        send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                    }
                    if sent <= 0 { return }
                    rest = rest.dropFirst(sent)
                }
            }
            if !goesOn { break }
        }
        accepted.withLock { $0.removeAll { $0 == connection } }
        close(connection)
    }

    private static func thread(_ body: @escaping @Sendable () -> Void) {
        final class Box: Sendable {
            let run: @Sendable () -> Void
            init(_ run: @escaping @Sendable () -> Void) { self.run = run }
        }
        var thread = pthread_t()
        let context = Unmanaged.passRetained(Box(body)).toOpaque()
        pthread_create(
            &thread, nil,
            { context in
                if let context { Unmanaged<Box>.fromOpaque(context).takeRetainedValue().run() }
                return nil
            }, context)
        pthread_detach(thread)
    }

    private struct Input {
        let descriptor: Int32
        var bytes: [UInt8] = []

        mutating func more() -> Bool {
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            var count = read(descriptor, &buffer, buffer.count)
            while count < 0, errno == EINTR { count = read(descriptor, &buffer, buffer.count) }
            if count <= 0 { return false }
            bytes += buffer[..<count]
            return true
        }

        mutating func line() -> String? {
            while true {
                if let end = bytes.firstIndex(of: 10) {
                    let text = String(decoding: bytes[..<end].filter { $0 != 13 }, as: UTF8.self)
                    bytes.removeFirst(end + 1)
                    return text
                }
                guard more() else { return nil }
            }
        }

        mutating func take(_ count: Int) -> [UInt8]? {
            while bytes.count < count { guard more() else { return nil } }
            defer { bytes.removeFirst(count) }
            return Array(bytes[..<count])
        }

        mutating func request() -> Request? {
            guard let first = line() else { return nil }
            var request = Request()
            let words = first.split(separator: " ").map(String.init)
            guard words.count == 3 else { return nil }
            (request.method, request.target) = (words[0], words[1])
            while let header = line(), !header.isEmpty {
                let parts = header.split(separator: ":", maxSplits: 1)
                let value = parts.count > 1 ? parts[1].drop { $0 == " " } : ""
                request.headers[parts[0].lowercased()] = String(value)
            }
            if request.headers["transfer-encoding"] == "chunked" {
                while let size = line().flatMap({ Int($0, radix: 16) }) {
                    guard let chunk = take(size), line() != nil else { return nil }
                    if size == 0 { break }
                    request.body += chunk
                }
            } else if let length = request.headers["content-length"].flatMap({ Int($0) }) {
                guard let body = take(length) else { return nil }
                request.body = body
            }
            return request
        }
    }
}
