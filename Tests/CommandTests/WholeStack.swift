import TestSupport
import Testing

/// What a household or a small shop runs, on an Engine that tests may fill.
struct WholeStack {
    /// Where a copy of it stands.
    struct Copy {
        var prefix: String
        var port: Int
        var root: String
    }

    /// All that must be the same.
    struct State: Equatable {
        var answer: String
        var shop: String
        var wiki: String
        var files: TreeFingerprint
        var configuration: TreeFingerprint
        var running: [String]
    }

    let docker: DockerStack
    let scratch: TemporaryDirectory
    private let ownPort: Int
    /// Set for a copy of the stack, which is looked at in the same ways.
    var copy: Copy?
    var port: Int { copy?.port ?? ownPort }
    var api: String { name("api") }
    var proxy: String { name("proxy") }
    var www: String { name("www") }
    var project: String { name("jobs") }
    var proxyDirectory: String { (copy?.root ?? "") + scratch.path("proxy") }

    init(in scratch: TemporaryDirectory) throws {
        self.scratch = scratch
        docker = try DockerStack(in: scratch)
        ownPort = try unusedPort()
    }

    func name(_ suffix: String) -> String { (copy?.prefix ?? "") + docker.name(suffix) }

    var configuration: String {
        func database(_ name: String, _ query: String) -> String {
            """
              \(name)-db:
                docker: {container: \(self.name(name + "-db"))}
                postgres: {container: \(self.name(name + "-db"))}
                check: {sql: "\(query)", database: \(name)}
            """
        }
        return """
            repository: repository
            objectives: {rto: 10m, rpo: 1h}
            services:
              proxy:
                docker: {container: \(proxy)}
                after: [api]
                check: {http: "http://127.0.0.1:\(port)/cgi-bin/figures", body: "500 2000"}
              api:
                docker: {container: \(api)}
                after: [shop-db, wiki-db, cache]
                check: {container: \(api)}
            \(database("shop", "SELECT count(*) = 500 FROM purchase"))
            \(database("wiki", "SELECT count(*) FROM page"))
              jobs:
                docker: {project: \(project)}
                after: [api]
              cache:
                docker: {container: \(name("cache"))}

            """
    }

    func start() async throws {
        try await docker.docker("network", "create", name("net"))
        try await docker.docker("volume", "create", www)
        try await database("shop", Self.shop)
        try await database("wiki", Self.wiki)
        let image = try #require(TestEnvironment.postgresImage)
        let busybox = try #require(TestEnvironment.busyboxImage)
        try await docker.docker(
            "run", "-d", "--name", name("cache"), "--network", name("net"), "-v",
            "\(name("cached")):/cache", "--stop-timeout", "1", busybox, "sleep", "100000")
        try await docker.docker(
            "create", "--name", api, "--network", name("net"), "--network-alias", "api",
            "-e", "PGPASSWORD=swordfish", "-v", "\(www):/www", "--entrypoint", "busybox", image,
            "httpd", "-f", "-p", "80", "-h", "/www")
        let place = try await docker.mountPoint(of: www)
        var maker = TreeMaker(seed: TestEnvironment.seed)
        try maker.make(at: "\(place)/tree", entries: 60)
        try await put(Self.program, at: "\(place)/cgi-bin/figures", mode: "755")
        try await docker.docker("start", api)
        try await put(Self.proxyProgram, at: "\(proxyDirectory)/cgi-bin/figures", mode: "755")
        try await docker.docker(
            "run", "-d", "--name", proxy, "--network", name("net"), "-p", "127.0.0.1:\(port):80",
            "-v", "\(proxyDirectory):/www:ro", "--restart", "unless-stopped", busybox, "httpd",
            "-f", "-p", "80", "-h", "/www")
        try await docker.docker(
            "run", "-d", "--name", "\(project)-worker-1", "--network", name("net"),
            "-l", "com.docker.compose.project=\(project)",
            "-l", "com.docker.compose.service=worker", "-v", "\(name("spool")):/spool",
            "--stop-timeout", "1",
            busybox,
            "sleep", "100000")
    }

    private func database(_ suffix: String, _ schema: String) async throws {
        try await docker.startDatabase(
            suffix, as: name("\(suffix)-db"), on: name("net"), volume: name(suffix + "-data"),
            schema: schema)
    }

