public import Engine
public import Model

/// Captures a PostgreSQL cluster with its own client programs: roles, every database, and what no
/// dump holds.
public struct PostgresDriver: WorkloadDriver {
    /// Makes the way into a container: its name, its Engine where one is named, the context.
    public typealias ContainerRunner =
        @Sendable (_ name: String, _ engine: String?, WorkloadContext) async throws
        -> any ProgramRunner

    public let kind = WorkloadKind.postgres
    static let globals = "globals.sql"
    static let cluster = "cluster.json"
    let place: PostgresPlace
    /// How long a server may take to answer after its container was started.
    let patience: Duration

    /// - Parameters:
    ///   - container: Runs programs in containers.
    ///   - patience: How long a replay waits for the server to answer.
    public init(
        container: @escaping ContainerRunner = Self.inContainer, patience: Duration = .seconds(180)
    ) {
        place = PostgresPlace(container: container)
        self.patience = patience
    }

    /// The programs of a container of the named Engine, of the context's, or of this machine's.
    @Sendable
    public static func inContainer(
        _ name: String, _ engine: String?, _ context: WorkloadContext
    ) async throws -> any ProgramRunner {
        let engine = try await DockerEngine.connect(host: engine ?? context.dockerHost)
        return ContainerPrograms(engine: engine, container: name)
    }

    public func capture(
        _ workload: WorkloadSpecification, of service: Service, into sink: any CaptureSink,
        context: WorkloadContext
    ) async throws -> CaptureOutcome {
        guard case .postgres(let specification) = workload else {
            throw Failure(.usage, "service \(service.name): no PostgreSQL server to capture")
        }
        var client = try await place.client(specification, context: context)
        let version = try await client.versionNumber()
        client = try await PostgresPlace.fitting(client, major: version / 10000)
        let clientVersion = try await Self.checkedClientVersion(client, server: version)
        var description = try await client.describe(clientVersion: clientVersion)
        let databases = try Self.chosen(specification.databases, of: description, client)

        var outcome = CaptureOutcome(consistency: .application)
        try await sink.document(
            Self.globals, try await Self.globals(client), attributes: [:])
        for name in databases {
            let extensions: [ClusterDescription.Extension]
            do { extensions = try await client.extensions(of: name) } catch let error as Failure {
                throw error.during("database \(printable(name.utf8))")
            }
            if let index = description.databases.firstIndex(where: { $0.name == name }) {
                description.databases[index].extensions = extensions
            }
            context.report("dumping database \(printable(name.utf8))")
            try await dump(name, client, into: sink, outcome: &outcome)
        }
        description.databases.removeAll { !databases.contains($0.name) }
        try await saveConfiguration(client, &description, into: sink, outcome: &outcome)
        try await sink.document(
            Self.cluster, try StableJSON.encodePretty(description), attributes: [:])
        if outcome.proof.rows.values.allSatisfy({ $0 == 0 }), !service.allowEmpty {
            outcome.suspicions.append("\(client.name): no table of any database has a row")
        }
        return outcome
    }

    static func part(_ database: String) -> String { "database/\(database).dump" }

    // MARK: Before the dumps

    /// pg_dump refuses servers newer than itself, but only when it is half done with them.
    private static func checkedClientVersion(_ client: PostgresClient, server: Int) async throws
        -> String
    {
        let result = try await client.programs.run(
            ProgramCall(
                [client.directory + "pg_dump", "--version"], user: client.systemUser,
                timeout: TimeSpan(seconds: 60)))
        // pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
        let words = result.text.split(whereSeparator: \.isWhitespace)
        guard result.succeeded, words.count >= 3,
            let major = Int(words[2].prefix { $0.isNumber })
        else { throw client.failure("pg_dump --version", result, side: .source) }
        guard major >= server / 10000 else {
            throw Failure(
                .failed,
                "\(client.name) is PostgreSQL \(server / 10000), but its pg_dump is of "
                    + "version \(words[2])",
                hint: "install the client programs of PostgreSQL \(server / 10000)", side: .source)
        }
        return words.dropFirst(2).joined(separator: " ")
    }

    private static func chosen(
        _ wanted: [String], of description: ClusterDescription, _ client: PostgresClient
    ) throws -> [String] {
        let present = description.databases.map(\.name)
        if wanted.isEmpty { return present }
        let missing = wanted.filter { !present.contains($0) }
        guard missing.isEmpty else {
            let names = missing.map { printable($0.utf8) }.joined(separator: ", ")
            throw Failure(
                .failed, "\(client.name) has no database \(names)",
                hint: "correct databases: of the service", side: .source)
        }
        return present.filter(wanted.contains)
    }

