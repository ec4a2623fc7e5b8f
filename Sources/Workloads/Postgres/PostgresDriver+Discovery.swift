public import Model

/// What a database server said of itself when it was asked.
public struct DatabaseServerFacts: Sendable, Hashable, CustomStringConvertible {
    public var version: String
    public var databases: [String]
    /// No table of any database has a row.
    public var isEmpty: Bool

    /// Its databases, for people.
    public var description: String {
        guard !databases.isEmpty else { return "no database yet" }
        let shown = databases.prefix(5).map { printable($0.utf8) }.joined(separator: ", ")
        let more = databases.count > 5 ? " and \(databases.count - 5) more" : ""
        return "\(databases.count == 1 ? "database" : "databases") \(shown)\(more)"
    }
}

extension PostgresDriver {
    /// Asks a server what a capture would find.
    ///
    /// - Throws: ``Failure`` when a capture would fail: nobody answers, or the user has not the rights.
    public func look(
        at specification: PostgresSpecification, context: WorkloadContext
    ) async throws -> DatabaseServerFacts {
        var client = try await place.client(specification, context: context)
        let version = try await client.versionNumber()
        client = try await PostgresPlace.fitting(client, major: version / 10000)
        let isSuperuser = try await client.text(
            "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        guard isSuperuser == "t" else {
            throw Failure(
                .failed, "\(client.name): the user is no superuser, and may not read the roles",
                hint: "set user: of the service", side: .source)
        }
        let description = try await client.describe(clientVersion: "")
        var isEmpty = true
        for database in description.databases where isEmpty {
            // A server without XML cannot be asked in this way; then it counts as filled.
            isEmpty = (try? await client.text(Self.rowsQuery, in: database.name)) == "f"
        }
        return DatabaseServerFacts(
            version: description.version, databases: description.databases.map(\.name),
            isEmpty: isEmpty)
    }

    /// Whether any table has a row; looks at no more than one of each.
    private static let rowsQuery = """
        SELECT EXISTS (SELECT FROM pg_largeobject_metadata) OR coalesce((SELECT \
        bool_or((xpath('/row/e/text()', query_to_xml(format('SELECT EXISTS (SELECT FROM %I.%I) \
        AS e', nspname, relname), false, true, '')))[1]::text = 'true') FROM pg_class c \
        JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'm') \
        AND nspname !~ '^pg_' AND nspname <> 'information_schema'), false)
        """
}
