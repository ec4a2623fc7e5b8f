import Engine
import Model

/// Compares a restored database with what was counted in its dump.
struct DatabaseProof: Sendable {
    /// The name under which it was captured.
    let database: String
    /// The name it has now.
    let replayed: String
    let client: PostgresClient
    let proof: Proof

    /// Tables counted by one query.
    private static let batch = 100

    private struct Relation: Decodable {
        var schema: String
        var name: String
        /// Made by an extension, which fills it itself: the dump has only what was added.
        var isExtensions: Bool
    }

    /// - Returns: What a person should know.
    /// - Throws: ``Failure`` (verification failed) for the first table or sequence that differs.
    func check() async throws -> [String] {
        let counted = try await checkRows()
        let sequences = try await checkSequences()
        guard counted + sequences > 0 else { return [] }
        return [
            "database \(printable(database.utf8)): \(counted) tables and \(sequences) "
                + "sequences are as they were captured"
        ]
    }

    private func checkRows() async throws -> Int {
        var expected = keys(proof.rows)
        let largeObjects = PostgresDriver.largeObjects(of: database)
        if let count = expected.removeValue(forKey: largeObjects) {
            let found = UInt64(
                try await client.text("SELECT count(*) FROM pg_largeobject_metadata", in: replayed))
            guard found == count else {
                throw differs("large objects", "\(found ?? 0)", "\(count)")
            }
        }
        if expected.isEmpty { return 0 }
        let relations = try await relations(kinds: "'r'")
        for key in expected.keys where relations[key] == nil {
            throw differs("table \(shown(key))", "nothing", "a table")
        }
        let tables = relations.filter { expected[$0.key] != nil }.map { ($0.key, $0.value) }
        for start in stride(from: 0, to: tables.count, by: Self.batch) {
            let batch = tables[start..<min(start + Self.batch, tables.count)]
            let queries = batch.map {
                "(SELECT count(*) FROM ONLY \(SQLText.name($0.0.schema)).\(SQLText.name($0.0.name)))"
            }
            let counts = try await client.query(
                [UInt64].self, "SELECT json_build_array(\(queries.joined(separator: ", ")))",
                in: replayed)
            for ((key, relation), found) in zip(batch, counts) {
                let count = expected[key] ?? 0
                if relation.isExtensions ? found < count : found != count {
                    throw differs("table \(shown(key))", "\(found) rows", "\(count)")
                }
            }
        }
        return tables.count
    }

    private func checkSequences() async throws -> Int {
        struct Value: Decodable {
            var last: Int64
            var isCalled: Bool
        }
        let expected = keys(proof.sequences)
        if expected.isEmpty { return 0 }
        let relations = try await relations(kinds: "'S'")
        let sequences = Array(expected.keys)
        for key in sequences where relations[key] == nil {
            throw differs("sequence \(shown(key))", "nothing", "a sequence")
        }
        for start in stride(from: 0, to: sequences.count, by: Self.batch) {
            let batch = sequences[start..<min(start + Self.batch, sequences.count)]
            let queries = batch.map {
                "(SELECT json_build_object('last', last_value, 'isCalled', is_called) FROM "
                    + "\(SQLText.name($0.schema)).\(SQLText.name($0.name)))"
            }
            let values = try await client.query(
                [Value].self, "SELECT json_build_array(\(queries.joined(separator: ", ")))",
                in: replayed)
            for (key, value) in zip(batch, values) {
                let found = value.isCalled ? value.last : nil
                let wanted = expected[key] ?? nil
                if found != wanted {
                    throw differs(
                        "sequence \(shown(key))", found.map { "\($0)" } ?? "not called",
                        wanted.map { "\($0)" } ?? "not called")
                }
            }
        }
        return sequences.count
    }

    private func keys<Value>(_ values: [String: Value]) -> [ProofKey: Value] {
        var found: [ProofKey: Value] = [:]
        for (text, value) in values {
            if let key = ProofKey(text), key.database == database { found[key] = value }
        }
        return found
    }

    private func relations(kinds: String) async throws -> [ProofKey: Relation] {
        let found = try await client.query(
            [Relation].self,
            """
            SELECT coalesce(json_agg(json_build_object('schema', nspname, 'name', relname, \
            'isExtensions', EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND \
            d.classid = 'pg_class'::regclass AND deptype = 'e'))), '[]') \
            FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN (\(kinds))
            """, in: replayed)
        var relations: [ProofKey: Relation] = [:]
        for relation in found {
            let key = ProofKey(database: database, schema: relation.schema, name: relation.name)
            relations[key] = relation
        }
        return relations
    }

    private func shown(_ key: ProofKey) -> String { printable(key.text.utf8) }

    private func differs(_ what: String, _ found: String, _ expected: String) -> Failure {
        Failure(
            .verificationFailed,
            "database \(printable(database.utf8)): \(what) came back as \(found), not \(expected)",
            hint: "the restored database is dropped; try an older snapshot", side: .target)
    }
}
