import FoundationEssentials
import Model
import TestSupport
import Testing

/// The smallest stack that has everything: a database, a web server that answers from it, named
/// volumes, a network. It must come back from nothing with one command.
@Suite(
    "Two containers, one disaster",
    .enabled(if: TestEnvironment.hasDockerPostgres, "needs a Docker Engine and a PostgreSQL image"),
    .enabled(if: TestEnvironment.isRoot, "looking into volumes needs root"))
struct TwoContainersTests {
    @Test("A database and the web server in front of it come back in order, equal, and answering")
    func stackComesBack() async throws {
        try await TemporaryDirectory.with("stack") { scratch in
            let stack = try Stack(in: scratch)
            try await stack.start()
            let seed = TestEnvironment.seed
            print("tree seed \(seed)")
            let www = try await stack.docker.mountPoint(of: stack.www)
            var maker = TreeMaker(seed: seed)
            try maker.make(at: "\(www)/tree", entries: 60)
            let files = try TreeFingerprint(of: www)
            let rows = try await stack.rows()
            let answer = try await stack.answer()
            #expect(answer.hasPrefix("HTTP/1") && answer.contains("200 OK"))
            let definitions = try await stack.definitions()

            var dr = try DrBinary(in: scratch)
            dr.environment["DR_PASSWORD"] = "correct horse battery staple"
            dr.environment["DR_CONFIG"] = try scratch.write("dr.yaml", stack.configuration)
            try require(await dr.run("init"), endsWith: .done)
            try require(await dr.run("backup"), endsWith: .done)

            await stack.docker.removeEverything()
            #expect(try await stack.docker.remains() == [])

            let watch = ContinuousClock.now
            let restored = try await dr.run("restore", "--to", "here", "--yes")
            let elapsed = watch.duration(to: .now)
            try require(restored, endsWith: .done)

            #expect(try await stack.rows() == rows)
            #expect(try TreeFingerprint(of: www).differences(from: files) == [])
            #expect(try await stack.answer().contains("200 OK"))
            #expect(try await stack.answer() == answer)
            let definitionsAfter = try await stack.definitions()
            #expect(definitionsAfter == definitions)

            let document = try await dr.run("report", "--json")
            try require(document, endsWith: .done)
            let report = try JSONDecoder().decode(
                RecoveryReport.self, from: Data(document.output))
            try judge(report, against: elapsed)
        }
    }

    /// Steps in dependency order, and times that add up to what an outside stopwatch saw.
    private func judge(_ report: RecoveryReport, against stopwatch: Duration) throws {
        try report.validate()
        #expect(report.services.allSatisfy { $0.state == .recovered })
        let database = try #require(report.services.first { $0.name.text == "shop-db" })
        let web = try #require(report.services.first { $0.name.text == "shop" })
        let databaseHealthy = try #require(database.milestones.healthy)
        let webSteps = report.steps.filter { $0.services.map(\.text) == ["shop"] }
        #expect(!webSteps.isEmpty)
        // Data may be brought back early; what starts or checks the web server waits for the
        // database to be healthy.
        for step in webSteps where step.phase == .start || step.phase == .healthy {
            #expect(try #require(step.started) >= databaseHealthy, "\(step.id)")
        }
        #expect(try #require(web.milestones.healthy) >= databaseHealthy)
        // Along the critical path each step begins when the one before has ended, or waits for room:
        // its steps and waits are the run.
        let byID = Dictionary(uniqueKeysWithValues: report.steps.map { ($0.id, $0) })
        let path = try report.criticalPath.map { try #require(byID[$0]) }
        var last = try #require(path.first?.ready)
        var sum = last
        for step in path {
            let ended = try #require(step.ended)
            #expect(ended >= last)
            sum = sum + (ended - last)
            last = ended
        }
        #expect(sum == last)
        let recovery = try #require(report.recoveryTime)
        #expect(abs(recovery.seconds - last.seconds) <= max(0.2, 0.05 * recovery.seconds))
        let seen =
            Double(stopwatch.components.seconds) + Double(stopwatch.components.attoseconds) / 1e18
        #expect(recovery.seconds <= seen)
        #expect(
            recovery.seconds >= seen * 0.5, "the report claims far less than the clock on the wall")
        #expect(report.meetsRecoveryTime == true)
        #expect(report.meetsRecoveryPoint == true)
    }
}

/// A PostgreSQL with a shop in it, and a web server whose page is a query.
private struct Stack {
    let docker: DockerStack
    let port: Int
    var database: String { docker.name("db") }
    var web: String { docker.name("web") }
    var www: String { docker.name("www") }

    init(in scratch: TemporaryDirectory) throws {
        docker = try DockerStack(in: scratch)
        port = try unusedPort()
    }

    var configuration: String {
        """
        repository: repository
        objectives: {rto: 5m, rpo: 1h}
        services:
          shop-db:
            docker: {container: \(database)}
            postgres: {container: \(database)}
          shop:
            docker: {container: \(web)}
            after: [shop-db]
            check: {http: "http://127.0.0.1:\(port)/cgi-bin/revenue", body: "customers"}

        """
    }