    private static func globals(_ client: PostgresClient) async throws -> [UInt8] {
        var call = client.call(
            "pg_dumpall",
            ["--globals-only", "-d", SQLText.connection(to: client.maintenance)])
        call.environment["PGCLIENTENCODING"] = "UTF8"
        call.timeout = TimeSpan(seconds: 3600)
        let result = try await client.programs.run(call)
        guard result.succeeded else {
            throw client.failure("pg_dumpall --globals-only", result, side: .source)
        }
        guard result.text.contains("PostgreSQL database cluster dump complete") else {
            throw Failure(
                .failed, "\(client.name): what pg_dumpall wrote is not whole", side: .source)
        }
        return result.output
    }

    // MARK: Dumps

    private func dump(
        _ database: String, _ client: PostgresClient, into sink: any CaptureSink,
        outcome: inout CaptureOutcome
    ) async throws {
        let shown = printable(database.utf8)
        let inspector = DumpInspector(database: database)
        // Ten minutes for a lock that somebody holds: without a limit the night would hang.
        let call = client.call(
            "pg_dump",
            [
                "--format=custom", "--compress=0", "--lock-wait-timeout=600000", "-d",
                SQLText.connection(to: database),
            ])
        let (bytes, result) = try await ProgramStreams(programs: client.programs).capture(
            call, into: sink, as: Self.part(database), of: .rows,
            attributes: ["database": database], observer: inspector)
        guard result.succeeded else {
            throw client.failure("pg_dump of database \(shown)", result, side: .source)
        }
        guard bytes > 0 else {
            throw Failure(
                .failed, "\(client.name): the dump of database \(shown) is empty", side: .source)
        }
        switch inspector.verdict {
        case .whole(let content):
            for (key, count) in content.rows { outcome.proof.rows[key.text] = count }
            for (key, value) in content.sequences { outcome.proof.sequences[key.text] = value }
            if content.largeObjects > 0 {
                outcome.proof.rows[Self.largeObjects(of: database).text] = content.largeObjects
            }
            if content.unnamed > 0 {
                outcome.notes.append(
                    "database \(shown): \(content.unnamed) tables and sequences whose names are "
                        + "not UTF-8 are saved, but not counted")
            }
        case .truncated(let reason):
            throw Failure(
                .failed, "\(client.name): the dump of database \(shown) is cut: \(reason)",
                side: .source, isTransient: true)
        case .unreadable(let reason):
            outcome.notes.append(
                "database \(shown): rows were not counted, because the dump was not understood "
                    + "(\(reason)); what a restore brings back cannot be compared")
        }
        let warnings = result.errorText.split(whereSeparator: \.isNewline)
            .filter { $0.contains("warning:") }
        outcome.notes += warnings.prefix(3).map {
            "database \(shown): \(printable($0.utf8))"
        }
    }

    /// Large objects are proven by their number.
    static func largeObjects(of database: String) -> ProofKey {
        ProofKey(database: database, schema: "pg_catalog", name: "pg_largeobject_metadata")
    }

    // MARK: Configuration files

    private func saveConfiguration(
        _ client: PostgresClient, _ description: inout ClusterDescription,
        into sink: any CaptureSink, outcome: inout CaptureOutcome
    ) async throws {
        let files: [PostgresClient.ConfigurationFile]
        do { files = try await client.configurationFiles() } catch is CancellationError {
            throw CancellationError()
        } catch {
            outcome.notes.append(
                "\(client.name): its configuration files were not saved "
                    + "(\(Failure(wrapping: error).cause ?? "not readable"))")
            return
        }
        var taken: Set<String> = []
        for file in files {
            guard let content = file.content.flatMap(Self.decodeBase64) else { continue }
            let name = file.path.split(separator: "/").last.map(String.init) ?? "file"
            var part = "configuration/\(name)"
            while !taken.insert(part).inserted { part += "~" }
            try await sink.document(part, content, attributes: ["path": file.path])
            description.configuration[file.path] = part
        }
    }

    /// PostgreSQL breaks its base 64 into lines.
    private static func decodeBase64(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in text.utf8 {
            let value: UInt8
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = byte - 65
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = byte - 97 + 26
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte - 48 + 52
            case UInt8(ascii: "+"): value = 62
            case UInt8(ascii: "/"): value = 63
            case UInt8(ascii: "="), 10, 13: continue
            default: return nil
            }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return bytes
    }
}
