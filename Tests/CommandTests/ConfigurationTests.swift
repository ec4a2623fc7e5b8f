import Model
import Testing

@testable import dr

@Suite("dr.yaml, understood")
struct ConfigurationTests {
    @Test("What people do by hand, and what a database is asked")
    func manualStepsAndQueries() throws {
        let text = """
            repository: /srv/dr
            services:
              shop:
                postgres: {container: shop-db}
                check: {sql: "SELECT count(*) FROM customer", database: shop}
                manual:
                  - {message: "plug in the disk", when: before}
                  - {message: "let shop.example.org point here"}
            """
        let shop = try #require(try ConfigurationFixture.read(text).services.last)
        #expect(
            shop.checks.map(\.kind)
                == [
                    .sql(
                        query: "SELECT count(*) FROM customer", database: "shop", service: "shop")
                ])
        #expect(
            shop.manual
                == [
                    ManualStep("plug in the disk", .before),
                    ManualStep("let shop.example.org point here", .after),
                ])
        let files = text.replacing("postgres: {container: shop-db}", with: "files: [/srv]")
        #expect(
            ConfigurationFixture.complaints(files).map { $0.split(separator: "|")[0] }
                == [
                    "dr.yaml:5:12: services.shop.check.sql asks a PostgreSQL server, and the"
                        + " service has none "
                ])
    }

    @Test("Everything that can be configured arrives as it was meant")
    func everything() throws {
        let configuration = try ConfigurationFixture.read(
            """
            repository: /srv/dr
            catalog: state
            objectives: {rto: 1h, rpo: 24h}
            retention: {last: 1, daily: 7, weekly: 4, monthly: 12, yearly: 2, within: 48h}
            docker: {host: "unix:///run/docker.sock"}
            compression: {level: 9}
            services:
              umami-db:
                postgres:
                  container: umami-db
                  databases: [umami, 2024]
                  user: postgres
                  password_command: pass show 'umami db'
                rto: 15m
              umami:
                docker: {container: umami, image: save, exclude: [/cache], consistency: stop}
                after: umami-db
                check:
                  - {http: "http://127.0.0.1:3000/api", expect: 204, body: ok, timeout: 5m}
                  - {tcp: "[::1]:3000"}
                  - {command: [systemctl, is-active, umami]}
                  - {container: umami}
                group: stats
              site:
                files: {paths: [www, /etc/caddy], exclude: "**/cache", one_file_system: false}
                sqlite: [a.db, /srv/b.db]
                command: {name: ldap, capture: [slapcat], restore: slapadd -n 1}
                consistency: pause
                allow_empty: true
                retention: {last: 3, within: 14d}
            """)
        #expect(configuration.repository == "/srv/dr")
        #expect(configuration.catalog == "/etc/dr/state")
        #expect(
            configuration.objectives
                == Objectives(rto: TimeSpan(seconds: 3600), rpo: TimeSpan(seconds: 86400)))
        #expect(
            configuration.retention
                == RetentionPolicy(
                    last: 1, daily: 7, weekly: 4, monthly: 12, yearly: 2,
                    within: TimeSpan(seconds: 172_800)))
        #expect(configuration.dockerHost == "unix:///run/docker.sock")
        #expect(configuration.compressionLevel == 9)

        var database = Service(
            name: "umami-db",
            workloads: [
                .postgres(
                    PostgresSpecification(
                        server: .container("umami-db", engine: nil),
                        databases: ["umami", "2024"], user: "postgres",
                        password: .command(["pass", "show", "umami db"])))
            ])
        database.objectives = Objectives(
            rto: TimeSpan(seconds: 900), rpo: TimeSpan(seconds: 86400))
        var umami = Service(
            name: "umami",
            workloads: [
                .docker(
                    DockerSpecification(
                        subject: .container("umami"), image: .save, excludedMounts: ["/cache"]))
            ])
        umami.after = ["umami-db"]
        umami.checks = [
            CheckSpecification(
                .http(url: "http://127.0.0.1:3000/api", status: 204, body: "ok"),
                timeout: TimeSpan(seconds: 300)),
            CheckSpecification(.tcp(host: "::1", port: 3000)),
            CheckSpecification(.command(["systemctl", "is-active", "umami"])),
            CheckSpecification(.container("umami")),
        ]
        umami.objectives = configuration.objectives
        umami.consistency = .stop
        umami.group = "stats"
        var site = Service(
            name: "site",
            workloads: [
                .files(
                    FilesSpecification(
                        paths: ["/etc/dr/www", "/etc/caddy"], exclude: ["**/cache"],
                        oneFileSystem: false)),
                .sqlite(SQLiteSpecification(path: "/etc/dr/a.db")),
                .sqlite(SQLiteSpecification(path: "/srv/b.db")),
                .command(
                    CommandSpecification(
                        name: "ldap", capture: ["slapcat"], restore: ["slapadd", "-n", "1"])),
            ])
        site.objectives = configuration.objectives
        site.consistency = .pause
        site.allowEmpty = true
        site.retention = RetentionPolicy(last: 3, within: TimeSpan(seconds: 14 * 86400))
        #expect(configuration.services == [database, umami, site])
    }

    @Test("Each kind of data may be on a machine of its own, and come back elsewhere there")
    func machines() throws {
        let host = "ssh://root@nas.example.org"
        let configuration = try ConfigurationFixture.read(
            """
            repository: /r
            docker: {host: "ssh://root@web.example.org"}
            services:
              shop:
                docker: {container: shop, host: "\(host)/run/docker.sock"}
                postgres: {url: "postgresql://postgres@/shop", host: "\(host)"}
                files: {paths: [/srv/www], restore_to: /srv/back, host: "\(host)"}
                command: {capture: slapcat, host: "\(host)"}
              db: {postgres: {container: db, host: "\(host)"}}
              wiki: {mariadb: {container: wiki, host: "\(host)"}}
              forum: {mariadb: {address: localhost, host: "\(host)"}}
            """)
        var files = FilesSpecification(paths: ["/srv/www"], host: host)
        files.restoreTo = "/srv/back"
        #expect(
            configuration.services.map(\.workloads)
                == [
                    [
                        .docker(
                            DockerSpecification(
                                subject: .container("shop"), engine: "\(host)/run/docker.sock")),
                        .postgres(
                            PostgresSpecification(
                                server: .url("postgresql://postgres@/shop"), host: host)),
                        .files(files),
                        .command(
                            CommandSpecification(
                                name: "command", capture: ["slapcat"], host: host)),
                    ],
                    [.postgres(PostgresSpecification(server: .container("db", engine: host)))],
                    [.mariadb(MariaDBSpecification(server: .container("wiki", engine: host)))],
                    [.mariadb(MariaDBSpecification(server: .address("localhost"), host: host))],
                ])
        #expect(configuration.engine(ofContainer: "shop") == "\(host)/run/docker.sock")
        #expect(configuration.engine(ofContainer: "db") == host)
        #expect(configuration.engine(ofContainer: "other") == "ssh://root@web.example.org")
        var place = TargetPlace(name: "copy")
        place.prefix = "copy-"
        #expect(configuration.engine(ofContainer: "copy-db", at: place) == host)
        place.engine = "unix:///run/spare.sock"
        #expect(configuration.engine(ofContainer: "copy-db", at: place) == place.engine)
    }

    @Test("What is left out has the default that the reference names")
    func defaults() throws {
        let configuration = try ConfigurationFixture.read(
            "repository: ./here//there\nservices: {site: {files: [/srv/www]}}")
        #expect(configuration.repository == "/etc/dr/here/there")
        #expect(configuration.catalog == nil)
        #expect(configuration.dockerHost == nil)
        #expect(configuration.compressionLevel == 3)
        #expect(configuration.retention == RetentionPolicy())
        #expect(
            configuration.services
                == [Service(name: "site", workloads: [.files(.init(paths: ["/srv/www"]))])])
    }

    @Test("The repository of the command line stands in for a missing one and wins over another")
    func repositoryFromElsewhere() throws {
        for text in ["services: {}", "repository: /srv/other"] {
            let configuration = try ConfigurationFixture.read(text, repository: "/mnt/dr")
            #expect(configuration.repository == "/mnt/dr")
        }
    }

    @Test("An alias stands for the value it names")
    func alias() throws {
        let configuration = try ConfigurationFixture.read(
            """
            repository: /srv/dr
            services:
              a: {files: &paths [/srv/a, /srv/b]}
              b: {files: *paths}
            """)
        #expect(
            configuration.services.map(\.workloads)
                == Array(
                    repeating: [.files(.init(paths: ["/srv/a", "/srv/b"]))], count: 2))
    }

    @Test("A byte order mark and Windows line ends do no harm")
    func foreignEditors() throws {
        let text = "\u{FEFF}repository: /srv/dr\r\nservices:\r\n  a:\r\n    files: [/srv/a]\r\n"
        #expect(try ConfigurationFixture.read(text).services.count == 1)
    }

    @Test("What config show prints means the same as what was read")
    func shownAgain() throws {
        let text = ConfigurationReference.example.joined(separator: "\n")
        let first = try ConfigurationFixture.read(text)
        #expect(first.services.count == 4)
        let shown = ConfigurationDocument(configuration: first)
        #expect(try ConfigurationFixture.read(shown.yaml) == first)
        // JSON is YAML too.
        #expect(try ConfigurationFixture.read(shown.json.indented) == first)
    }

    @Test("Hosts and ports, with brackets and without")
    func hostsAndPorts() {
        func host(_ text: String) -> String? {
            TextRule.hostAndPort(text).map { "\($0.host) \($0.port)" }
        }
        #expect(host("db.example.org:5432") == "db.example.org 5432")
        #expect(host("[2001:db8::1]:80") == "2001:db8::1 80")
        for bad in ["db", "db:", ":80", "db:0", "db:65536", "2001:db8::1:80", "db:8o", "[db]:80"] {
            #expect(host(bad) == nil, "\(bad)")
        }
    }
}
