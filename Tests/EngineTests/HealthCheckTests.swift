import CLinux
import Engine
import Glibc
import Model
import TestSupport
import Testing

@Suite struct HealthCheckTests {
    /// A socket on loopback; the port is the system's choice, and stays taken while it is open.
    private func socketOnLoopback(listening: Bool = true) throws -> (descriptor: Int32, port: Int) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0
                    && (!listening || listen(descriptor, 8) == 0)
                    && getsockname(descriptor, $0, &length) == 0
            }
        }
        try #require(bound)
        return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
    }

    @Test func tcpAnswersOnlyWhereSomebodyListens() async throws {
        let (listening, port) = try socketOnLoopback()
        let (silent, closedPort) = try socketOnLoopback(listening: false)
        defer {
            close(listening)
            close(silent)
        }
        let probe = CheckProbe()
        #expect(
            try await probe.probe(CheckSpecification(.tcp(host: "127.0.0.1", port: port)))
                == .healthy)
        #expect(
            try await probe.probe(CheckSpecification(.tcp(host: "127.0.0.1", port: closedPort)))
                == .unhealthy("127.0.0.1:\(closedPort): Connection refused"))
        let nowhere = CheckSpecification(.tcp(host: "no-such-host.invalid", port: 1))
        guard case .unhealthy = try await probe.probe(nowhere) else {
            Issue.record("a host that does not exist is healthy")
            return
        }
    }

    @Test func aDatabaseSaysByItsFirstValue() async throws {
        let probe = CheckProbe(sql: { query, database, service in
            #expect(database == "shop" && service == "db")
            if query == "refused" { throw Failure(.failed, "connection refused") }
            return query
        })
        func ask(_ query: String) async throws -> HealthVerdict {
            try await probe.probe(
                CheckSpecification(.sql(query: query, database: "shop", service: "db")))
        }
        for answer in ["t", "1", "anything"] { #expect(try await ask(answer) == .healthy) }
        for answer in ["f", "0", "", "FALSE"] {
            #expect(try await ask(answer) == .unhealthy("answered \"\(answer)\""))
        }
        #expect(try await ask("refused") == .unhealthy("connection refused"))
    }

    @Test func aCommandSaysByItsExitCode() async throws {
        let probe = CheckProbe(programs: LocalPrograms())
        #expect(try await probe.probe(CheckSpecification(.command(["true"]))) == .healthy)
        #expect(
            try await probe.probe(CheckSpecification(.command(["false"])))
                == .unhealthy("false ended with 1"))
        guard
            case .unhealthy = try await probe.probe(
                CheckSpecification(.command(["/no/such/program"])))
        else {
            Issue.record("a program that does not exist is healthy")
            return
        }
    }

    @Test func httpComparesStatusAndBody() async throws {
        let (descriptor, port) = try socketOnLoopback()
        let server = WorkerThread.start(name: "test-server") {
            while true {
                let connection = accept(descriptor, nil, nil)
                guard connection >= 0 else { return }
                var buffer = [UInt8](repeating: 0, count: 4096)
                _ = read(connection, &buffer, buffer.count)
                let answer =
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nready"
                _ = Array(answer.utf8).withUnsafeBytes {
                    write(connection, $0.baseAddress, $0.count)
                }
                close(connection)
            }
        }
        defer {
            // Ends the server's wait, however many have asked.
            shutdown(descriptor, Int32(SHUT_RDWR))
            server.join()
            close(descriptor)
        }
        let probe = CheckProbe(http: HTTPClient())
        func ask(_ status: Int, _ body: String?) async throws -> HealthVerdict {
            try await probe.probe(
                CheckSpecification(
                    .http(url: "http://127.0.0.1:\(port)/", status: status, body: body)))
        }
        #expect(try await ask(200, "ready") == .healthy)
        #expect(try await ask(204, nil) == .unhealthy("answered 200"))
        #expect(
            try await ask(200, "green") == .unhealthy("answered 200 without the expected text"))
    }

    @Test func whatNobodyCanCheckIsAnErrorAndNotTriedAgain() async throws {
        let gate = HealthGate(probe: CheckProbe(), timepiece: SystemTimepiece())
        let failure = await #expect(throws: Failure.self) {
            try await gate.wait(for: CheckSpecification(.container("web")))
        }
        #expect(failure?.code == .usage)
    }
}
