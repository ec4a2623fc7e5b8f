import FoundationEssentials
import Model
import TestSupport
import Testing

/// A small machine that is drilled: a web server with a volume and a bind mount, one that only starts
/// after it, one that manages the Engine, and a directory of files.
struct DrillWorld: Sendable {
    let scratch: TemporaryDirectory
    let docker: DockerStack
    let port: Int
    var dr: DrBinary
    var web: String { docker.name("web") }
    var www: String { docker.name("www") }
    var drills: String { scratch.path("drills") }

    /// - Parameters:
    ///   - more: Lines of the configuration's end.
    ///   - assertion: Of the web server's service, in drills.
    init(in scratch: TemporaryDirectory, more: String = "", assertion: String? = nil) async throws {
        self.scratch = scratch
        docker = try DockerStack(in: scratch)
        port = try unusedPort()
        dr = try DrBinary(in: scratch)
        try scratch.makeDirectory("drills")
        try scratch.makeDirectory("site/deep")
        var random = SeededRandom.announced("drill world")
        for number in 0..<20 {
            try scratch.write("site/deep/\(number)", random.bytes(100 + 777 * number))
        }
        try scratch.makeDirectory("conf")
        try scratch.write("conf/motd", "from the bind mount\n")
        try await startContainers()
        try scratch.write("dr.yaml", configuration(assertion) + more)
        try await dr.initializeWithKey()
        try require(await dr.run("backup", "--quiet"), endsWith: .done)
    }

    func configuration(_ assertion: String?) -> String {
        """
        repository: repository
        objectives: {rto: 10m, rpo: 1h}
        drill: {directory: drills}
        services:
          web:
            docker: {container: \(web)}
            check: {http: "http://127.0.0.1:\(port)/index.html", body: "hello", timeout: 30s}
            drill: \(assertion ?? "{http: \"http://127.0.0.1:\(port)/conf/motd\", body: bind}")
          worker:
            docker: {container: \(docker.name("worker"))}
            after: [web]
            check: {container: \(docker.name("worker"))}
          manager:
            docker: {container: \(docker.name("manager"))}
            check: {container: \(docker.name("manager"))}
          site:
            files: [site]
            check: {command: ["false"]}

        """
    }

    private func startContainers() async throws {
        let image = try #require(TestEnvironment.busyboxImage)
        let host = try #require(TestEnvironment.dockerHost)
        try await docker.docker("network", "create", docker.name("net"))
        try await docker.docker("volume", "create", www)
        let place = try await docker.mountPoint(of: www)
        try await shell("echo hello >'\(place)/index.html'", in: scratch)
        try await docker.docker(
            "run", "-d", "--name", web, "--network", docker.name("net"), "--network-alias", "web",
            "-p", "127.0.0.1:\(port):80", "-v", "\(www):/www", "--restart", "unless-stopped",
            "-l", "traefik.enable=true", "-v", "\(scratch.path("conf")):/www/conf:ro",
            "--stop-timeout", "1", image, "httpd", "-f", "-p", "80", "-h", "/www")
        // On the Engine's own bridge.
        try await docker.docker(
            "run", "-d", "--name", docker.name("worker"), "--stop-timeout", "1", image, "sleep",
            "100000")
        let socket = host.dropFirst("unix://".count)
        try await docker.docker(
            "run", "-d", "--name", docker.name("manager"), "--stop-timeout", "1", "-v",
            "\(socket):/var/run/docker.sock", image, "sleep", "100000")
    }

    /// The evidence of the newest drill, or of one.
    func evidence(_ run: String? = nil) async throws -> DrillReport {
        try await dr.drillEvidence(run)
    }

    /// Nothing of a drill is there.
    func expectNoResidue(at place: SourceLocation = #_sourceLocation) async throws {
        #expect(try await docker.copies() == [], sourceLocation: place)
        let left = try await OutsideProgram.run(["ls", "-A", drills]).text
        #expect(left == "", sourceLocation: place)
    }
}

extension DrBinary {
    /// The evidence of the newest drill, or of one; it is as its schema says.
    func drillEvidence(_ run: String? = nil) async throws -> DrillReport {
        struct Run: Decodable {
            var id: String
            var purpose: String
        }
        var id = run
        if id == nil {
            let list = try await self.run("report", "--list", "--json")
            let runs = try JSONDecoder().decode([Run].self, from: Data(list.output))
            id = runs.first { $0.purpose == "drill" }?.id
        }
        let outcome = try await self.run("report", try #require(id), "--format", "json")
        try require(outcome, endsWith: .done)
        let schema = try SchemaCheck(Checkout.path("docs/drill-report.schema.json"))
        #expect(try schema.problems(of: outcome.output) == [])
        return try JSONDecoder().decode(DrillReport.self, from: Data(outcome.output))
    }
}
