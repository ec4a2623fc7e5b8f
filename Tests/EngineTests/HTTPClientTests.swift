import CLinux
import Engine
import Glibc
import Model
import Synchronization
import TestSupport
import Testing

struct HTTPClientTests {
    /// Says what it was asked: method, target, length of the body, and chosen headers.
    private static let echo: TinyHTTPServer.Handler = { request, send in
        let text = "\(request.method) \(request.target) \(request.body.count)"
        let body = request.method == "HEAD" ? "" : text
        send(
            "HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n"
                + "X-Asked: \(request.headers["x-ask"] ?? "")\r\n"
                + "X-Type: \(request.headers["content-type"] ?? "none")\r\n"
                + "X-Expect: \(request.headers["expect"] ?? "none")\r\n\r\n\(body)")
        return true
    }

    /// What a request that must fail ends in.
    private func reason(_ request: HTTPRequest) async -> Failure? {
        do {
            let answer = try await HTTPClient().send(request)
            Issue.record("an answer with status \(answer.status) instead of a failure")
            return nil
        } catch { return error as? Failure }
    }

    @Test(arguments: [HTTPRequest.Method.get, .head, .post, .put, .delete])
    func everyMethod(_ method: HTTPRequest.Method) async throws {
        let server = try TinyHTTPServer(handler: Self.echo)
        let client = HTTPClient()
        var request = HTTPRequest(method, "\(server.url)/a/b?c=d")
        request.headers = [HTTPHeader("X-Ask", "please")]
        let empty = try await client.send(request)
        #expect(empty.status == 200)
        #expect(empty.text == (method == .head ? "" : "\(method.rawValue) /a/b?c=d 0"))
        #expect(empty.header("x-asked") == "please")
        guard method == .post || method == .put else { return }
        request.body = .bytes([UInt8](repeating: 7, count: 3_000_000))
        let long = try await client.send(request)
        #expect(long.text == "\(method.rawValue) /a/b?c=d 3000000")
        #expect(long.header("X-Type") == "none")
        #expect(long.header("X-Expect") == "none")
        #expect(server.connections == 1)
    }

    @Test func overAUnixSocket() async throws {
        try await TemporaryDirectory.with("http") { directory in
            let path = directory.path("s")
            let server = try TinyHTTPServer(socket: path, handler: Self.echo)
            let answer = try await HTTPClient().send(
                HTTPRequest(.get, "http://docker/_ping", unixSocket: path))
            #expect(answer.text == "GET /_ping 0")
            server.stop()
        }
    }

    @Test func bodiesFromDescriptorsAndCallbacks() async throws {
        let server = try TinyHTTPServer(handler: Self.echo)
        let client = HTTPClient()
        for length in [UInt64(1_000_000), nil] {
            let pipe = try Pipe()
            let writing = Task.detached {
                try await BlockingPool.shared.run {
                    defer { pipe.closeWriter() }
                    _ = try PatternBytes.write(1_000_000, to: pipe.writer)
                }
            }
            var request = HTTPRequest(.put, server.url)
            request.body = .descriptor(pipe.reader, length: length)
            #expect(try await client.send(request).text == "PUT / 1000000")
            try await writing.value
        }
        let left = Mutex(5)
        var request = HTTPRequest(.post, server.url)
        request.body = .source(length: nil) { buffer in
            guard
                left.withLock({
                    $0 -= 1; return $0 >= 0
                })
            else { return 0 }
            buffer[0] = 1
            return 1
        }
        #expect(try await client.send(request).text == "POST / 5")
    }

    @Test func aBodyThatEndsEarlyIsAFailure() async throws {
        let server = try TinyHTTPServer(handler: Self.echo)
        var request = HTTPRequest(.put, server.url)
        request.body = .source(length: 10) { _ in 0 }
        let failure = await reason(request)
        #expect(failure?.message.contains("ended 10 bytes early") == true)
    }

    @Test func whatACallbackThrowsComesOut() async throws {
        let server = try TinyHTTPServer(handler: Self.echo)
        struct Mine: Error {}
        await #expect(throws: Mine.self) {
            _ = try await HTTPClient().send(HTTPRequest(.get, server.url)) { _ in throw Mine() }
        }
        var request = HTTPRequest(.put, server.url)
        request.body = .source(length: 3) { _ in throw Mine() }
        do {
            _ = try await HTTPClient().send(request)
            Issue.record("no error")
        } catch { #expect(error is Mine) }
    }