    func start() async throws {
        let image = try #require(TestEnvironment.postgresImage)
        let network = docker.name("net")
        try await docker.docker("network", "create", "--label", "purpose=test", network)
        try await docker.docker("volume", "create", docker.name("pgdata"))
        try await docker.docker("volume", "create", "--label", "kept=yes", www)
        try await docker.docker(
            "run", "-d", "--name", database, "--network", network, "--network-alias", "db",
            "-e", "POSTGRES_PASSWORD=swordfish", "-e", "POSTGRES_DB=shop",
            "-v", "\(docker.name("pgdata")):/var/lib/postgresql/data", "--restart",
            "unless-stopped",
            image)
        _ = try await docker.eventually(
            in: database, "env", "PGPASSWORD=swordfish", "psql", "-h", "127.0.0.1", "-U",
            "postgres", "-d", "shop", "-c",
            Self.schema, within: .seconds(90))
        try await docker.docker(
            "create", "--name", web, "--network", network, "-e", "PGPASSWORD=swordfish",
            "-p", "127.0.0.1:\(port):80", "-v", "\(www):/www", "--entrypoint", "busybox", image,
            "httpd", "-f", "-p", "80", "-h", "/www")
        let page = try await docker.mountPoint(of: www) + "/cgi-bin"
        let script = """
            mkdir '\(page)' && cat >'\(page)/revenue' && chmod 755 '\(page)/revenue'
            """
        try #require(
            try await OutsideProgram.run(["sh", "-c", script], input: Array(Self.program.utf8))
                .status
                == 0)
        try await docker.docker("start", web)
        _ = try await answer()
    }

    private static let schema = """
        CREATE TABLE customer (id serial PRIMARY KEY, name text NOT NULL);
        CREATE TABLE purchase (id bigserial PRIMARY KEY, customer int REFERENCES customer, cents int);
        CREATE ROLE clerk LOGIN PASSWORD 'verifier';
        GRANT SELECT ON customer TO clerk;
        INSERT INTO customer (name) SELECT 'customer ' || i FROM generate_series(1, 1000) i;
        INSERT INTO purchase (customer, cents)
            SELECT 1 + i % 1000, i FROM generate_series(1, 50000) i;
        """

    private static let program = """
        #!/bin/sh
        rows=$(psql -h db -U postgres -d shop -Atc 'SELECT count(*), sum(cents) FROM purchase') || {
            printf 'Status: 503 Unavailable\\r\\n\\r\\n'
            exit
        }
        printf 'Content-Type: text/plain\\r\\n\\r\\ncustomers bought %s\\n' "$rows"

        """

    /// Counts and checksums of every table, and what belongs to no table.
    func rows() async throws -> String {
        try await docker.eventually(
            in: database, "env", "PGPASSWORD=swordfish", "psql", "-h", "127.0.0.1", "-U",
            "postgres", "-d", "shop", "-At", "-c",
            """
            SELECT count(*), md5(string_agg(c::text, ';' ORDER BY id)) FROM customer c
            UNION ALL SELECT count(*), md5(string_agg(p::text, ';' ORDER BY id)) FROM purchase p
            UNION ALL SELECT last_value, '' FROM purchase_id_seq
            UNION ALL SELECT 0, rolpassword FROM pg_authid WHERE rolname = 'clerk'
            UNION ALL SELECT 0, relacl::text FROM pg_class WHERE relname = 'customer'
            """)
    }

    /// The page as a browser gets it, without what changes by itself.
    func answer() async throws -> String {
        let page = "http://127.0.0.1:\(port)/cgi-bin/revenue"
        let outcome = try await OutsideProgram.run([
            "curl", "-s", "-i", "-m", "10", "--noproxy", "*", "--retry", "20", "--retry-all-errors",
            "--retry-delay", "1",
            "--retry-max-time", "30", page,
        ])
        return outcome.text.split(whereSeparator: \.isNewline)
            .filter { !$0.hasPrefix("Date:") }.joined(separator: "\n")
    }

    /// What must be the same of containers, volumes and the network.
    /// What each thing is, as the Engine sees it. An image's anonymous volume comes back by its name:
    /// mounts are compared, not the words that asked for them.
    func definitions() async throws -> [String] {
        let container = """
            {{json .Config.Env}} {{json .Config.Cmd}} {{json .Config.Entrypoint}} \
            {{json .Config.Image}} {{with .HostConfig.PortBindings}}{{json .}}{{end}} \
            {{json .HostConfig.RestartPolicy}} {{.State.Status}}
            """
        let mounts = "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}\n{{end}}"
        func sortedMounts(_ name: String) async throws -> String {
            try await docker.docker("inspect", "--format", mounts, name)
                .split(separator: "\n").sorted().joined(separator: "; ")
        }
        return [
            try await docker.docker("inspect", "--format", container, database),
            try await docker.docker("inspect", "--format", container, web),
            try await sortedMounts(database),
            try await sortedMounts(web),
            try await docker.docker(
                "volume", "inspect", "--format", "{{.Driver}} {{json .Labels}}", www),
            try await docker.docker(
                "network", "inspect", "--format", "{{.Driver}} {{json .Labels}}",
                docker.name("net")),
        ]
    }
}
