import Engine
public import Model

extension MariaDBDriver {
    public func preflight(
        _ steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [PreflightFinding] {
        if case .directory(let directory) = target {
            return try await files(source, directory).findings()
        }
        let specification = try Self.specification(of: service, source.snapshot, target)
        let client: MariaDBClient
        let description = try StableJSON.decode(
            Description.self, from: try await source.document(Self.server))
        var findings: [PreflightFinding] = []
        do {
            client = try await place.client(specification, context: context)
            let version = try await client.version()
            if version.contains("MariaDB") != description.version.contains("MariaDB") {
                findings.append(
                    PreflightFinding(
                        .warning,
                        "\(client.name) is \(version), the snapshot is of \(description.version)",
                        hint: "MariaDB and MySQL do not take all of each other's dumps"))
            }
        } catch {
            try Task.checkCancellation()
            return PreflightFinding.absent(
                .mariadb(specification), Failure(wrapping: error), service, context)
        }
        for step in steps where step.id.hasPrefix("database:") {
            let name = String(step.id.dropFirst("database:".count))
            guard try await client.state(of: name) == .used else { continue }
            findings.append(
                PreflightFinding(
                    .conflict, "\(client.name): database \(printable(name.utf8)) exists",
                    hint: "when it is replaced it is copied aside first",
                    name: "database/\(source.snapshot.workload)/\(name)"))
        }
        return findings
    }
}

extension MariaDBDriver {
    /// Asks a server what a capture would find.
    ///
    /// - Throws: ``Failure`` when a capture would fail: nobody answers, or the user has not the rights.
    public func look(
        at specification: MariaDBSpecification, context: WorkloadContext
    ) async throws -> DatabaseServerFacts {
        let client = try await place.client(specification, context: context)
        let databases = try await client.databases()
        _ = try await client.accounts()
        var isEmpty = true
        for database in databases {
            for table in database.tables where isEmpty {
                isEmpty =
                    try await client.rows(
                        "SELECT 1 FROM \(MariaDBText.name(table)) LIMIT 1", in: database.name
                    ).isEmpty
            }
        }
        return DatabaseServerFacts(
            version: try await client.version(), databases: databases.map(\.name),
            isEmpty: isEmpty)
    }

    /// The mounts of the server's container that hold its data directory; they are not to be captured
    /// as volumes.
    func dataDirectoryMounts(
        of specification: MariaDBSpecification, among destinations: [String],
        context: WorkloadContext
    ) async throws -> [PostgresDataMount] {
        let client = try await place.client(specification, context: context)
        return PostgresDataMount.find(
            [try await client.value("SELECT @@GLOBAL.datadir")], among: destinations)
    }
}
