import CLinux
import Engine
import Glibc
public import Model

extension PostgresDriver {
    private static let ready = "ready"
    private static let databasePrefix = "database:"
    private static let filePrefix = "file:"

    public func replaySteps(
        for source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [ReplayStep] {
        let dumps = source.snapshot.parts.filter { $0.kind == .stream }
        switch target {
        case .here:
            var steps = [
                ReplayStep(
                    id: Self.ready, title: "wait for the PostgreSQL server", phase: .prepare),
                ReplayStep(
                    id: "globals", title: "restore roles and tablespaces", needs: [Self.ready],
                    phase: .prepare),
            ]
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
            return source.snapshot.parts.map { part in
                let path = file(part, source, directory)
                return ReplayStep(
                    id: Self.filePrefix + part.name, title: "write \(printable(path.utf8))",
                    bytes: part.bytes, phase: .data, makes: ["path\(path)"])
            }
        }
    }

    public func perform(
        _ step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> ReplayOutcome {
        if case .directory(let directory) = target {
            return try await write(step, from: source, directory, context)
        }
        let specification = try Self.specification(of: service, source.snapshot)
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
            database: database, client: client, source: source, replace: context.replace
        ).run()
    }

    // MARK: To a directory

    private func write(
        _ step: ReplayStep, from source: any ReplaySource, _ directory: String,
        _ context: WorkloadContext
    ) async throws -> ReplayOutcome {
        let name = String(step.id.dropFirst(Self.filePrefix.count))
        guard let part = source.snapshot.part(name) else {
            throw Failure(.failed, "the snapshot has no part \(printable(name.utf8))")
        }
        let file = ReplayedFile(path: file(part, source, directory))
        if part.kind == .stream {
            let bytes = try await file.write(name, from: source, replace: context.replace)
            return ReplayOutcome(bytes: ByteCount(bytes))
        }
        let bytes = try await source.document(name)
        try await file.write(bytes, replace: context.replace)
        return ReplayOutcome(bytes: ByteCount(UInt64(bytes.count)))
    }

    func file(_ part: SnapshotPart, _ source: any ReplaySource, _ directory: String) -> String {
        let name: String
        if let database = part.attributes["database"] {
            name = ReplayDirectory.fileName(database) + ".dump"
        } else {
            name = part.name.split(separator: "/").map { ReplayDirectory.fileName(String($0)) }
                .joined(separator: "/")
        }
        return ReplayDirectory.path(directory, for: source.snapshot) + "/" + name
    }

    // MARK: Steps here

    static func specification(of service: Service, _ snapshot: SnapshotRecord) throws
        -> PostgresSpecification
    {
        for case .postgres(let postgres) in service.workloads
        where WorkloadID(service: service.name, kind: .postgres, name: postgres.name)
            == snapshot.workload
        {
            return postgres
        }
        throw Failure(
            .usage,
            "service \(service.name): the configuration has no PostgreSQL server for "
                + "\(snapshot.workload)",
            hint: "restore to a directory, or add the service to the configuration")
    }

    /// Waits until the final server answers.
    ///
    /// The official image's entrypoint first starts a server that only listens on its socket, runs
    /// its scripts and stops it again: in a container only an answer over TCP counts.
    private func waitUntilReady(_ specification: PostgresSpecification, _ context: WorkloadContext)
        async throws -> ReplayOutcome
    {
        let start = ContinuousClock.now
        var lastError = Failure(.failed, "the server did not answer")
        while ContinuousClock.now - start < patience {
            do {
                let client = try await place.client(specification, context: context)
                if try await isFinal(client, specification),
                    try await client.text("SELECT 1") == "1"
                {
                    return ReplayOutcome()
                }
            } catch {
                try Task.checkCancellation()
                lastError = Failure(wrapping: error)
                if lastError.code == .usage { throw lastError }
            }
            try await Task.sleep(for: .milliseconds(200))
        }
        lastError.hint = lastError.hint ?? "is the server running, and is its address right?"
        throw lastError.during("no answer after \(TimeSpan(patience))")
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
