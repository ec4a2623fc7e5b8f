/// One step of a recovery plan.
public struct PlannedStep: Sendable, Hashable, Codable, Identifiable {
    /// What a step does; decides its place in the report and what its failure means.
    public enum Phase: String, Sendable, Hashable, Codable, CaseIterable {
        case prepare, data, start, check
        /// A person does it.
        case manual
        /// The service's own checks: its dependents wait for this.
        case healthy
    }

    /// A driver's step that this one carries out.
    public struct Replay: Sendable, Hashable, Codable {
        public var service: ServiceName
        public var workload: WorkloadID
        public var kind: WorkloadKind
        public var snapshot: SnapshotID
        /// The step's id, and those it needs, within the workload.
        public var step: String
        public var needs: [String]

        public init(
            service: ServiceName, workload: WorkloadID, kind: WorkloadKind,
            snapshot: SnapshotID, step: String, needs: [String]
        ) {
            self.service = service
            self.workload = workload
            self.kind = kind
            self.snapshot = snapshot
            self.step = step
            self.needs = needs
        }
    }

    /// Unique within the plan: `service/kind:name/step`, or `service/healthy`.
    public var id: String
    public var title: String
    /// The services it belongs to; several where their steps make the same thing.
    public var services: [ServiceName]
    public var phase: Phase
    /// Ids of the steps that must be done before.
    public var needs: [String]
    /// The driver's step; nil for a service's checks.
    public var replay: Replay?
    /// Other workloads' steps that make the same names: done when this one is.
    public var merged: [Replay]
    public var checks: [PlannedCheck]
    /// What a person has to do; nil for what needs nobody.
    public var message: String?
    /// Names it makes on the target.
    public var makes: [String]
    /// Bytes it will write, as far as known.
    public var bytes: ByteCount
    /// How much of which resource it holds while it runs, for example `data: 1`.
    public var resources: [String: Int]
    /// How long it will take, and on how many measurements that rests; 0 for an assumption.
    public var estimate: TimeSpan
    public var measurements: Int

    public init(id: String, title: String, service: ServiceName, phase: Phase) {
        self.id = id
        self.title = title
        services = [service]
        self.phase = phase
        needs = []
        merged = []
        checks = []
        makes = []
        bytes = ByteCount(0)
        resources = [:]
        estimate = .zero
        measurements = 0
    }
}

/// A health check as a plan has it.
public struct PlannedCheck: Sendable, Hashable, Codable {
    public var check: CheckSpecification

    public init(_ check: CheckSpecification) { self.check = check }

    private enum Key: String, CodingKey {
        case kind, url, status, body, host, port, command, container, timeout
        case sql, database, service, through
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        let kind: CheckSpecification.Kind
        switch try container.decode(String.self, forKey: .kind) {
        case "http":
            kind = .http(
                url: try container.decode(String.self, forKey: .url),
                status: try container.decode(Int.self, forKey: .status),
                body: try container.decodeIfPresent(String.self, forKey: .body))
        case "tcp":
            kind = .tcp(
                host: try container.decode(String.self, forKey: .host),
                port: try container.decode(Int.self, forKey: .port))
        case "command":
            kind = .command(try container.decode([String].self, forKey: .command))
        case "sql":
            kind = .sql(
                query: try container.decode(String.self, forKey: .sql),
                database: try container.decodeIfPresent(String.self, forKey: .database),
                service: try container.decode(ServiceName.self, forKey: .service))
        case "container":
            kind = .container(try container.decode(String.self, forKey: .container))
        case let unknown:
            throw DecodingError.dataCorruptedError(
                forKey: .kind, in: container, debugDescription: "unknown check: \(unknown)")
        }
        check = CheckSpecification(
            kind, timeout: try container.decode(TimeSpan.self, forKey: .timeout))
        check.through = try container.decodeIfPresent(Detour.self, forKey: .through)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(check.timeout, forKey: .timeout)
        try container.encodeIfPresent(check.through, forKey: .through)
        switch check.kind {
        case .http(let url, let status, let body):
            try container.encode("http", forKey: .kind)
            try container.encode(url, forKey: .url)
            try container.encode(status, forKey: .status)
            try container.encodeIfPresent(body, forKey: .body)
        case .tcp(let host, let port):
            try container.encode("tcp", forKey: .kind)
            try container.encode(host, forKey: .host)
            try container.encode(port, forKey: .port)
        case .command(let words):
            try container.encode("command", forKey: .kind)
            try container.encode(words, forKey: .command)
        case .sql(let query, let database, let service):
            try container.encode("sql", forKey: .kind)
            try container.encode(query, forKey: .sql)
            try container.encodeIfPresent(database, forKey: .database)
            try container.encode(service, forKey: .service)
        case .container(let name):
            try container.encode("container", forKey: .kind)
            try container.encode(name, forKey: .container)
        }
    }
}
