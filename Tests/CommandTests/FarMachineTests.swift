import Glibc
import Model
import TestSupport
import Testing

/// Files, programs and databases of a machine that ssh reaches: an sshd on loopback.
@Suite("dr backup, of another machine", .enabled(if: TemporarySSHServer.isPossible, "needs sshd"))
struct FarMachineTests: CommandSuite {
    /// A tar for the other machine that waits while it reads, until `fixed` is there.
    static func slowTar(in scratch: TemporaryDirectory) throws -> String {
        let directory = try scratch.makeDirectory("bin")
        try scratch.write(
            "bin/tar",
            """
            #!/bin/sh
            case $1 in --create)
              test -e \(scratch.path)/fixed || { touch \(scratch.path)/begun; sleep 600; };;
            esac
            exec /usr/bin/tar "$@"
            """)
        chmod(scratch.path("bin/tar"), 0o755)
        return directory
    }

    private func with(
        slow: Bool = false,
        _ body: (NightWorld, _ host: String, TemporarySSHServer) async throws -> Void
    ) async throws {
        try await NightWorld.with { world in
            var world = world
            let programs = slow ? try Self.slowTar(in: world.scratch) : nil
            let server = try await TemporarySSHServer(in: world.scratch, programs: programs)
            world.dr.environment["DR_SSH_COMMAND"] = server.command
            try await body(world, "ssh://root@127.0.0.1:\(server.port)", server)
        }
    }

