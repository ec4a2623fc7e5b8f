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
            "repository": .string(configuration.repository),
            "catalog": configuration.catalog.map { .string($0) },
            "objectives": objectives(configuration.objectives),
            "retention": retention(configuration.retention),
            "docker": configuration.dockerHost.map { ["host": .string($0)] },
            "compression": ["level": .integer(Int64(configuration.compressionLevel))],
            "services": configuration.services.isEmpty
                ? nil
                : .object(
                    configuration.services.map { JSONMember($0.name.text, service($0)) }),
        ])
    }

    private func span(_ span: TimeSpan?) -> JSONValue? {
        span.map { value($0) }
    }

    private func value(_ span: TimeSpan) -> JSONValue {
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
            case .files(let files): members.append(JSONMember("files", self.files(files)))
            case .sqlite(let sqlite): databases.append(.string(sqlite.path))
            case .command(let command): members.append(JSONMember("command", self.command(command)))
            }
        }
        if !databases.isEmpty { members.append(JSONMember("sqlite", .array(databases))) }
        let rest = JSONValue.members([
            "after": list(service.after.map(\.text)),
            "check": service.checks.isEmpty ? nil : .array(service.checks.map(check)),
            "rto": span(service.objectives.rto), "rpo": span(service.objectives.rpo),
            "consistency": .string(service.consistency.rawValue),
            "group": service.group.map { .string($0) },
            "allow_empty": .bool(service.allowEmpty),
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
        if let excluded = list(docker.excludedMounts) {
            members.append(JSONMember("exclude", excluded))
        }
        return .object(members)
    }

    private func postgres(_ postgres: PostgresSpecification) -> JSONValue {
        var server: (container: JSONValue?, url: JSONValue?)
        switch postgres.server {
        case .container(let name, _): server.container = .string(name)
        case .url(let url): server.url = .string(url)
        }
        var password: (file: JSONValue?, variable: JSONValue?, command: JSONValue?)
        switch postgres.password {
        case .file(let path): password.file = .string(path)
        case .environment(let name): password.variable = .string(name)
        case .command(let words): password.command = .strings(words)
        case nil: break
        }
        return .members([
            "container": server.container, "url": server.url,
            "databases": list(postgres.databases), "user": postgres.user.map { .string($0) },
            "password_file": password.file, "password_env": password.variable,
            "password_command": password.command,
        ])
    }

    private func files(_ files: FilesSpecification) -> JSONValue {
        .members([
            "paths": .strings(files.paths), "exclude": list(files.exclude),
            "one_file_system": .bool(files.oneFileSystem),
        ])
    }

    private func command(_ command: CommandSpecification) -> JSONValue {
        .members([
            "name": .string(command.name), "capture": .strings(command.capture),
            "restore": command.restore.map { .strings($0) },
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
            }
        guard case .object(let members) = kind else { return kind }
        return .object(members + [timeout])
    }
}
