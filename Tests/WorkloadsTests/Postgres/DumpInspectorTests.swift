import Engine
import Model
import TestSupport
import Testing

@testable import Workloads

@Suite(.enabled(if: TestEnvironment.hasPostgres, "needs PostgreSQL's programs"))
struct DumpInspectorTests {
    @Test func aCutDumpIsNeverTakenForWhole() async throws {
        let dump = try await self.dump()
        var random = SeededRandom(seed: TestEnvironment.seed)
        print("seed \(TestEnvironment.seed), \(dump.count) bytes")

        guard case .whole(let content) = inspect(dump, &random) else {
            Issue.record("the whole dump is not taken for whole")
            return
        }
        #expect(content.rows[ProofKey(database: "d", schema: "public", name: "a")] == 3000)
        #expect(content.rows[ProofKey(database: "d", schema: "public", name: "z")] == 0)
        #expect(content.largeObjects == 1)
        // One byte at a time reads the same.
        let inspector = DumpInspector(database: "d")
        for index in dump.indices {
            try dump[index...index].withUnsafeBytes { try inspector.observe($0) }
        }
        guard case .whole(let same) = inspector.verdict else {
            Issue.record("slices matter")
            return
        }
        #expect(same.rows == content.rows)

        let places =
            (0..<50).map { _ in Int.random(in: 0..<dump.count, using: &random) }
            + (1...300).map { dump.count - $0 } + Array(0..<64)
        for place in places {
            switch inspect(Array(dump.prefix(place)), &random) {
            case .truncated: break
            case .whole: Issue.record("cut at \(place) of \(dump.count) is taken for whole")
            case .unreadable(let reason): Issue.record("cut at \(place): \(reason)")
            }
        }
    }