    @Test func anAnswerAsItComes() async throws {
        let piece = String(repeating: "0123456789abcdef", count: 4096)
        let server = try TinyHTTPServer { request, send in
            if request.target == "/no" {
                send("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone")
                return true
            }
            send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<100 { send("10000\r\n\(piece)\r\n") }
            send("0\r\n\r\n")
            return true
        }
        let client = HTTPClient()
        let count = Mutex(0)
        let answer = try await client.send(HTTPRequest(.get, server.url)) { bytes in
            count.withLock { $0 += bytes.count }
        }
        #expect(answer.isSuccess && answer.body.isEmpty)
        #expect(count.withLock { $0 } == 6_553_600)
        // What is no success is no content.
        let refused = try await client.send(HTTPRequest(.get, "\(server.url)/no")) { _ in
            Issue.record("an error's text as content")
        }
        #expect(refused.status == 404 && refused.text == "gone")
        var short = HTTPRequest(.get, server.url)
        short.maximumBody = 1000
        let failure = await reason(short)
        #expect(failure?.message.contains("answers with more than") == true)
    }

    @Test func anAnswerThatIsCutOffIsTransient() async throws {
        let server = try TinyHTTPServer { request, send in
            send(
                request.target == "/chunked"
                    ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
                    : "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
            return false
        }
        for target in ["/chunked", "/length"] {
            let failure = await reason(HTTPRequest(.get, server.url + target))
            #expect(failure?.isTransient == true)
        }
    }

    @Test func noServerIsTransientAndNamesNoSecret() async throws {
        let server = try TinyHTTPServer(handler: Self.echo)
        let url = server.url.replacing("http://", with: "http://user:hunter2@")
        server.stop()
        let failure = await reason(HTTPRequest(.get, "\(url)/x?token=hunter2"))
        #expect(failure?.isTransient == true)
        #expect(failure?.description.contains("hunter2") == false)
        #expect(failure?.message == "\(server.url)/x gave no whole answer")
    }

    @Test func silenceEndsATransfer() async throws {
        let server = try TinyHTTPServer { request, send in
            send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
            // The client goes first; the next read sees that.
            return true
        }
        var request = HTTPRequest(.get, server.url)
        request.idleTimeout = TimeSpan(seconds: 0.3)
        let failure = await reason(request)
        #expect(failure?.message.contains("has sent nothing for") == true)
        #expect(failure?.isTransient == true)
        // The time of the caller's own callback is not the server's.
        let slow = try TinyHTTPServer { _, send in
            send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            return true
        }
        var patient = HTTPRequest(.get, slow.url)
        patient.idleTimeout = TimeSpan(seconds: 0.5)
        let answer = try await HTTPClient().send(patient) { _ in usleep(1_000_000) }
        #expect(answer.isSuccess)
        var total = HTTPRequest(.get, server.url)
        total.totalTimeout = TimeSpan(seconds: 0.3)
        #expect(await reason(total) != nil)
    }

    @Test(.timeLimit(.minutes(2))) func cancellingEndsATransfer() async throws {
        let asked = Mutex(false)
        let server = try TinyHTTPServer(handler: { _, _ in
            asked.withLock { $0 = true }
            return true
        })
        let client = HTTPClient()
        let transfer = Task {
            var request = HTTPRequest(.get, server.url)
            request.idleTimeout = nil
            return try await client.send(request)
        }
        try await waitUntil { asked.withLock { $0 } }
        transfer.cancel()
        await #expect(throws: CancellationError.self) { _ = try await transfer.value }
    }

    @Test func redirectsOnlyWhenAsked() async throws {
        let server = try TinyHTTPServer { request, send in
            if request.target == "/new" {
                send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")
            } else {
                send("HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 3\r\n\r\nold")
            }
            return true
        }
        var request = HTTPRequest(.get, "\(server.url)/old")
        #expect(try await HTTPClient().send(request).status == 302)
        request.maximumRedirects = 3
        let answer = try await HTTPClient().send(request)
        #expect(answer.status == 200 && answer.text == "new")
        #expect(answer.header("Location") == nil)
        let odd = HTTPRequest(.get, "file:///etc/passwd")
        #expect(await reason(odd) != nil)
        var split = HTTPRequest(.get, server.url)
        split.headers = [HTTPHeader("X-A", "b\r\nX-C: d")]
        #expect(await reason(split) != nil)
    }
}
