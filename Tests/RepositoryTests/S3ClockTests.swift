import FoundationEssentials
import Glibc
import Model
import Repository
import Synchronization
import TestSupport
import Testing

/// A store whose clock is not this machine's, as whoever restores onto a bare machine meets it.
@Suite struct S3ClockTests {
    /// Seconds that the store's clock is ahead.
    private static let ahead: Int64 = 2 * 3600

    /// A store that takes no signature older than a quarter of an hour, by its own clock.
    private final class Server: Sendable {
        private let requests = Mutex<[String]>([])
        /// What came, in order, with what became of it.
        var seen: [String] { requests.withLock { $0 } }
        let isStubborn: Bool

        /// - Parameter isStubborn: Whether it refuses every signature for its time.
        init(isStubborn: Bool = false) { self.isStubborn = isStubborn }

        func answer(_ request: TinyHTTPServer.Request, _ send: (String) -> Void) -> Bool {
            let now = Int64(time(nil)) + S3ClockTests.ahead
            let signed = Self.seconds(request.headers["x-amz-date"] ?? "")
            let isLate = isStubborn || signed.map { abs($0 - now) > 900 } ?? true
            requests.withLock { $0.append("\(request.method) \(isLate ? "late" : "good")") }
            let text =
                isLate
                ? "<Error><Code>RequestTimeTooSkewed</Code><Message>no</Message></Error>" : "bytes"
            let isHead = request.method == "HEAD"
            send(
                "HTTP/1.1 \(isLate ? "403 Forbidden" : "200 OK")\r\nDate: \(Self.date(now))\r\n"
                    + "Content-Length: \(text.utf8.count)\r\n\r\n" + (isHead ? "" : text))
            return true
        }

        private static func seconds(_ stamp: String) -> Int64? {
            // 20261122T101500Z
            let text = Array(stamp)
            guard text.count == 16 else { return nil }
            func part(_ range: Range<Int>) -> String { String(text[range]) }
            return Timestamp(
                rfc3339: "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))T\(part(9..<11)):"
                    + "\(part(11..<13)):\(part(13..<15))Z")?.wholeSeconds
        }

        private static func date(_ seconds: Int64) -> String {
            var (moment, parts) = (time_t(seconds), tm())
            gmtime_r(&moment, &parts)
            var text = [CChar](repeating: 0, count: 64)
            strftime(&text, text.count, "%a, %d %b %Y %H:%M:%S GMT", &parts)
            return String(decoding: text.prefix { $0 != 0 }.map { UInt8($0) }, as: UTF8.self)
        }
    }

    private func with(_ server: Server, _ body: (S3Store) async throws -> Void) async throws {
        let listening = try TinyHTTPServer { server.answer($0, $1) }
        guard case .s3(let address) = try StorePlace(parsing: "s3:\(listening.url)/bucket/below")
        else { return }
        try await body(
            try S3Store(
                address, credentials: S3Credentials(accessKey: "key", secretKey: "secret")))
    }

    @Test("A clock that is wrong is noticed once, and made up for")
    func wrongClock() async throws {
        let server = Server()
        try await with(server) { store in
            let bytes = try await store.get(ObjectKey("packs/1"), .whole)
            #expect(bytes == Data("bytes".utf8))
            #expect(server.seen == ["GET late", "GET good"])
            _ = try await store.get(ObjectKey("packs/1"), .whole)
            #expect(server.seen.count == 3)
        }
    }

    @Test("So is one that an answer to HEAD says nothing of")
    func wordless() async throws {
        let server = Server()
        try await with(server) { store in
            let size = try await store.size(ObjectKey("packs/1"))
            #expect(size == 5)
            #expect(server.seen == ["HEAD late", "HEAD good"])
        }
    }

    @Test("Requests that were on their way together are all sent again")
    func together() async throws {
        let server = Server()
        try await with(server) { store in
            try await withThrowingTaskGroup(of: Data.self) { group in
                for _ in 0..<12 {
                    group.addTask { try await store.get(ObjectKey("packs/1"), .whole) }
                }
                for try await bytes in group { #expect(bytes == Data("bytes".utf8)) }
            }
            let good = server.seen.filter { $0 == "GET good" }
            #expect(good.count == 12, "\(server.seen)")
        }
    }

    @Test("A store that no time pleases is given up at once, with what it said")
    func stubborn() async throws {
        let server = Server(isStubborn: true)
        try await with(server) { store in
            do {
                _ = try await store.get(ObjectKey("packs/1"), .whole)
                Issue.record("it gave bytes")
            } catch let failure as Failure {
                #expect("\(failure)".contains("RequestTimeTooSkewed"), "\(failure)")
            }
            #expect(server.seen.count == 2)
        }
    }
}
