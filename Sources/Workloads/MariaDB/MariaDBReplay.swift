import Engine
import Model

/// Brings one database back and proves it.
///
/// MariaDB cannot rename a database: it is made under its own name, and one that has the name and is
/// to be replaced is copied aside before.
struct MariaDBReplay: Sendable {
    enum State: Sendable { case absent, empty, used }

    let database: MariaDBDriver.Description.Database
    let client: MariaDBClient
    let source: any ReplaySource
    let replace: Bool
    var claim = NameClaim.unrecorded

    private var name: String { database.name }
    private var shown: String { printable(name.utf8) }
    private var quoted: String { MariaDBText.name(name) }

    func run() async throws -> ReplayOutcome {
        var outcome = ReplayOutcome()
        let state = try await client.state(of: name)
        if state == .used, !claim.isOwn {
            guard replace else {
                throw Failure(
                    .failed, "\(client.name): database \(shown) exists",
                    hint: "with --replace it is copied aside", side: .target)
            }
            let aside = asideName()
            try await copyAside(to: aside)
            outcome.notes.append("what was there is now database \(printable(aside.utf8))")
        }
        await claim.claim()
        try await client.run([
            "DROP DATABASE IF EXISTS \(quoted);",
            "CREATE DATABASE \(quoted) CHARACTER SET \(MariaDBText.name(database.characterSet)) "
                + "COLLATE \(MariaDBText.name(database.collation));",
        ])
        do {
            outcome.bytes = try await fill()
            outcome.notes += try await prove()
        } catch {
            // Nobody shall take a part of it for the whole.
            let (client, quoted) = (client, quoted)
            await Task { _ = try? await client.run(["DROP DATABASE \(quoted);"]) }.value
            throw error
        }
        return outcome
    }

    private func fill() async throws -> ByteCount {
        let (bytes, result) = try await ProgramStreams(programs: client.programs).replay(
            MariaDBDriver.part(name), from: source, into: client.feeding(name))
        guard result.succeeded else {
            throw client.failure("restoring database \(shown)", result, side: .target)
        }
        return ByteCount(bytes)
    }

    /// Every table has as many rows as its dump had.
    private func prove() async throws -> [String] {
        var counted = 0
        for (key, expected) in source.snapshot.proof.rows.sorted(by: { $0.key < $1.key }) {
            guard let proof = ProofKey(key), proof.database == name else { continue }
            let found = try await client.value(
                "SELECT count(*) FROM \(MariaDBText.name(proof.name))", in: name)
            guard found == "\(expected)" else {
                throw Failure(
                    .verificationFailed,
                    "database \(shown): table \(printable(proof.name.utf8)) has \(found) rows, "
                        + "its dump had \(expected)", side: .target)
            }
            counted += 1
        }
        guard counted > 0 else { return [] }
        return ["database \(shown): \(counted) tables have the rows that were saved"]
    }

    // MARK: Aside

    private func copyAside(to aside: String) async throws {
        let target = MariaDBText.name(aside)
        try await client.run([
            "CREATE DATABASE \(target) CHARACTER SET \(MariaDBText.name(database.characterSet)) "
                + "COLLATE \(MariaDBText.name(database.collation));"
        ])
        do {
            try await copy(to: aside)
        } catch {
            let client = client
            await Task { _ = try? await client.run(["DROP DATABASE \(target);"]) }.value
            throw error
        }
        await claim.moveAside(to: aside)
    }

    private func copy(to aside: String) async throws {
        let pipe: Pipe
        do throws(SystemError) { pipe = try Pipe() } catch { throw error.failure(side: .local) }
        let client = client
        let name = name
        async let written: ProgramResult = {
            defer { pipe.closeWriter() }
            var call = client.call(client.dump, MariaDBDriver.dumpOptions + ["--", name])
            call.output = pipe.writer
            return try await client.programs.run(call)
        }()
        async let read: ProgramResult = {
            defer { pipe.closeReader() }
            var call = client.feeding(aside)
            call.input = pipe.reader
            return try await client.programs.run(call)
        }()
        let (dumped, restored) = (try await written, try await read)
        for (what, result) in [("reading", dumped), ("copying", restored)]
        where !result.succeeded {
            throw client.failure("\(what) database \(shown)", result, side: .target)
        }
    }

    /// Names have at most 64 characters.
    private func asideName() -> String {
        let end = "_before_\(AsideName.now().lowercased())"
        return String(name.prefix(64 - end.count)) + end
    }
}

extension MariaDBClient {
    /// What has a database's name.
    func state(of database: String) async throws -> MariaDBReplay.State {
        let literal = MariaDBText.literal(database)
        guard
            try await value(
                "SELECT count(*) FROM information_schema.schemata WHERE schema_name = \(literal)")
                != "0"
        else { return .absent }
        let used = try await value(
            "SELECT (SELECT count(*) FROM information_schema.tables "
                + "WHERE table_schema = \(literal)) + (SELECT count(*) FROM "
                + "information_schema.routines WHERE routine_schema = \(literal))")
        return used == "0" ? .empty : .used
    }

    /// A call that runs a dump in a database.
    func feeding(_ database: String) -> ProgramCall {
        call(
            query,
            [
                "--batch", "--default-character-set=utf8mb4", "--max-allowed-packet=1G", "--",
                database,
            ])
    }
}
