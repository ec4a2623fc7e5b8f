import Engine
public import Model

extension MariaDBDriver {
    private static let ready = "ready"
    private static let databasePrefix = "database:"

    public func replaySteps(
        for source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [ReplayStep] {
        if case .directory(let directory) = target {
            return files(source, directory).steps()
        }
        if try await !omissions(from: source, service: service, target: target).isEmpty {
            return []
        }
        var steps = [
            ReplayStep(id: Self.ready, title: "wait for the MariaDB server", phase: .prepare),
            ReplayStep(
                id: Self.users, title: "restore users and roles", needs: [Self.ready],
                phase: .prepare),
        ]
        let workload = source.snapshot.workload.text
        for part in source.snapshot.parts where part.kind == .stream {
            guard let name = part.attributes["database"] else { continue }
            steps.append(
                ReplayStep(
                    id: Self.databasePrefix + name,
                    title: "restore database \(printable(name.utf8))", needs: [Self.users],
                    bytes: part.bytes, phase: .data, makes: ["database/\(workload)/\(name)"]))
        }
        // What somebody may do with a table can only be said when the table is there.
        let databases = steps.map(\.id).filter { $0.hasPrefix(Self.databasePrefix) }
        steps.append(
            ReplayStep(
                id: Self.grants, title: "restore what users may do",
                needs: databases + [Self.users], phase: .data))
        return steps
    }

    public func perform(
        _ step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> ReplayOutcome {
        if case .directory(let directory) = target {
            return try await files(source, directory).perform(step, context)
        }
        let specification = try Self.specification(of: service, source.snapshot, target)
        if step.id == Self.ready { return try await waitUntilReady(specification, context) }
        let client = try await place.client(specification, context: context)
        if step.id == Self.users || step.id == Self.grants {
            let bytes = try await source.document(step.id)
            try await client.run([String(decoding: bytes, as: UTF8.self), "FLUSH PRIVILEGES;"])
            return ReplayOutcome(bytes: ByteCount(UInt64(bytes.count)))
        }
        let description = try StableJSON.decode(
            Description.self, from: try await source.document(Self.server))
        let name = String(step.id.dropFirst(Self.databasePrefix.count))
        guard step.id.hasPrefix(Self.databasePrefix), let database = description.database(name)
        else { throw Failure(.failed, "the snapshot has no step \(printable(step.id.utf8))") }
        return try await MariaDBReplay(
            database: database, client: client, source: source, replace: context.replace,
            claim: context.claim("database/\(source.snapshot.workload)/\(name)")
        ).run()
    }

    /// A server that only an address names has none at a target.
    public func omissions(
        from source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [String] {
        guard let place = target.place,
            let configured = try? Self.specification(of: service, source.snapshot, .here),
            case .address = configured.server
        else { return [] }
        return ["target \(place.name) has no MariaDB server for it"]
    }

    /// The server of a snapshot's workload, as it is called at `target`.
    static func specification(
        of service: Service, _ snapshot: SnapshotRecord, _ target: ReplayTarget
    ) throws -> MariaDBSpecification {
        for case .mariadb(let mariadb) in service.workloads
        where WorkloadID(service: service.name, kind: .mariadb, name: mariadb.name)
            == snapshot.workload
        {
            guard let place = target.place, case .container(let name, let engine) = mariadb.server
            else { return mariadb }
            var placed = mariadb
            placed.server = .container(place.name(of: name), engine: place.engine(of: engine))
            return placed
        }
        throw Failure(
            .usage,
            "service \(service.name): the configuration has no MariaDB server for "
                + "\(snapshot.workload)",
            hint: "restore to a directory, or add the service to the configuration")
    }

    // MARK: Waiting

    /// Waits until the final server answers.
    ///
    /// The official images' entrypoint first starts a server that listens on no network, fills it and
    /// stops it again: in a container only a server that accepts connections there counts.
    private func waitUntilReady(
        _ specification: MariaDBSpecification, _ context: WorkloadContext
    ) async throws -> ReplayOutcome {
        try await waitForServer(patience) {
            let client = try await place.client(specification, context: context)
            guard try await client.value("SELECT 1") == "1" else { return false }
            guard case .container = specification.server else { return true }
            return try await client.value("SELECT @@GLOBAL.skip_networking") == "0"
        }
    }

    // MARK: To a directory

    func files(_ source: any ReplaySource, _ directory: String) -> DumpDirectory {
        let snapshot = source.snapshot
        return DumpDirectory(source: source) { part in
            let name =
                part.attributes["database"].map { ReplayDirectory.fileName($0) + ".sql" }
                ?? ReplayDirectory.fileName(part.name)
            return ReplayDirectory.path(directory, for: snapshot) + "/" + name
        }
    }
}
