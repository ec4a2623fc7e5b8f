import Engine
public import Model

extension PostgresDriver {
    private static let ready = "ready"
    private static let scratch = "scratch"
    private static let databasePrefix = "database:"

    public func replaySteps(
        for source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [ReplayStep] {
        let dumps = source.snapshot.parts.filter { $0.kind == .stream }
        switch target {
        case .here, .place:
            if try await !omissions(from: source, service: service, target: target).isEmpty {
                return []
            }
            let server = try Self.scratchServer(of: service, source.snapshot, target)
            var steps = [
                ReplayStep(
                    id: Self.ready, title: "wait for the PostgreSQL server",
                    needs: server == nil ? [] : [Self.scratch], phase: .prepare),
                ReplayStep(
                    id: "globals", title: "restore roles and tablespaces", needs: [Self.ready],
                    phase: .prepare),
            ]
            if let server {
                steps.insert(
                    ReplayStep(
                        id: Self.scratch, title: "start a scratch PostgreSQL server",
                        phase: .prepare, makes: ["path\(server.directory)"]), at: 0)
            }
            let workload = source.snapshot.workload.text
            for part in dumps {
                guard let name = part.attributes["database"] else { continue }
                steps.append(
                    ReplayStep(
                        id: Self.databasePrefix + name,
                        title: "restore database \(printable(name.utf8))", needs: ["globals"],
                        bytes: part.bytes, phase: .data, makes: ["database/\(workload)/\(name)"]))
            }
            return steps
        case .directory(let directory):
            return files(source, directory).steps()
        }
    }

    public func omissions(
        from source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [String] {
        guard let place = target.place, place.isolation == nil,
            place.servers[service.name.text] == nil,
            let configured = try? Self.specification(of: service, source.snapshot, .here),
            case .url = configured.server
        else { return [] }
        return [
            "target \(place.name) has no PostgreSQL server for it: name one under postgres: there"
        ]
    }

    public func perform(
        _ step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> ReplayOutcome {
        if case .directory(let directory) = target {
            return try await files(source, directory).perform(step, context)
        }
        let specification = try Self.specification(of: service, source.snapshot, target)
        if step.id == Self.scratch {
            guard let server = try Self.scratchServer(of: service, source.snapshot, target) else {
                throw Failure(.failed, "a scratch server is only for drills")
            }
            let description = try StableJSON.decode(
                ClusterDescription.self, from: try await source.document(Self.cluster))
            await context.claim("path\(server.directory)").claim()
            try await server.start(description)
            return ReplayOutcome(notes: ["PostgreSQL \(description.major), on a socket only"])
        }
        if step.id == Self.ready {
            return try await waitUntilReady(specification, context)
        }
        var client = try await place.client(specification, context: context)
        client = try await PostgresPlace.fitting(
            client, major: try await client.versionNumber() / 10000)
        if step.id == "globals" { return try await replayGlobals(client, from: source) }
        guard step.id.hasPrefix(Self.databasePrefix) else {
            throw Failure(.failed, "the snapshot has no step \(printable(step.id.utf8))")
        }
        let description = try StableJSON.decode(
            ClusterDescription.self, from: try await source.document(Self.cluster))
        let name = String(step.id.dropFirst(Self.databasePrefix.count))
        guard let database = description.database(name) else {
            throw Failure(
                .damaged, "the snapshot does not describe database \(printable(name.utf8))")
        }
        return try await DatabaseReplay(
            database: database, client: client, source: source, replace: context.replace,
            claim: context.claim("database/\(source.snapshot.workload)/\(name)")
        ).run()
    }

    // MARK: To a directory

    func files(_ source: any ReplaySource, _ directory: String) -> DumpDirectory {
        let snapshot = source.snapshot
        return DumpDirectory(source: source) { part in
            let name: String
            if let database = part.attributes["database"] {
                name = ReplayDirectory.fileName(database) + ".dump"
            } else {
                name = part.name.split(separator: "/").map { ReplayDirectory.fileName(String($0)) }
                    .joined(separator: "/")
            }
            return ReplayDirectory.path(directory, for: snapshot) + "/" + name
        }
    }

    // MARK: Steps here

    /// The server of a snapshot's workload, as it is called at `target`.
    static func specification(
        of service: Service, _ snapshot: SnapshotRecord, _ target: ReplayTarget
    ) throws -> PostgresSpecification {
        for case .postgres(let postgres) in service.workloads
        where WorkloadID(service: service.name, kind: .postgres, name: postgres.name)
            == snapshot.workload
        {
            return try target.place.map { try postgres.placed(at: $0, of: service) } ?? postgres
        }
        throw Failure(
            .usage,
            "service \(service.name): the configuration has no PostgreSQL server for "
                + "\(snapshot.workload)",
            hint: "restore to a directory, or add the service to the configuration")
    }

    /// The server that a drill makes in place of one that only an address names; nil for any other.
    static func scratchServer(
        of service: Service, _ snapshot: SnapshotRecord, _ target: ReplayTarget
    ) throws -> ScratchServer? {
        guard let isolation = target.place?.isolation,
            case .url = try specification(of: service, snapshot, .here).server
        else { return nil }
        return ScratchServer(directory: isolation.server(of: service.name))
    }

    /// Waits until the final server answers.
    ///
    /// The official image's entrypoint first starts a server that only listens on its socket, runs
    /// its scripts and stops it again: in a container only an answer over TCP counts.
    private func waitUntilReady(_ specification: PostgresSpecification, _ context: WorkloadContext)
        async throws -> ReplayOutcome
    {
        try await waitForServer(patience) {
            let client = try await place.client(specification, context: context)
            guard try await isFinal(client, specification) else { return false }
            return try await client.text("SELECT 1") == "1"
        }
    }

    private func isFinal(_ client: PostgresClient, _ specification: PostgresSpecification)
        async throws -> Bool
    {
        guard case .container = specification.server else { return true }
        var call = client.call("pg_isready", ["-q", "-t", "3", "-h", "127.0.0.1"])
        call.timeout = TimeSpan(seconds: 30)
        return try await client.programs.run(call).succeeded
    }

    /// Makes roles and tablespaces that are missing, and gives all of them their properties.
    private func replayGlobals(_ client: PostgresClient, from source: any ReplaySource)
        async throws -> ReplayOutcome
    {
        struct Present: Decodable {
            var roles: [String]
            var tablespaces: [String]
        }
        let present = try await client.query(
            Present.self,
            """
            SELECT json_build_object('roles', (SELECT json_agg(rolname) FROM pg_roles), \
            'tablespaces', (SELECT json_agg(spcname) FROM pg_tablespace))
            """)
        let bytes = try await source.document(Self.globals)
        var kept = 0
        let statements = SQLText.statements(String(decoding: bytes, as: UTF8.self)).filter {
            if let role = SQLText.name(after: "CREATE ROLE", in: $0) {
                guard present.roles.contains(role) else { return true }
                kept += 1
                return false
            }
            if let tablespace = SQLText.name(after: "CREATE TABLESPACE", in: $0) {
                return !present.tablespaces.contains(tablespace)
            }
            return true
        }
        try await client.run(statements)
        var outcome = ReplayOutcome(bytes: ByteCount(UInt64(bytes.count)))
        if kept > 0 { outcome.notes.append("\(kept) roles existed and were brought up to date") }
        return outcome
    }
}

extension PostgresSpecification {
    /// The server at a target; one that only an address names is the one that the target gives.
    ///
    /// - Throws: ``Failure`` (usage) when it gives none: the one of the night is not the target's.
    func placed(at place: TargetPlace, of service: Service) throws -> PostgresSpecification {
        var placed = self
        switch server {
        case .container(let name, let engine):
            placed.server = .container(place.name(of: name), engine: place.engine(of: engine))
        case .url where place.isolation != nil:
            let directory = place.isolation?.server(of: service.name) ?? ""
            placed.server = .url(ScratchServer(directory: directory).uri)
            (placed.user, placed.password, placed.host) = (nil, nil, nil)
        case .url:
            guard let url = place.servers[service.name.text] else {
                throw Failure(
                    .usage, "target \(place.name) has no PostgreSQL server for \(service.name)",
                    hint: "name one under postgres: of the target")
            }
            placed.server = .url(url)
            // It is an address for this machine; behind another it might lead to what was captured.
            placed.host = nil
        }
        return placed
    }
}
