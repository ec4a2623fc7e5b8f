import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// From a machine as it is to a configuration that runs: a stack that nobody described to `dr`.
@Suite(
    "dr discover",
    .enabled(if: TestEnvironment.hasDockerPostgres, "needs a Docker Engine and a PostgreSQL image"),
    .enabled(if: TestEnvironment.hasPostgres, "needs PostgreSQL"),
    .enabled(if: TestEnvironment.isRoot, "looking into volumes needs root"))
struct DiscoverTests {
    @Test("What it writes runs as it is, and everything comes back")
    func runsAsItIs() async throws {
        try await TemporaryDirectory.with("discover") { scratch in
            let stack = try await FoundStack(in: scratch)
            try await stack.start()
            let before = try await stack.state()
            var dr = try DrBinary(in: scratch)
            dr.environment["DR_PASSWORD"] = "correct horse battery staple"
            let configuration = try await discover(dr, stack)
            check(configuration, stack)
            dr.environment["DR_CONFIG"] = try scratch.write("dr.yaml", configuration)
            try require(await dr.run("init"), endsWith: .done)
            let night = try await dr.run("backup")
            try require(night, endsWith: .done)

            await stack.docker.removeEverything()
            try await stack.destroyHostDatabase()
            _ = try await OutsideProgram.run(["rm", "-rf", scratch.path("proxy")])
            try require(
                await dr.run("restore", "--to", "here", "--yes", "--quiet"), endsWith: .done)
            #expect(try await stack.state() == before)
            // The machine's own files come back beside it.
            let restored = scratch.path("state/dr/restored")
            let name = try await OutsideProgram.run([
                "cmp", "/etc/passwd", "\(restored)/etc/passwd",
            ])
            #expect(name.status == 0, "\(name)")
            #expect(access("\(restored)/packages", F_OK) == 0)

            try await saysWhatIsNew(dr, stack)
        }
    }

    private func discover(_ dr: DrBinary, _ stack: FoundStack) async throws -> String {
        let found = try await dr.run(
            "discover", "--repository", stack.scratch.path("repository"), "--only",
            "\(stack.docker.prefix)*", "--only", "host", "--only", "\(stack.scratch.path)/**")
        try require(found, endsWith: .done)
        return found.text
    }

    private func check(_ configuration: String, _ stack: FoundStack) {
        let unwrapped = configuration.replacing("\n  #   ", with: " ")
        func holds(_ text: String, at place: SourceLocation = #_sourceLocation) {
            #expect(
                configuration.contains(text) || unwrapped.contains(text),
                "\(text)\n\(configuration)", sourceLocation: place)
        }
        let project = stack.project
        // The image says nothing of PostgreSQL; what runs in it does.
        holds("  \(project)-store:\n    postgres: {container: \(project)-store-1}")
        holds("# after \(project)-store: depends_on of Compose")
        holds("    after: [\(project)-store]")
        holds("  \(stack.name("ledger")):\n    postgres: {container: \(stack.name("ledger"))}")
        holds("allow_empty: true    # no table has a row yet")
        holds("# after \(stack.name("ledger")): its settings name ledger-db")
        holds("its proxy file names")
        holds("after: [\(project)-web]")
        holds("SQLite in volume \(stack.name("notes")):/notes.db: paused while it is read")
        holds("consistency: pause")
        holds("  \(stack.name("loose")):\n    docker: {volume: \(stack.name("loose"))}")
        holds("postgres: {url: \"postgresql://postgres@/postgres?host=\(stack.server.socket)\"}")
        holds("it removes itself when it ends (--rm)")
        holds("restore_to: \(stack.scratch.path("state/dr/restored"))")
        #expect(!configuration.contains("swordfish"))
    }

    private func saysWhatIsNew(_ dr: DrBinary, _ stack: FoundStack) async throws {
        let calm = try await dr.run(
            "discover", "--diff", "--only", "\(stack.docker.prefix)*")
        try require(calm, endsWith: .done)
        #expect(calm.text.contains("nothing was found that could be saved"), "\(calm)")
        try await stack.docker.docker("volume", "create", stack.name("newcomer"))
        let told = try await dr.run("discover", "--only", "\(stack.docker.prefix)*")
        #expect(told.errorText.contains("does not cover: \(stack.name("newcomer"))\n"), "\(told)")
        let added = try await dr.run("discover", "--diff", "--only", "\(stack.docker.prefix)*")
        #expect(added.text.contains("docker: {volume: \(stack.name("newcomer"))}"), "\(added)")
        #expect(added.text.contains("allow_empty: true    # the volume is empty now"))
        #expect(!added.text.contains("repository:") && !added.text.contains("ledger"))
    }
}

/// A Compose project with its own database, containers that were started by hand, a server on the
/// machine itself, a volume that nobody uses.
private struct FoundStack {
    struct State: Equatable {
        var store: String
        var ledger: String
        var host: String
        var files: [TreeFingerprint]
        var notes: String
        var running: [String]
    }

    let docker: DockerStack
    let scratch: TemporaryDirectory
    let server: TemporaryPostgres
    var project: String { name("shop") }

    init(in scratch: TemporaryDirectory) async throws {
        self.scratch = scratch
        docker = try DockerStack(in: scratch)
        server = try await TemporaryPostgres(in: scratch, name: "server")
    }

    func name(_ suffix: String) -> String { docker.name(suffix) }

