import CLinux
import Glibc

/// A SeaweedFS with an S3 gateway on loopback that a test may kill and start again.
public final class TemporarySeaweed: Sendable {
    public let key = "dr-test"
    public let secret = "a secret of tests alone"
    public let url: String
    private let words: [String]
    private let running: RunningProgram

    /// Holds what runs now.
    private actor RunningProgram {
        var process: OutsideProgram.Running?
        func set(_ process: OutsideProgram.Running?) { self.process = process }
    }

    public init(in scratch: TemporaryDirectory) async throws {
        let identities = try scratch.write(
            "identities.json",
            """
            {"identities": [{"name": "tests",
              "credentials": [{"accessKey": "\(key)", "secretKey": "\(secret)"}],
              "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
            """)
        let data = try scratch.makeDirectory("weed")
        let ports = try Self.ports(4)
        url = "http://127.0.0.1:\(ports[3])"
        words = [
            TestEnvironment.weed ?? "weed", "server", "-dir", data, "-ip", "127.0.0.1", "-ip.bind",
            "127.0.0.1", "-master.port", "\(ports[0])", "-volume.port", "\(ports[1])", "-filer",
            "-filer.port", "\(ports[2])", "-s3", "-s3.port", "\(ports[3])", "-s3.config",
            identities, "-master.volumeSizeLimitMB", "64", "-s3.port.iceberg", "0",
            "-s3.port.lance", "0", "-volume.max", "1000",
        ]
        running = RunningProgram()
        let server = self
        scratch.atEnd { await server.kill() }
        try await start()
    }

    /// Ports below 20,000: each of its servers takes the one 10,000 above as well.
    private static func ports(_ count: Int) throws -> [Int] {
        var ports: [Int] = []
        for _ in 0..<1000 where ports.count < count {
            let port = Int.random(in: 12_000..<20_000)
            if !ports.contains(port), isFree(port), isFree(port + 10_000) { ports.append(port) }
        }
        guard ports.count == count else { throw OutsideProgram.Problem("no free ports") }
        return ports
    }

    private static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        return reach(port) { bind(descriptor, $0, $1) } == 0
    }

    private static func reach(
        _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        place.sin_port = UInt16(port).bigEndian
        return withUnsafePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// Starts it, again too; returns when it stores an object and gives it back.
    public func start() async throws {
        await running.set(try OutsideProgram(words, timeout: .seconds(600)).start())
        let limit = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < limit {
            // The gateway answers before there is a server for volumes behind it.
            _ = try await curl("ready", "-X", "PUT")
            _ = try await curl("ready/x", "-X", "PUT", "--data-binary", "whole")
            if try await curl("ready/x") == "whole" { return }
            try await Task.sleep(for: .milliseconds(200))
        }
        throw OutsideProgram.Problem("SeaweedFS does not answer at \(url)")
    }

    /// What it answers to a signed call.
    private func curl(_ object: String, _ words: String...) async throws -> String {
        try await OutsideProgram.run(
            [
                "curl", "-s", "--max-time", "10", "--noproxy", "*", "--aws-sigv4",
                "aws:amz:us-east-1:s3", "--user", "\(key):\(secret)", "-H",
                "x-amz-content-sha256: UNSIGNED-PAYLOAD",
            ] + words + ["\(url)/\(object)"]
        ).text
    }

    /// Ends it as a power cut would.
    public func kill() async {
        guard let process = await running.process else { return }
        await running.set(nil)
        process.signal(SIGKILL)
        _ = try? await process.outcome()
    }
}
