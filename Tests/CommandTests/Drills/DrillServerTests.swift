import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// A server of the machine that only an address names: a drill makes one of its own.
@Suite(
    "Drills of a PostgreSQL server of the machine",
    .enabled(if: TestEnvironment.hasPostgres, "needs PostgreSQL's server programs"))
struct DrillServerTests {
    @Test("Its databases come back in a scratch server; the living one is not touched")
    func scratchServer() async throws {
        try await TemporaryDirectory.with("drill-pg") { scratch in
            let server = try await TemporaryPostgres(in: scratch)
            try await server.sql("CREATE DATABASE shop")
            try await server.sql(
                """
                CREATE TABLE purchase (id bigserial PRIMARY KEY, cents int);
                INSERT INTO purchase (cents) SELECT i FROM generate_series(1, 5000) i;
                """, database: "shop")
            try scratch.makeDirectory("d")
            chmod(scratch.path("d"), 0o755)
            try scratch.makeDirectory("files")
            try scratch.write("files/one", "content that is compared\n")
            func configure(_ assertion: String) throws {
                try scratch.write(
                    "dr.yaml",
                    """
                    repository: repository
                    drill: {directory: d, every: 30d}
                    services:
                      shop-db:
                        postgres: {url: "\(server.uri)"}
                        check: {sql: "SELECT count(*) = 5000 FROM purchase", database: shop}
                        drill: {sql: "\(assertion)", database: shop, timeout: 1s}
                      site: {files: [files], after: [shop-db]}

                    """)
            }
            try configure("SELECT max(id) = 5000 FROM purchase")
            var dr = try DrBinary(in: scratch)
            // PostgreSQL's programs, which run as another user, want to write there.
            dr.environment["TMPDIR"] = "/tmp"
            try await dr.initializeWithKey()
            try require(await dr.run("backup", "--quiet"), endsWith: .done)
            try require(
                await dr.run("status"), endsWith: .failed, saying: "last drill: none that passed")
            // What lives goes on; the drill looks at the state that was saved.
            try await server.sql("INSERT INTO purchase (cents) VALUES (1)", database: "shop")
            try require(
                await dr.run("drill", "--yes"), endsWith: .done, saying: "passed", "5000 rows")
            #expect(
                try await server.sql("SELECT count(*) FROM purchase", database: "shop") == "5001")
            let names = try await server.sql(
                "SELECT string_agg(datname, ' ' ORDER BY datname::text COLLATE \"C\") FROM pg_database"
            )
            #expect(names == "postgres shop template0 template1")
            #expect(try await OutsideProgram.run(["ls", "-A", scratch.path("d")]).text == "")
            try require(await dr.run("status"), endsWith: .done, saying: "last drill today, passed")

            try configure("SELECT count(*) > 1000000 FROM purchase")
            try require(
                await dr.run("drill", "--yes"), endsWith: .verificationFailed,
                saying: "assertion", "1000000")
            #expect(try await OutsideProgram.run(["ls", "-A", scratch.path("d")]).text == "")

            // One page for auditors, and for a ticket.
            let list = try await dr.run("report", "--list").text
            let run = try #require(list.split(separator: "\n").first { $0.contains(" drill ") })
            let id = String(run.prefix { $0 != " " })
            for title in [
                "Identity", "Scenario", "Inputs", "Objectives", "Timeline", "Results",
                "Verification", "Deviations", "Cleanup", "Corrective actions", "Trend",
                "Attestation",
            ] {
                try require(
                    await dr.run("report", id, "--format", "markdown"), endsWith: .done,
                    saying: "## \(title)\n")
                try require(
                    await dr.run("report", id, "--format", "html"), endsWith: .done,
                    saying: "<h2>\(title)</h2>")
            }
        }
    }
}
