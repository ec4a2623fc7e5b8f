import CLinux
import Glibc

/// Containers, volumes and networks of one test on the Engine that tests may use, through the
/// `docker` program: independent of what `dr` speaks to the Engine with.
///
/// Every name begins with `prefix`; whatever has it in its name at the end is removed: copies too.
public struct DockerStack: Sendable {
    public let prefix: String
    private let host: String

    /// - Parameter scratch: Its end is this fixture's end.
    public init(in scratch: TemporaryDirectory) throws {
        guard let host = TestEnvironment.dockerHost else {
            throw OutsideProgram.Problem("DR_TEST_DOCKER_HOST")
        }
        self.host = host
        let prefix = "drt-\(String(UInt32.random(in: 0 ... .max), radix: 36))"
        self.prefix = prefix
        let fixture = self
        scratch.atEnd { await fixture.removeEverything() }
    }

    /// A name of this test's own.
    public func name(_ suffix: String) -> String { "\(prefix)-\(suffix)" }

    /// Runs `docker` and returns what it printed, without the last line end.
    ///
    /// - Throws: ``OutsideProgram/Outcome`` as an error, if it ended with another code than 0.
    @discardableResult
    public func docker(_ words: String...) async throws -> String { try await docker(words) }

    /// The same for words in a list.
    @discardableResult
    public func docker(_ words: [String]) async throws -> String {
        let outcome = try await OutsideProgram.run(["docker", "-H", host] + words)
        guard outcome.status == 0 else { throw Refused(words: words, outcome: outcome) }
        var text = outcome.text
        while text.last == "\n" { text.removeLast() }
        return text
    }

    /// A `docker` that ended with another code than 0.
    public struct Refused: Error, CustomStringConvertible {
        public var words: [String]
        public var outcome: OutsideProgram.Outcome
        public var description: String { "docker \(words.joined(separator: " ")): \(outcome)" }
    }

    /// Names with the prefix, of every kind: what is left of this test.
    public func remains() async throws -> [String] {
        try await names().filter { $0.hasPrefix(prefix) }.sorted()
    }

    /// Names of copies of what this test made: of drills, for example.
    public func copies() async throws -> [String] {
        try await names().filter { $0.contains(prefix) && !$0.hasPrefix(prefix) }.sorted()
    }

    private func names() async throws -> [String] {
        var names: [String] = []
        for words in [
            ["ps", "-a", "--format", "{{.Names}}"], ["volume", "ls", "--format", "{{.Name}}"],
            ["network", "ls", "--format", "{{.Name}}"],
        ] {
            names += try await docker(words).split(separator: "\n").map(String.init)
        }
        return names
    }

    /// Everything that the Engine says of what has a prefix: also when it was started last, and who is
    /// on its networks. In lines, sorted: the Engine lists mounts in any order.
    public func inventory(of prefix: String) async throws -> [String] {
        var lines: [String] = []
        for words in [
            ["ps", "-a", "--format", "{{.Names}}"], ["volume", "ls", "--format", "{{.Name}}"],
            ["network", "ls", "--format", "{{.Name}}"],
        ] {
            for thing in try await docker(words).split(separator: "\n").sorted()
            where thing.hasPrefix(prefix) {
                let kind = words[0] == "ps" ? "container" : words[0]
                let told = try await docker(kind, "inspect", String(thing))
                lines.append(
                    told.split(separator: "\n").map { $0.hasSuffix(",") ? $0.dropLast() : $0 }
                        .sorted().joined(separator: "\n"))
            }
        }
        return lines
    }

    /// Removes containers with their anonymous volumes, then volumes, then networks.
    public func removeEverything() async {
        for (list, remove) in [
            (["ps", "-a", "--format", "{{.Names}}"], ["rm", "-f", "-v"]),
            (["volume", "ls", "--format", "{{.Name}}"], ["volume", "rm", "-f"]),
            (["network", "ls", "--format", "{{.Name}}"], ["network", "rm"]),
        ] {
            guard let names = try? await docker(list) else { continue }
            for name in names.split(separator: "\n") where name.contains(prefix) {
                _ = try? await docker(remove + [String(name)])
            }
        }
    }

    /// Where the Engine keeps a volume's files; only root can look.
    public func mountPoint(of volume: String) async throws -> String {
        try await docker("volume", "inspect", "--format", "{{.Mountpoint}}", volume)
    }

    /// Runs `words` in a container until it ends with 0, and returns what it printed then.
    public func eventually(
        in container: String, _ words: String..., within limit: Duration = .seconds(60)
    ) async throws -> String {
        let deadline = ContinuousClock.now + limit
        while true {
            do { return try await docker(["exec", container] + words) } catch {
                if ContinuousClock.now > deadline { throw error }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}

/// A port of loopback that nothing uses at this moment.
public func unusedPort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
        }
    }
    guard result == 0 else { throw OutsideProgram.Problem("bind to loopback") }
    return Int(UInt16(bigEndian: address.sin_port))
}