    @Test("Files and the output of programs come back there with all that is theirs")
    func filesAndCommands() async throws {
        try await with { world, host, _ in
            let (scratch, dr) = (world.scratch, world.dr)
            let tree = scratch.path("far/tree")
            _ = try scratch.makeDirectory("far")
            // GNU tar stands between: what it cannot carry is no part of the test.
            var maker = TreeMaker()
            try maker.make(at: tree, entries: 60)
            try await shell(
                """
                find far/tree -type s -delete; mkdir far/tree/cache; echo x >far/tree/cache/x
                touch -d 2001-01-01 far/tree/cache
                echo alone >far/alone; chmod 640 far/alone; setfattr -n user.k -v v far/alone
                echo rows >far/rows; touch -d '2001-02-03 04:05:06.789' far/alone
                """, in: scratch)
            try scratch.write(
                "dr.yaml",
                """
                repository: repo
                services:
                  site:
                    files:
                      paths: [\(tree), \(scratch.path("far/alone"))]
                      exclude: ["\(tree)/cache/**"]
                      host: \(host)
                  rows:
                    command:
                      capture: [sh, -c, 'cat "$0"; echo "$SSH_CONNECTION" >&2', \(scratch.path("far/rows"))]
                      restore: [sh, -c, 'cat >"$0"', \(scratch.path("far/rows"))]
                      host: \(host)
                """)
            expect(try await dr.run("backup"), .done, "2 of 2 saved")
            expect(try await dr.run("doctor"), .done, "127.0.0.1", "answers")
            try await shell("rm far/tree/cache/x; touch -d 2001-01-01 far/tree/cache", in: scratch)
            let was = try TreeFingerprint(of: tree)
            let alone = try TreeFingerprint(of: scratch.path("far/alone"))

            // It is no path of this machine.
            expect(
                try await dr.run(
                    "restore", "site@latest:\(scratch.path("far/alone"))", "--to", "here", "--yes"),
                .usage, "was captured on ssh://")
            // What is there stays there.
            let taken = try await dr.run("restore", "site", "--to", "here", "--yes")
            #expect(
                taken.status != 0 && (taken.text + taken.errorText).contains("exists"), "\(taken)")
            #expect(try TreeFingerprint(of: tree) == was)

            try await shell("mv far/tree far/old; rm far/alone far/rows", in: scratch)
            expect(try await dr.run("restore", "site", "rows", "--to", "here", "--yes"), .done)
            #expect(try TreeFingerprint(of: tree).differences(from: was, limit: 9) == [])
            #expect(try TreeFingerprint(of: scratch.path("far/alone")) == alone)
            let rows = try await OutsideProgram.run(["cat", scratch.path("far/rows")])
            #expect(rows.text == "rows\n")

            // Replaced, it is moved aside.
            try await shell("rm -r far/old; touch far/tree/newer", in: scratch)
            expect(
                try await dr.run("restore", "site", "--to", "here", "--yes", "--replace"), .done,
                "what was there is now")
            #expect(try TreeFingerprint(of: tree).differences(from: was, limit: 9) == [])
            try await shell(
                "ls far/tree_before_*/newer; test -z \"$(find far -name '.*restoring')\"",
                in: scratch)
            // And into a directory of this machine.
            expect(try await dr.run("restore", "site", "--to", "./back", "--yes"), .done)
            let copy = try await OutsideProgram.run(
                ["find", scratch.path("back"), "-name", "alone", "-exec", "cat", "{}", ";"])
            #expect(copy.text == "alone\n")
            try await shell("test -z \"$(ls -d .dr-fetch-* 2>/dev/null)\"", in: scratch)
        }
    }

    @Test("A connection that is cut fails its service alone; the next night recovers and says so")
    func cut() async throws {
        try await with(slow: true) { world, host, server in
            let (scratch, dr) = (world.scratch, world.dr)
            try await shell("mkdir far; seq 1000 >far/numbers", in: scratch)
            try scratch.write(
                "dr.yaml",
                """
                repository: repo
                backup: {attempts: 1, jobs: 4, jobs_per_host: 4}
                services:
                  site: {files: {paths: [\(scratch.path("far"))], host: "\(host)"}}
                  talk:
                    command:
                      capture: [sh, -c, 'test -e "$0" || { echo half; sleep 600; }; echo whole', \(scratch.path("fixed"))]
                      host: "\(host)"
                  safe: {command: {capture: echo x}}
                """)
            let running = try dr.start("backup")
            try await wait(for: "begun", in: scratch)
            await server.cutConnections()
            let bad = try await running.outcome()
            expect(
                bad, .partial, "1 of 3 saved", "site/files:files: failed:",
                "talk/command:command: failed:", "the connection was lost", "hint: try it by hand")
            #expect(bad.elapsed < .seconds(60), "\(bad)")
            // Half of what was said is no snapshot.
            #expect(try await !dr.run("snapshots", "talk").text.contains("talk/command"))
            try await shell("test -z \"$(ls -d .dr-fetch-* 2>/dev/null)\"", in: scratch)

            try scratch.write("fixed", "")
            expect(
                try await dr.run("backup"), .done, "3 of 3 saved", "site/files:files: recovered",
                "talk/command:command: recovered")
        }
    }

    @Test(
        "A PostgreSQL server is dumped and loaded by the client programs of its machine",
        .enabled(if: TestEnvironment.hasPostgres, "needs PostgreSQL"))
    func postgres() async throws {
        try await with { world, host, _ in
            let (scratch, dr) = (world.scratch, world.dr)
            let password = "planted-far-8Hq2"
            let server = try await TemporaryPostgres(in: scratch, password: password)
            try await server.sql("CREATE DATABASE shop", password: password)
            try await server.sql(
                "CREATE TABLE t AS SELECT generate_series(1, 3000) AS n", database: "shop",
                password: password)
            try scratch.write(
                "dr.yaml",
                """
                repository: repo
                services:
                  db: {postgres: {url: "\(server.uri)", host: "\(host)", password_env: PLANTED, databases: [shop]}}
                """)
            let secret = ["PLANTED": password]
            let saved = try await dr.run("backup", "-v", environment: secret)
            expect(saved, .done, "1 of 1 saved")
            #expect(!(saved.text + saved.errorText).contains(password))
            try await server.sql("DROP DATABASE shop", password: password)
            expect(
                try await dr.run("restore", "db", "--to", "here", "--yes", environment: secret),
                .done)
            let rows = try await server.sql(
                "SELECT count(*), sum(n) FROM t", database: "shop", password: password)
            #expect(rows == "3000|4501500")
        }
    }

    @Test(
        "A MariaDB server is dumped and loaded by the client programs of its machine",
        .enabled(if: TestEnvironment.hasMariaDB, "needs MariaDB's server"))
    func mariadb() async throws {
        try await with { world, host, _ in
            let (scratch, dr) = (world.scratch, world.dr)
            let password = "planted-far-3Wd7"
            let server = try await TemporaryMariaDB(in: scratch, password: password)
            try await server.sql(
                "CREATE DATABASE shop; CREATE TABLE shop.t AS SELECT seq FROM shop.seq_1_to_3000",
                password: password)
            try scratch.write(
                "dr.yaml",
                """
                repository: repo
                services:
                  db: {mariadb: {address: "\(server.socket)", host: "\(host)", password_env: PLANTED, databases: shop}}
                """)
            let secret = ["PLANTED": password]
            let saved = try await dr.run("backup", "-v", environment: secret)
            expect(saved, .done, "1 of 1 saved")
            #expect(!(saved.text + saved.errorText).contains(password))
            expect(try await dr.run("doctor", environment: secret), .done, "answers")
            try await server.sql("DROP DATABASE shop", password: password)
            expect(
                try await dr.run("restore", "db", "--to", "here", "--yes", environment: secret),
                .done)
            let rows = try await server.sql(
                "SELECT count(*), sum(seq) FROM t", database: "shop", password: password)
            #expect(rows == "3000\t4501500")
        }
    }
}
