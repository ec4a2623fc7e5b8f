import Catalog
import Model
import TestSupport
import Testing

@Suite struct DatabaseTests {
    @Test func valuesComeBackAsTheyWere() async throws {
        try await TemporaryDirectory.with { scratch in
            let database = try Database(scratch.path + "/a.sqlite")
            try database.execute("CREATE TABLE t (a, b, c, d, e)")
            let insert = try database.prepare("INSERT INTO t VALUES (?, ?, ?, ?, ?)")
            let bytes: [UInt8] = [0, 255, 0, 1]
            try bytes.withUnsafeBytes { buffer in
                insert.bind(Int64.min, at: 1)
                insert.bind(0.1, at: 2)
                insert.bind("nul \0 and ü", at: 3)
                insert.bindStatic(buffer, at: 4)
                insert.bindNull(at: 5)
                try insert.run()
            }
            insert.bind("", at: 3)
            insert.bind([UInt8](), at: 4)
            try insert.run()
            let select = try database.prepare("SELECT * FROM t ORDER BY rowid")
            #expect(try select.step())
            #expect(select.int64(0) == .min && select.double(1) == 0.1)
            #expect(select.text(2) == "nul \0 and ü" && select.blob(3) == bytes)
            #expect(select.isNull(4))
            #expect(try select.step())
            #expect(select.text(2).isEmpty && select.blob(3).isEmpty)
            #expect(!select.isNull(2) && !select.isNull(3))
            #expect(try !select.step())
        }
    }

    @Test func aTransactionThatThrowsLeavesNothing() async throws {
        try await TemporaryDirectory.with { scratch in
            let database = try Database(scratch.path + "/a.sqlite")
            try database.execute("CREATE TABLE t (a UNIQUE)")
            #expect(throws: Failure.self) {
                try database.transaction { database in
                    try database.execute("INSERT INTO t VALUES (1)")
                    try database.execute("INSERT INTO t VALUES (1)")
                }
            }
            #expect(!database.isInTransaction)
            try database.transaction { try $0.execute("INSERT INTO t VALUES (1)") }
        }
    }

    @Test func whatIsNoDatabaseIsCalledDamaged() async throws {
        try await TemporaryDirectory.with { scratch in
            let path = scratch.path + "/a.sqlite"
            _ = try scratch.write("a.sqlite", [UInt8](repeating: 0x41, count: 8192))
            #expect(throws: DamagedDatabase.self) { try Database(path) }
        }
    }

    @Test func aFullDiskHasItsOwnCode() async throws {
        try await TemporaryDirectory.with { scratch in
            let database = try Database(scratch.path + "/a.sqlite")
            try database.execute("CREATE TABLE t (a)")
            try database.execute("PRAGMA max_page_count = 4")
            let failure = #expect(throws: Failure.self) {
                try database.execute("INSERT INTO t VALUES (zeroblob(100000))")
            }
            #expect(failure?.code == .noSpace)
            #expect(failure?.side == .local)
        }
    }
}
