import Engine
public import Model

extension PostgresDriver {
    public func preflight(
        _ steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [PreflightFinding] {
        if case .directory(let directory) = target {
            return try await files(source, directory).findings()
        }
        let specification = try Self.specification(of: service, source.snapshot, target)
        let description = try StableJSON.decode(
            ClusterDescription.self, from: try await source.document(Self.cluster))
        if let server = try Self.scratchServer(of: service, source.snapshot, target) {
            return try await BlockingPool.shared.run {
                server.findings(major: description.major)
            }
        }
        let client: PostgresClient
        let version: Int
        do {
            let found = try await place.client(specification, context: context)
            version = try await found.versionNumber()
            client = try await PostgresPlace.fitting(found, major: version / 10000)
        } catch {
            try Task.checkCancellation()
            return PreflightFinding.absent(
                .postgres(specification), Failure(wrapping: error), service, context)
        }
        var findings: [PreflightFinding] = []
        if version / 10000 < description.major {
            findings.append(
                PreflightFinding(
                    .blocker,
                    "\(client.name) is PostgreSQL \(version / 10000), the snapshot is of "
                        + "\(description.major)",
                    hint: "restore to PostgreSQL \(description.major) or newer"))
        }
        findings += try await missing(description, client)
        let wanted = steps.compactMap { step -> ClusterDescription.Database? in
            guard step.id.hasPrefix("database:") else { return nil }
            return description.database(String(step.id.dropFirst("database:".count)))
        }
        for database in wanted {
            let replay = DatabaseReplay(
                database: database, client: client, source: source, replace: false)
            guard try await replay.state(of: database.name).mayHoldSomething else { continue }
            findings.append(
                PreflightFinding(
                    .conflict,
                    "\(client.name): database \(printable(database.name.utf8)) exists",
                    hint: "when it is replaced it is renamed aside, and its connections are ended",
                    name: "database/\(source.snapshot.workload)/\(database.name)"))
        }
        return findings
    }

    /// Extensions that the server has not, rights that the user has not.
    private func missing(_ description: ClusterDescription, _ client: PostgresClient) async throws
        -> [PreflightFinding]
    {
        struct Facts: Decodable {
            var isSuperuser: Bool
            var isInRecovery: Bool
            var extensions: [String]
            var tablespaces: [String]
        }
        let facts = try await client.query(
            Facts.self,
            """
            SELECT json_build_object('isSuperuser', (SELECT rolsuper FROM pg_roles \
            WHERE rolname = current_user), 'isInRecovery', pg_is_in_recovery(), \
            'extensions', (SELECT coalesce(json_agg(name), '[]') FROM pg_available_extensions), \
            'tablespaces', (SELECT json_agg(spcname) FROM pg_tablespace))
            """)
        var findings: [PreflightFinding] = []
        if facts.isInRecovery {
            findings.append(
                PreflightFinding(
                    .blocker, "\(client.name) is a standby", hint: "restore to its primary"))
        }
        if !facts.isSuperuser {
            findings.append(
                PreflightFinding(
                    .warning, "\(client.name): the user is no superuser",
                    hint: "roles, extensions and owners may not come back"))
        }
        var wanted: [String: [String]] = [:]
        for database in description.databases {
            for item in database.extensions where !facts.extensions.contains(item.name) {
                wanted[item.name, default: []].append(database.name)
            }
        }
        for (name, databases) in wanted.sorted(by: { $0.key < $1.key }) {
            let users = databases.map { printable($0.utf8) }.joined(separator: ", ")
            findings.append(
                PreflightFinding(
                    .blocker,
                    "\(client.name): extension \(printable(name.utf8)), which database "
                        + "\(users) needs, is not installed",
                    hint: "install the extension's package, or use the image it was captured with"))
        }
        for tablespace in description.tablespaces
        where !facts.tablespaces.contains(tablespace.name) {
            findings.append(
                PreflightFinding(
                    .warning,
                    "\(client.name): tablespace \(printable(tablespace.name.utf8)) will "
                        + "be made at \(printable(tablespace.location.utf8))",
                    hint: "that directory must exist, be empty and belong to the server"))
        }
        return findings
    }
}