    private func put(_ text: String, at path: String, mode: String) async throws {
        try await docker.put(text, at: path, mode: mode)
    }

    private static let shop = """
        CREATE EXTENSION pg_trgm;
        CREATE TABLE purchase (id bigserial PRIMARY KEY, owner text, cents int);
        INSERT INTO purchase (owner, cents) SELECT 'customer ' || i, i FROM generate_series(1, 500) i;
        ALTER TABLE purchase ENABLE ROW LEVEL SECURITY;
        CREATE ROLE clerk LOGIN PASSWORD 'verifier';
        CREATE POLICY own ON purchase TO clerk USING (owner = current_user);
        GRANT SELECT ON purchase TO clerk;
        SELECT lo_from_bytea(4711, decode(repeat('c0ffee', 5000), 'hex'));
        """
    private static let wiki = """
        CREATE TABLE page (id serial PRIMARY KEY, body text);
        INSERT INTO page (body) SELECT repeat('page ' || i || ' ', 20) FROM generate_series(1, 2000) i;
        CREATE ROLE editor NOLOGIN;
        ALTER TABLE page OWNER TO editor;
        """
    private static let program = """
        #!/bin/sh
        ask() { psql -h "$1-db" -U postgres -d "$1" -Atc "SELECT count(*) FROM $2"; }
        shop=$(ask shop purchase) && wiki=$(ask wiki page) || {
            printf 'Status: 503 Unavailable\\r\\n\\r\\n'
            exit
        }
        printf 'Content-Type: text/plain\\r\\n\\r\\nfigures %s %s\\n' "$shop" "$wiki"

        """

    private static let proxyProgram = """
        #!/bin/sh
        page=$(wget -qO- http://api/cgi-bin/figures) || {
            printf 'Status: 502 Bad Gateway\\r\\n\\r\\n'
            exit
        }
        printf 'Content-Type: text/plain\\r\\n\\r\\n%s\\n' "$page"

        """

    /// As an intruder or an upgrade leaves it.
    func spoil() async throws {
        let place = try await docker.mountPoint(of: www)
        try await put("spoilt\n", at: "\(place)/spoilt", mode: "600")
        try await put("spoilt\n", at: "\(proxyDirectory)/cgi-bin/figures", mode: "600")
        try await docker.docker(
            "exec", name("shop-db"), "env", "PGPASSWORD=swordfish", "psql", "-h", "127.0.0.1", "-U",
            "postgres", "-d", "shop", "-c", "DROP TABLE purchase")
    }

    func state() async throws -> State {
        State(
            answer: try await answer(),
            shop: try await rows(
                "shop",
                """
                SELECT count(*), md5(string_agg(p::text, ';' ORDER BY id)) FROM purchase p
                UNION ALL SELECT last_value, '' FROM purchase_id_seq
                UNION ALL SELECT 0, rolpassword FROM pg_authid WHERE rolname = 'clerk'
                UNION ALL SELECT 0, relacl::text || relrowsecurity FROM pg_class
                    WHERE relname = 'purchase'
                UNION ALL SELECT 0, polname || pg_get_expr(polqual, polrelid) FROM pg_policy
                UNION ALL SELECT 0, extname FROM pg_extension WHERE extname = 'pg_trgm'
                UNION ALL SELECT 0, md5(lo_get(4711))
                """),
            wiki: try await rows(
                "wiki",
                """
                SELECT count(*), md5(string_agg(p::text, ';' ORDER BY id)) FROM page p
                UNION ALL SELECT 0, pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'page'
                """),
            files: try TreeFingerprint(of: try await docker.mountPoint(of: www)),
            configuration: try TreeFingerprint(of: proxyDirectory),
            running: try await docker.docker("ps", "--format", "{{.Names}}").split(separator: "\n")
                .filter { $0.hasPrefix(name("")) }.map { String($0.dropFirst(name("").count)) }
                .sorted())
    }

    func inventory() async throws -> [String] { try await docker.inventory(of: name("")) }

    func rows(_ database: String, _ query: String) async throws -> String {
        try await docker.rows(query, of: database, in: name("\(database)-db"))
    }

    /// The page as a browser gets it through the proxy, without what changes by itself.
    func answer() async throws -> String {
        try await docker.answer("http://127.0.0.1:\(port)/cgi-bin/figures")
    }
}
