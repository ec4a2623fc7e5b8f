import FoundationEssentials
import TestSupport
import Testing

/// The machine of `Runbooks/one-vps`, with its own `dr.yaml`, made of images that tests have: PostgreSQL
/// is the real one, busybox stands for whatever answers HTTP or only runs.
struct OneVPS {
    /// All that must be the same after a disaster.
    struct State: Equatable {
        var answers: [String]
        var umami: String
        var app: String
        var files: [TreeFingerprint]
        var images: [String]
        var running: [String]
    }

    let scratch: TemporaryDirectory
    let docker: DockerStack
    let port: Int
    private let busybox: String
    private let postgres: String

    init(in scratch: TemporaryDirectory) throws {
        self.scratch = scratch
        docker = try DockerStack(in: scratch)
        port = try unusedPort()
        busybox = try #require(TestEnvironment.busyboxImage)
        postgres = try #require(TestEnvironment.postgresImage)
    }

    func name(_ suffix: String) -> String { docker.name(suffix) }
    private var frontendImage: String { "\(docker.prefix)-frontend:latest" }
    private var trees: [String] {
        ["srv/www", "etc/caddy", "etc/vps", "opt/umami", "opt/app-api", "opt/frontend"]
            .map(scratch.path)
    }

    /// The published configuration, with the names and places of this test.
    func configuration() throws -> String {
        let path = Checkout.path("Runbooks/one-vps/dr.yaml")
        let text = try String(decoding: Data(contentsOf: URL(filePath: path)), as: UTF8.self)
        return text.split(separator: "\n", omittingEmptySubsequences: false)
            // Nobody is there to change the DNS.
            .filter { !$0.contains("manual:") && !$0.contains("message:") }
            .joined(separator: "\n")
            .replacing("vps-", with: "\(docker.prefix)-")
            .replacing("127.0.0.1:80/", with: "127.0.0.1:\(port)/")
            .replacing("/mnt/backup", with: scratch.path("mnt/backup"))
            .replacing("/etc/vps", with: scratch.path("etc/vps"))
            .replacing("drill: {every: 90d}", with: "drill: {every: 90d, directory: drills}")
    }

    func build() async throws {
        for directory in ["mnt/backup", "drills"] { try scratch.makeDirectory(directory) }
        try await docker.docker("network", "create", name("net"))
        try await docker.startDatabase(
            "umami", as: name("umami-db"), on: name("net"), volume: name("umami-data"),
            schema: """
                CREATE TABLE website_event (id bigserial PRIMARY KEY, url text);
                INSERT INTO website_event (url) SELECT '/' || i FROM generate_series(1, 3000) i;
                """)
        try await docker.startDatabase(
            "app", as: name("app-db"), on: name("net"), volume: name("app-data"),
            schema: """
                CREATE TABLE purchase (id bigserial PRIMARY KEY, cents int);
                INSERT INTO purchase (cents) SELECT i FROM generate_series(1, 1000) i;
                """)
        try await reader("umami", "umami", "events", "website_event")
        try await reader("app-api", "app", "purchases", "purchase")
        try await docker.docker("tag", busybox, frontendImage)
        try await startFrontend()
        for path in ["srv/www/index.html", "etc/caddy/Caddyfile", "etc/vps/app.env"] {
            try await docker.put("hello from \(path)\n", at: scratch.path(path), mode: "644")
        }
        var maker = TreeMaker(seed: TestEnvironment.seed)
        try maker.make(at: scratch.path("srv/www/tree"), entries: 40)
        try await page("app", from: "app-frontend", "app")
        try await page("stats", from: "umami", "figures")
        try await run(
            "caddy", busybox, "httpd", "-f", "-p", "80", "-h", "/srv/www",
            with: [
                "-p", "127.0.0.1:\(port):80", "-v", "\(scratch.path("srv/www")):/srv/www:ro", "-v",
                "\(scratch.path("etc/caddy")):/etc/caddy:ro", "-v",
                "\(name("caddy-data")):/data",
            ])
        let certificates = try await docker.mountPoint(of: name("caddy-data"))
        try await docker.put("a private key\n", at: "\(certificates)/key.pem", mode: "600")
        let socket = try #require(TestEnvironment.dockerHost).dropFirst("unix://".count)
        let manages = ["-v", "\(socket):/var/run/docker.sock"]
        try await run(
            "portainer", busybox, "sleep", "100000",
            with: manages + ["-v", "\(name("portainer-data")):/data"])
        try await run("watchtower", busybox, "sleep", "100000", with: manages)
        let data = try await docker.mountPoint(of: name("portainer-data"))
        try await docker.put("portainer's own\n", at: "\(data)/portainer.db", mode: "600")
    }

    private func run(
        _ suffix: String, _ image: String, _ command: String..., with options: [String] = []
    ) async throws {
        try await docker.docker(
            ["run", "-d", "--name", name(suffix), "--network", name("net"), "--network-alias"]
                + [suffix, "--restart", "unless-stopped", "--stop-timeout", "1"]
                + ["-l", "com.docker.compose.project=\(docker.prefix)-vps"]
                + ["-l", "com.docker.compose.service=\(suffix)"] + options + [image] + command)
    }

