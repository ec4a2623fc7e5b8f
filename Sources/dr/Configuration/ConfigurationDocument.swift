import Model

/// A configuration as a document that a person or a program can read, defaults filled in.
///
/// As YAML it is itself a valid `dr.yaml` that means the same.
struct ConfigurationDocument {
    var configuration: Configuration
    /// Lengths of time as people write them (`1h30m`); as decimal seconds otherwise.
    var writesSpansInWords = false

    /// As YAML, with lengths of time in words.
    var yaml: String {
        ConfigurationDocument(configuration: configuration, writesSpansInWords: true).json.yaml
    }

    /// With lengths of time in decimal seconds.
    var json: JSONValue {
        .members([
            "repository": repository,
            "copies": copies,
            "catalog": configuration.catalog.map { .string($0) },
            "objectives": objectives(configuration.objectives),
            "retention": retention(configuration.retention),
            "docker": configuration.dockerHost.map { ["host": .string($0)] },
            "compression": ["level": .integer(Int64(configuration.compressionLevel))],
            "backup": night(configuration.night),
            "notify": notify(configuration.notify),
            "metrics": configuration.metrics.map { .string($0) },
            "power": configuration.power.map(power),
            "restore": recovery(configuration.recovery),
            "drill": drill(configuration.drill),
            "contacts": list(configuration.contacts),
            "services": configuration.services.isEmpty
                ? nil
                : .object(
                    configuration.services.map { JSONMember($0.name.text, service($0)) }),
            "targets": targets,
        ])
    }

    func span(_ span: TimeSpan?) -> JSONValue? {
        span.map { value($0) }
    }

    func value(_ span: TimeSpan) -> JSONValue {
        guard writesSpansInWords, span.nanoseconds % 1_000_000_000 == 0 else {
            return .number(span.seconds)
        }
        var rest = span.nanoseconds / 1_000_000_000
        var text = ""
        for (unit, seconds) in [("d", Int64(86400)), ("h", 3600), ("m", 60), ("s", 1)]
        where rest >= seconds {
            text += "\(rest / seconds)\(unit)"
            rest %= seconds
        }
        return .string(text)
    }

    private func objectives(_ objectives: Objectives) -> JSONValue? {
        if objectives == Objectives() { return nil }
        return .members(["rto": span(objectives.rto), "rpo": span(objectives.rpo)])
    }

    private func retention(_ policy: RetentionPolicy) -> JSONValue? {
        if policy == RetentionPolicy() { return nil }
        func count(_ value: Int) -> JSONValue { .integer(Int64(value)) }
        return .members([
            "last": count(policy.last), "daily": count(policy.daily),
            "weekly": count(policy.weekly), "monthly": count(policy.monthly),
            "yearly": count(policy.yearly), "within": span(policy.within),
        ])
    }

    private func service(_ service: Service) -> JSONValue {
        var members: [JSONMember] = []
        var databases: [JSONValue] = []
        for workload in service.workloads {
            switch workload {
            case .docker(let docker): members.append(JSONMember("docker", self.docker(docker)))
            case .postgres(let postgres):
                members.append(JSONMember("postgres", self.postgres(postgres)))
            case .mariadb(let mariadb):
                members.append(JSONMember("mariadb", self.mariadb(mariadb)))
            case .files(let files): members.append(JSONMember("files", self.files(files)))
            case .sqlite(let sqlite): databases.append(.string(sqlite.path))
            case .command(let command): members.append(JSONMember("command", self.command(command)))
            case .proxmox(let proxmox): members.append(JSONMember("proxmox", self.proxmox(proxmox)))
            }
        }
        if !databases.isEmpty { members.append(JSONMember("sqlite", .array(databases))) }
        let rest = JSONValue.members([
            "after": list(service.after.map(\.text)),
            "check": service.checks.isEmpty ? nil : .array(service.checks.map(check)),
            "manual": service.manual.isEmpty ? nil : .array(service.manual.map(manual)),
            "drill": service.assertions.isEmpty ? nil : .array(service.assertions.map(check)),
            "rto": span(service.objectives.rto), "rpo": span(service.objectives.rpo),
            "consistency": .string(service.consistency.rawValue),
            "group": service.group.map { .string($0) },
            "allow_empty": .bool(service.allowEmpty),
            "retention": service.retention.flatMap { retention($0) },
            "hooks": hooks(service.hooks), "priority": .integer(Int64(service.priority)),
            "timeout": span(service.timeout), "plausibility": plausibility(service.plausibility),
        ])
        if case .object(let more) = rest { members += more }
        return .object(members)
    }

    private func list(_ texts: [String]) -> JSONValue? { texts.isEmpty ? nil : .strings(texts) }

    private func docker(_ docker: DockerSpecification) -> JSONValue {
        let subject: JSONMember =
            switch docker.subject {
            case .container(let name): JSONMember("container", .string(name))
            case .project(let name): JSONMember("project", .string(name))
            case .volume(let name): JSONMember("volume", .string(name))
            }
        var members = [subject, JSONMember("image", .string(docker.image.rawValue))]
        if let host = docker.engine { members.append(JSONMember("host", .string(host))) }
        if let excluded = list(docker.excludedMounts) {
            members.append(JSONMember("exclude", excluded))
        }
        return .object(members)
    }

    private func postgres(_ postgres: PostgresSpecification) -> JSONValue {
        let server: (container: JSONValue?, url: JSONValue?, host: JSONValue?)
        switch postgres.server {
        case .container(let name, let engine):
            server = (.string(name), nil, engine.map { .string($0) })
        case .url(let url): server = (nil, .string(url), postgres.host.map { .string($0) })
        }
        let value = JSONValue.members([
            "container": server.container, "url": server.url, "host": server.host,
            "databases": list(postgres.databases), "user": postgres.user.map { .string($0) },
        ])
        guard let source = postgres.password, case .object(let members) = value else {
            return value
        }
        return .object(members + [secret(source, "password")])
    }

    private func files(_ files: FilesSpecification) -> JSONValue {
        .members([
            "paths": .strings(files.paths), "exclude": list(files.exclude),
            "one_file_system": .bool(files.oneFileSystem),
            "restore_to": files.restoreTo.map { .string($0) },
            "host": files.host.map { .string($0) },
        ])
    }

    private func command(_ command: CommandSpecification) -> JSONValue {
        .members([
            "name": .string(command.name), "capture": .strings(command.capture),
            "restore": command.restore.map { .strings($0) },
            "host": command.host.map { .string($0) },
        ])
    }

    private func check(_ check: CheckSpecification) -> JSONValue {
        let timeout = JSONMember("timeout", value(check.timeout))
        let kind: JSONValue =
            switch check.kind {
            case .http(let url, let status, let body):
                .members([
                    "http": .string(url), "expect": .integer(Int64(status)),
                    "body": body.map { .string($0) },
                ])
            case .tcp(let host, let port):
                ["tcp": .string(host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)")]
            case .command(let words): ["command": .strings(words)]
            case .container(let name): ["container": .string(name)]
            case .sql(let query, let database, _):
                .members(["sql": .string(query), "database": database.map { .string($0) }])
            }
        guard case .object(let members) = kind else { return kind }
        return .object(members + [timeout])
    }
}