    func start() async throws {
        let postgres = try #require(TestEnvironment.postgresImage)
        let busybox = try #require(TestEnvironment.busyboxImage)
        // The image's name says nothing of what is in it.
        let anonymous = name("image")
        try await docker.docker("tag", postgres, anonymous)
        scratch.atEnd { [docker] in _ = try? await docker.docker("image", "rm", anonymous) }
        try await docker.docker("network", "create", name("net"))
        try await compose(
            "store", anonymous,
            [
                "-e", "POSTGRES_PASSWORD=swordfish", "-e", "POSTGRES_DB=shop", "-v",
                "\(name("store")):/var/lib/postgresql/data",
            ], [])
        try await compose(
            "web", busybox,
            [
                "-l", "com.docker.compose.depends_on=store:service_started:false", "-v",
                "\(name("www")):/www", "--stop-timeout", "1",
            ], ["httpd", "-f", "-p", "80", "-h", "/www"])
        try await docker.docker(
            "run", "-d", "--name", name("ledger"), "--network", name("net"), "--network-alias",
            "ledger-db", "-e", "POSTGRES_PASSWORD=swordfish", "-v",
            "\(name("ledger")):/var/lib/postgresql/data", postgres)
        try await docker.docker(
            "run", "-d", "--name", name("notes"), "--network", name("net"), "-e",
            "LEDGER=postgres://clerk:swordfish@ledger-db:5432/postgres", "-v",
            "\(name("notes")):/data", "--stop-timeout", "1", busybox, "sleep", "100000")
        try scratch.makeDirectory("proxy")
        try scratch.write("proxy/Caddyfile", ":80 {\n  reverse_proxy web:80\n}\n")
        try await docker.docker(
            "run", "-d", "--name", name("proxy"), "--network", name("net"), "-v",
            "\(scratch.path("proxy")):/etc/caddy:ro", "--stop-timeout", "1", busybox, "sleep",
            "100000")
        try await docker.docker(
            "run", "-d", "--rm", "--name", name("passing"), "--stop-timeout", "1", busybox, "sleep",
            "100000")
        try await fill()
    }

    private func compose(
        _ service: String, _ image: String, _ options: [String], _ words: [String]
    ) async throws {
        try await docker.docker(
            [
                "run", "-d", "--name", "\(project)-\(service)-1", "--network", name("net"),
                "--network-alias", service, "-l", "com.docker.compose.project=\(project)", "-l",
                "com.docker.compose.service=\(service)", "-l",
                "com.docker.compose.container-number=1",
            ] + options + [image] + words)
    }

    private func fill() async throws {
        let schema = "CREATE TABLE sale (id int); INSERT INTO sale SELECT generate_series(1, 700)"
        _ = try await docker.eventually(
            in: "\(project)-store-1", "env", "PGPASSWORD=swordfish", "psql", "-h", "127.0.0.1",
            "-U", "postgres", "-d", "shop", "-c", schema, within: .seconds(90))
        _ = try await docker.eventually(
            in: name("ledger"), "env", "PGPASSWORD=swordfish", "psql", "-h", "127.0.0.1", "-U",
            "postgres", "-c", "CREATE TABLE account (id int)", within: .seconds(90))
        try await server.sql("CREATE TABLE person (name text); INSERT INTO person VALUES ('Ada')")
        try await docker.docker("volume", "create", name("loose"))
        for (volume, file) in [("loose", "letter"), ("www", "index.html")] {
            let place = try await docker.mountPoint(of: name(volume))
            _ = try await OutsideProgram.run(
                ["sh", "-c", "cat >'\(place)/\(file)'"], input: Array("\(volume)\n".utf8))
        }
        let place = try await docker.mountPoint(of: name("notes"))
        let made = try await OutsideProgram.run([
            "sqlite3", "\(place)/notes.db",
            "PRAGMA journal_mode=WAL; CREATE TABLE note (text); INSERT INTO note VALUES ('remember');",
        ])
        try #require(made.status == 0, "\(made)")
    }

    func destroyHostDatabase() async throws { try await server.sql("DROP TABLE person") }

    func state() async throws -> State {
        func rows(_ container: String, _ database: String, _ query: String) async throws -> String {
            try await docker.eventually(
                in: container, "env", "PGPASSWORD=swordfish", "psql", "-h", "127.0.0.1", "-U",
                "postgres", "-d", database, "-At", "-c", query)
        }
        let places = try await [name("loose"), name("www")].asyncMap {
            try TreeFingerprint(of: try await docker.mountPoint(of: $0))
        }
        let notes = try await docker.mountPoint(of: name("notes"))
        return State(
            store: try await rows(
                "\(project)-store-1", "shop", "SELECT count(*), sum(id) FROM sale"),
            ledger: try await rows(name("ledger"), "postgres", "SELECT count(*) FROM account"),
            host: try await server.sql("SELECT name FROM person"), files: places,
            notes: try await OutsideProgram.run([
                "sqlite3", "\(notes)/notes.db", "SELECT text FROM note",
            ]).text,
            running: try await docker.docker("ps", "--format", "{{.Names}}").split(separator: "\n")
                .map(String.init).filter { $0.hasPrefix(docker.prefix) && !$0.hasSuffix("passing") }
                .sorted())
    }
}

extension Array {
    fileprivate func asyncMap<Value>(
        _ transform: (Element) async throws -> Value
    ) async rethrows -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}