    /// A program that answers with a count out of its database.
    private func reader(
        _ suffix: String, _ database: String, _ word: String, _ table: String
    ) async throws {
        let program = """
            #!/bin/sh
            rows=$(psql -h \(database)-db -U postgres -d \(database) -Atc 'SELECT count(*) FROM \(table)') || {
                printf 'Status: 503 Unavailable\\r\\n\\r\\n'
                exit
            }
            printf 'Content-Type: text/plain\\r\\n\\r\\n%s \(word)\\n' "$rows"

            """
        let directory = scratch.path("opt/\(suffix)")
        try await docker.put(program, at: "\(directory)/cgi-bin/figures", mode: "755")
        try await run(
            suffix, postgres, "httpd", "-f", "-p", "80", "-h", "/www",
            with: [
                "-e", "PGPASSWORD=swordfish", "-v", "\(directory):/www:ro", "--entrypoint",
                "busybox",
            ])
    }

    private func startFrontend() async throws {
        let page = """
            #!/bin/sh
            figures=$(wget -qO- http://app-api/cgi-bin/figures) || {
                printf 'Status: 502 Bad Gateway\\r\\n\\r\\n'
                exit
            }
            printf 'Content-Type: text/plain\\r\\n\\r\\nshop: %s\\n' "$figures"

            """
        let directory = scratch.path("opt/frontend")
        try await docker.put(page, at: "\(directory)/cgi-bin/app", mode: "755")
        try await run(
            "app-frontend", frontendImage, "httpd", "-f", "-p", "80", "-h", "/www",
            with: ["-v", "\(directory):/www:ro"])
    }

    /// A page of the proxy that comes from another container.
    private func page(_ name: String, from other: String, _ page: String) async throws {
        let program = """
            #!/bin/sh
            body=$(wget -qO- http://\(other)/cgi-bin/\(page)) || {
                printf 'Status: 502 Bad Gateway\\r\\n\\r\\n'
                exit
            }
            printf 'Content-Type: text/plain\\r\\n\\r\\n%s\\n' "$body"

            """
        try await docker.put(program, at: scratch.path("srv/www/cgi-bin/\(name)"), mode: "755")
    }

    /// A day goes by: rows, files and certificates change.
    func live(day: Int) async throws {
        _ = try await docker.rows(
            "INSERT INTO purchase (cents) SELECT \(day) FROM generate_series(1, 10)", of: "app",
            in: name("app-db"))
        _ = try await docker.rows(
            "INSERT INTO website_event (url) VALUES ('/day/\(day)')", of: "umami",
            in: name("umami-db"))
        try await docker.put("day \(day)\n", at: scratch.path("srv/www/day.html"), mode: "644")
        let certificates = try await docker.mountPoint(of: name("caddy-data"))
        try await docker.put("renewed \(day)\n", at: "\(certificates)/key.pem", mode: "600")
    }

    /// As Watchtower does it: another image under the old name, the container made anew of it.
    func update() async throws {
        try await docker.docker(
            "commit", "-m", "an update", name("app-frontend"), frontendImage)
        try await docker.docker("rm", "-f", name("app-frontend"))
        try await startFrontend()
    }

    /// Everything of it is gone, also the image that only this machine had.
    func destroy() async throws {
        await docker.removeEverything()
        try await docker.docker("rmi", "-f", frontendImage)
        for directory in ["srv", "etc", "opt"] {
            _ = try await OutsideProgram.run(["rm", "-rf", scratch.path(directory)])
        }
    }

    func state() async throws -> State {
        let volumes = [name("caddy-data"), name("portainer-data")]
        var places = trees
        for volume in volumes { places.append(try await docker.mountPoint(of: volume)) }
        return State(
            answers: [
                try await docker.answer("http://127.0.0.1:\(port)/index.html"),
                try await docker.answer("http://127.0.0.1:\(port)/cgi-bin/app"),
                try await docker.answer("http://127.0.0.1:\(port)/cgi-bin/stats"),
            ],
            umami: try await docker.rows(
                "SELECT count(*), md5(string_agg(e::text, ';' ORDER BY id)) FROM website_event e",
                of: "umami", in: name("umami-db")),
            app: try await docker.rows(
                """
                SELECT count(*), md5(string_agg(p::text, ';' ORDER BY id)) FROM purchase p
                UNION ALL SELECT last_value, '' FROM purchase_id_seq
                """, of: "app", in: name("app-db")),
            files: try places.map { try TreeFingerprint(of: $0) },
            images: try await docker.docker(
                "inspect", "--format", "{{.Image}}", name("app-frontend"), name("caddy"),
                name("app-db")
            ).split(separator: "\n").map(String.init),
            running: try await docker.docker("ps", "--format", "{{.Names}}").split(separator: "\n")
                .map(String.init).filter { $0.hasPrefix(docker.prefix) }.sorted())
    }
}
