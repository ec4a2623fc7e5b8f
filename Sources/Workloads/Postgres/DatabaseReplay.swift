import Engine
import Model

/// Brings one database back: under a temporary name, compared with its proof, then renamed.
///
/// The temporary name follows from snapshot and database, so that a repeated call finds what an
/// interrupted one left and begins anew.
struct DatabaseReplay: Sendable {
    let database: ClusterDescription.Database
    let client: PostgresClient
    let source: any ReplaySource
    let replace: Bool
    var claim = NameClaim.unrecorded

    private var name: String { database.name }
    private var shown: String { printable(name.utf8) }

    /// At most 63 bytes, ASCII.
    var temporary: String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return "dr_restore_\(source.snapshot.id.short)_\(String(hash, radix: 16))"
    }

    /// Where to connect while `postgres` itself is replaced.
    private var maintenance: String {
        name == client.maintenance ? "template1" : client.maintenance
    }

    func run() async throws -> ReplayOutcome {
        var outcome = ReplayOutcome()
        let earlier = try await dropOwn()
        let existing = try await state(of: name)
        if existing.mayHoldSomething, !replace {
            throw Failure(
                .failed, "\(client.name): database \(shown) exists already",
                hint: "allow it to be replaced: it is then renamed aside", side: .target)
        }
        try await drop(temporary)
        try await create()
        do {
            outcome.bytes = ByteCount(try await restore())
            outcome.notes += try await DatabaseProof(
                database: name, replayed: temporary, client: client, proof: source.snapshot.proof
            ).check()
            try await settle()
            outcome.notes += try await collationNotes()
            let aside = try await rename(over: existing)
            if database.isTemplate {
                // Only now: a template cannot be dropped.
                try await client.run(
                    ["ALTER DATABASE \(SQLText.name(name)) IS_TEMPLATE true;"], in: maintenance)
            }
            if let aside = aside ?? earlier {
                outcome.notes.append("the database before it is now \(aside)")
            }
            return outcome
        } catch {
            // Cancelled or not, what is half done goes; a killed process leaves it to the next, and
            // so does one that cannot tell whose the name is: the temporary one tells.
            if !claim.isOwn {
                let replay = self
                await Task { try? await replay.drop(replay.temporary) }.value
            }
            throw error
        }
    }

    /// Drops what an interrupted attempt of this run left.
    ///
    /// - Returns: Where that attempt moved what had the name before, if it held anything.
    private func dropOwn() async throws -> String? {
        guard claim.isOwn else { return nil }
        // It gets its name and the old one loses it in one transaction: while it still has the
        // temporary one, the name is the old one's.
        guard try await state(of: temporary) == .absent else {
            try await giveBack()
            return nil
        }
        try await drop(name)
        await claim.disclaim()
        guard let aside = claim.aside else { return nil }
        let left = try await state(of: aside)
        if left == .empty { try await drop(aside) }
        return left.mayHoldSomething ? printable(aside.utf8) : nil
    }

    /// The name stays with the database that has it, which nobody could connect to meanwhile.
    private func giveBack() async throws {
        if try await state(of: name) == .closed {
            try await client.run(
                ["ALTER DATABASE \(SQLText.name(name)) WITH ALLOW_CONNECTIONS true;"],
                in: maintenance)
        }
        await claim.disclaim()
    }

    // MARK: What is there

    /// `closed`: nobody may connect to it, so nobody can tell what it holds.
    enum State {
        case absent, empty, used, closed
        var mayHoldSomething: Bool { self == .used || self == .closed }
    }

    /// Whether a database of this name exists and holds anything.
    func state(of name: String) async throws -> State {
        let isOpen = try await client.text(
            "SELECT datallowconn FROM pg_database WHERE datname = \(SQLText.literal(name))",
            in: maintenance)
        switch isOpen {
        case "": return .absent
        case "t": return try await client.isEmpty(name) ? .empty : .used
        default: return .closed
        }
    }

    private func drop(_ name: String) async throws {
        // DROP … WITH (FORCE) is only known since PostgreSQL 13.
        try await client.run(
            [
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    + "WHERE datname = \(SQLText.literal(name));",
                "DROP DATABASE IF EXISTS \(SQLText.name(name));",
            ], in: maintenance)
    }

    // MARK: Making it

    private func create() async throws {
        var words = [
            "CREATE DATABASE \(SQLText.name(temporary)) TEMPLATE template0",
            "OWNER \(SQLText.name(database.owner)) ENCODING \(SQLText.literal(database.encoding))",
        ]
        if let collate = database.collate { words.append("LC_COLLATE \(SQLText.literal(collate))") }
        if let type = database.characterType {
            words.append("LC_CTYPE \(SQLText.literal(type))")
        }
        switch (database.provider, database.locale) {
        case ("i", let locale?):
            words.append("LOCALE_PROVIDER icu ICU_LOCALE \(SQLText.literal(locale))")
            if let rules = database.rules {
                words.append("ICU_RULES \(SQLText.literal(rules))")
            }
        case ("b", let locale?):
            words.append("LOCALE_PROVIDER builtin BUILTIN_LOCALE \(SQLText.literal(locale))")
        case ("c", _): words.append("LOCALE_PROVIDER libc")
        default: break
        }
        if database.tablespace != "pg_default" {
            words.append("TABLESPACE \(SQLText.name(database.tablespace))")
        }
        // Nobody else looks in before it is whole; a superuser may pass.
        if try await client.text("SHOW is_superuser", in: maintenance) == "on" {
            words.append("CONNECTION LIMIT 0")
        }
        try await client.run([words.joined(separator: " ") + ";"], in: maintenance)
    }

    private func restore() async throws -> UInt64 {
        let part = PostgresDriver.part(name)
        let contents = Self.jobs > 1 ? try await ArchiveContents.read(part, from: source) : nil
        let sections = contents == nil ? [] : ["--section=pre-data", "--section=data"]
        let (bytes, result) = try await ProgramStreams(programs: client.programs).replay(
            part, from: source, into: pgRestore(sections))
        guard result.succeeded else {
            throw client.failure("pg_restore of database \(shown)", result, side: .target)
        }
        if let contents { try await finish(contents) }
        return bytes
    }

    /// Indexes and constraints that are made side by side, each by a connection of its own.
    private static let jobs = min(4, processorCount())

    private func pgRestore(_ arguments: [String]) -> ProgramCall {
        // Nothing is lost by a crash now but what would be dropped anyway.
        client.call(
            "pg_restore",
            ["--exit-on-error", "--format=custom", "-d", SQLText.connection(to: temporary)]
                + arguments, options: "-c synchronous_commit=off")
    }

    /// Makes what follows the data: pg_restore does that in parallel only from a file, which needs
    /// no more in it than the table of contents.
    private func finish(_ contents: [UInt8]) async throws {
        let script = """
            file=$(mktemp 2>/dev/null || TMPDIR=/tmp mktemp) || exit
            trap 'rm -f "$file"' EXIT; trap 'exit 143' HUP INT TERM
            cat >"$file" && "$@" "$file"
            """
        var call = pgRestore(["--section=post-data", "--jobs=\(Self.jobs)"])
        call.words = ["sh", "-c", script, "dr"] + call.words
        let result = try await ProgramStreams(programs: client.programs).run(
            call, feeding: contents)
        guard result.succeeded else {
            throw client.failure(
                "pg_restore of indexes and constraints of database \(shown)", result,
                side: .target)
        }
    }

    /// Owner's grants, settings and statistics, which are the database's and not in its dump.
    private func settle() async throws {
        let target = SQLText.name(temporary)
        var statements: [String] = []
        if let grants = database.grants {
            statements.append(
                "REVOKE ALL ON DATABASE \(target) FROM PUBLIC, \(SQLText.name(database.owner));")
            for grant in grants {
                let role = grant.role.map(SQLText.name) ?? "PUBLIC"
                statements.append(
                    "GRANT \(grant.privilege) ON DATABASE \(target) TO \(role)"
                        + (grant.canGrant ? " WITH GRANT OPTION;" : ";"))
            }
        }
        for setting in database.settings ?? [] {
            let subject =
                setting.role.map { "ALTER ROLE \(SQLText.name($0)) IN DATABASE \(target)" }
                ?? "ALTER DATABASE \(target)"
            for value in setting.values {
                statements.append("\(subject) SET \(Self.assignment(value));")
            }
        }
        if let comment = database.comment {
            statements.append("COMMENT ON DATABASE \(target) IS \(SQLText.literal(comment));")
        }
        statements.append(
            "ALTER DATABASE \(target) CONNECTION LIMIT \(database.connectionLimit);")
        try await client.run(["ANALYZE;"], in: temporary)
        try await client.run(statements, in: maintenance)
    }

    /// `name=value` as SET takes it. Some settings are lists, whose elements are quoted one by one.
    static func assignment(_ setting: String) -> String {
        let parts = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        let value = parts.count == 2 ? String(parts[1]) : ""
        let lists = [
            "search_path", "temp_tablespaces", "session_preload_libraries",
            "local_preload_libraries", "shared_preload_libraries", "datestyle",
        ]
        let quotedName = name.split(separator: ".", omittingEmptySubsequences: false)
            .map { SQLText.name(String($0)) }.joined(separator: ".")
        guard lists.contains(name.lowercased()), !value.isEmpty else {
            return "\(quotedName) TO \(SQLText.literal(value))"
        }
        var elements: [String] = []
        var element = ""
        var isQuoted = false
        for character in value {
            switch character {
            case "\"": isQuoted.toggle()
            case "," where !isQuoted:
                elements.append(element)
                element = ""
            case " " where !isQuoted: break
            default: element.append(character)
            }
        }
        elements.append(element)
        return "\(quotedName) TO " + elements.map(SQLText.literal).joined(separator: ", ")
    }

    // MARK: Giving it its name

    /// - Returns: Where the database that had the name is now.
    private func rename(over existing: State) async throws -> String? {
        let (old, new) = (SQLText.name(name), SQLText.name(temporary))
        guard existing != .absent else {
            await claim.claim()
            try await swap(["ALTER DATABASE \(new) RENAME TO \(old);"])
            return nil
        }
        let aside = asideName()
        let quotedAside = SQLText.name(aside)
        // Somebody may have come while this one was restored.
        let wasEmpty = try await state(of: name) == .empty
        guard wasEmpty || replace else {
            throw Failure(
                .failed, "\(client.name): database \(shown) was filled by somebody meanwhile",
                side: .target)
        }
        await claim.moveAside(to: aside)
        await claim.claim()
        try await swap([
            "ALTER DATABASE \(old) WITH ALLOW_CONNECTIONS false;",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                + "WHERE datname = \(SQLText.literal(name));",
            "DO $$ BEGIN FOR i IN 1..100 LOOP IF NOT EXISTS (SELECT FROM pg_stat_activity "
                + "WHERE datname = \(SQLText.literal(name))) THEN EXIT; END IF; "
                + "PERFORM pg_sleep(0.1); PERFORM pg_stat_clear_snapshot(); "
                + "END LOOP; END $$;",
            "BEGIN;", "ALTER DATABASE \(old) RENAME TO \(quotedAside);",
            "ALTER DATABASE \(quotedAside) WITH ALLOW_CONNECTIONS true;",
            "ALTER DATABASE \(new) RENAME TO \(old);", "COMMIT;",
        ])
        guard wasEmpty else { return printable(aside.utf8) }
        try await drop(aside)
        return nil
    }

    /// Runs statements of which the last transaction gives the new database its name.
    ///
    /// An error may come from a connection that was lost after that: then it is done.
    private func swap(_ statements: [String]) async throws {
        do { try await client.run(statements, in: maintenance) } catch {
            // Cancelled or not: the name is one's or the other's.
            let replay = self
            try await Task {
                guard try await replay.state(of: replay.temporary) != .absent else { return }
                try await replay.giveBack()
                throw error
            }.value
        }
    }

    /// PostgreSQL cuts names at 63 bytes.
    private func asideName() -> String {
        let end = "_before_\(AsideName.now().lowercased())"
        var start = name
        while start.utf8.count + end.utf8.count > 63 { start.removeLast() }
        return start + end
    }

    private func collationNotes() async throws -> [String] {
        guard let recorded = database.collationVersion else { return [] }
        let actual = try await client.text(
            "SELECT pg_database_collation_actual_version(oid) FROM pg_database "
                + "WHERE datname = \(SQLText.literal(temporary))", in: maintenance)
        guard actual != recorded else { return [] }
        return [
            "database \(shown): its collation was of version \(printable(recorded.utf8)) and is of "
                + "version \(printable(actual.utf8)) here; indexes were built anew and fit, "
                + "the order of text may differ"
        ]
    }
}

extension PostgresClient {
    /// Whether nobody has made anything in a database.
    func isEmpty(_ database: String) async throws -> Bool {
        try await text(
            """
            SELECT NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
            WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND NOT EXISTS (SELECT \
            FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass \
            AND deptype = 'e')) \
            AND NOT EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace \
            WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND NOT EXISTS (SELECT \
            FROM pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass \
            AND deptype = 'e')) \
            AND NOT EXISTS (SELECT FROM pg_largeobject_metadata) \
            AND NOT EXISTS (SELECT FROM pg_namespace WHERE nspname !~ '^pg_' \
            AND nspname NOT IN ('information_schema', 'public'))
            """, in: database) == "t"
    }
}