    @Test func damageNeverEndsTheProcess() async throws {
        let dump = try await self.dump()
        var random = SeededRandom(seed: TestEnvironment.seed)
        print("seed \(TestEnvironment.seed)")
        // The beginning is where the structure is.
        for _ in 0..<300 {
            var damaged = Array(dump.prefix(20_000))
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                damaged[Int.random(in: 0..<damaged.count, using: &random)] =
                    [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &random) ?? 0
            }
            if case .whole = inspect(damaged, &random) { Issue.record("a cut dump is whole") }
        }
    }

    /// All that pg_restore needs to list an archive, and to make what has no data.
    @Test func theTableOfContentsEndsWhereDataBegins() async throws {
        let dump = try await self.dump()
        var random = SeededRandom.announced()
        func contents(of bytes: [UInt8]) -> [UInt8]? {
            let contents = ArchiveContents()
            var rest = bytes[...]
            while !rest.isEmpty {
                let slice = rest.prefix(Int.random(in: 1...2_000, using: &random))
                // What it throws is that it has enough.
                guard (try? slice.withUnsafeBytes { try contents.receive($0) }) != nil else {
                    break
                }
                rest = rest.dropFirst(slice.count)
            }
            return contents.whole
        }
        let whole = try #require(contents(of: dump))
        #expect(whole == Array(dump.prefix(whole.count)) && whole.count < dump.count)
        for _ in 0..<20 { #expect(contents(of: dump) == whole) }
        #expect(contents(of: Array(dump.prefix(whole.count - 1))) == nil)
        #expect(contents(of: Array("no archive".utf8) + dump) == nil)
        let bin = try #require(TestEnvironment.postgresBin)
        try await TemporaryDirectory.with("contents") { directory in
            func listed(_ bytes: [UInt8], _ name: String) async throws -> [Substring] {
                let path = try directory.write(name, bytes)
                let outcome = try await OutsideProgram.run([
                    bin + "/pg_restore", "--list", path,
                ])
                try #require(outcome.status == 0, "\(outcome)")
                return outcome.text.split(separator: "\n")
            }
            let expected = try await listed(dump, "dump")
            #expect(try await listed(whole, "head") == expected)
        }
    }

    @Test func whatIsNotUnderstoodProvesNothing() {
        var random = SeededRandom(seed: 1)
        for bytes in [
            Array("-- PostgreSQL database dump".utf8),
            Array("PGDMP".utf8) + [1, 99, 0, 4, 8, 1, 0],
        ] {
            if case .unreadable = inspect(bytes, &random) { continue }
            Issue.record("understood \(bytes)")
        }
        if case .truncated = inspect([], &random) {} else { Issue.record("nothing is something") }
    }

    @Test func readsSequencesAndKeys() {
        let called = SequenceValue(
            Array("SELECT pg_catalog.setval('public.\"a, 1)\"', -42, true);\n".utf8))
        #expect(called?.last == -42)
        #expect(called?.isCalled == true)
        #expect(SequenceValue(Array("SELECT 1".utf8)) == nil)
        for components in [["a", "b", "c"], ["a.b", "c\"d", "é"], ["", ".", "\"\""]] {
            let key = ProofKey(
                database: components[0], schema: components[1], name: components[2])
            #expect(ProofKey(key.text) == key, "\(key.text)")
        }
        #expect(ProofKey("a.b") == nil)
    }

    @Test func takesScriptsApart() {
        let script = """
            -- comment; with a semicolon
            \\restrict abc
            CREATE ROLE app;
            CREATE ROLE "o;dd ""x";
            ALTER ROLE app WITH PASSWORD 'a;''b';
            COMMENT ON ROLE app IS E'x\\';\\\\';
            SELECT 'a' || 'b\\';
            """
        let statements = SQLText.statements(script)
        #expect(statements.count == 5, "\(statements)")
        #expect(SQLText.name(after: "CREATE ROLE", in: statements[0]) == "app")
        #expect(SQLText.name(after: "CREATE ROLE", in: statements[1]) == "o;dd \"x")
        #expect(SQLText.name(after: "CREATE ROLE", in: statements[2]) == nil)
        #expect(
            DatabaseReplay.assignment("search_path=\"$user\", public, \"x y\"")
                == "\"search_path\" TO '$user', 'public', 'x y'")
    }

    @Test func readsAddresses() throws {
        let address = try PostgresAddress(
            uri: "postgresql://us%40er:p%3Aw@[::1]:5433,b.example.org/my%2Fdb?sslmode=require")
        #expect(
            address.environment == [
                "PGUSER": "us@er", "PGPASSWORD": "p:w", "PGHOST": "::1,b.example.org",
                "PGPORT": "5433,", "PGSSLMODE": "require",
            ])
        #expect(address.database == "my/db")
        #expect(!address.isSocket)
        let local = try PostgresAddress(uri: "postgresql://postgres@/postgres?host=/run/postgresql")
        #expect(local.isSocket)
        #expect(local.environment["PGHOST"] == "/run/postgresql")
        for bad in ["mysql://x", "postgresql://x?nonsense=1", "postgresql://%zz@h"] {
            #expect(throws: Failure.self) { try PostgresAddress(uri: bad) }
        }
    }

    /// Feeds a dump in slices of any size.
    private func inspect(_ bytes: [UInt8], _ random: inout SeededRandom) -> DumpInspector.Verdict {
        let inspector = DumpInspector(database: "d")
        var rest = bytes[...]
        while !rest.isEmpty {
            let slice = rest.prefix(Int.random(in: 1...70_000, using: &random))
            slice.withUnsafeBytes { try? inspector.observe($0) }
            rest = rest.dropFirst(slice.count)
        }
        return inspector.verdict
    }

    private func dump() async throws -> [UInt8] {
        try await TemporaryDirectory.with("pg") { directory in
            let server = try await TemporaryPostgres(in: directory)
            try await server.sql(
                """
                CREATE TABLE a AS SELECT i, repeat('y', i % 300) || E'\\n' AS t
                  FROM generate_series(1, 3000) i;
                CREATE TABLE b AS SELECT 1 AS x; CREATE TABLE z (q text);
                CREATE SEQUENCE s; SELECT lo_from_bytea(0, '\\x0001')
                """)
            let result = try await LocalPrograms().run(
                ProgramCall(
                    ["\(TestEnvironment.postgresBin ?? "")/pg_dump", "-Fc", "-Z0"],
                    environment: [
                        "PGHOST": server.socket, "PGUSER": TemporaryPostgres.superuser,
                        "PGDATABASE": "postgres",
                    ]))
            guard result.succeeded else { throw Failure(.failed, result.errorText) }
            return result.output
        }
    }
}
