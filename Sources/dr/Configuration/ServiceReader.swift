import Model

/// Makes a ``Model/Service`` of one entry of `services:`.
struct ServiceReader {
    var absolute: (String) -> String
    /// What holds for a service that sets no objectives of its own.
    var objectives: Objectives

    func service(
        _ name: String, _ value: ConfigurationValue, problems: inout ProblemList
    ) -> Service {
        var service = Service(name: ServiceName(name), workloads: workloads(value))
        service.after = value["after"]?.texts.map { ServiceName($0) } ?? []
        for check in value["check"]?.items ?? [] {
            let path = "services.\(name).check"
            if let check = self.check(check, path: path, problems: &problems) {
                service.checks.append(check)
            }
        }
        service.objectives.rto = value["rto"]?.span ?? objectives.rto
        service.objectives.rpo = value["rpo"]?.span ?? objectives.rpo
        service.consistency = consistency(name, value, problems: &problems)
        service.group = value["group"]?.text
        service.allowEmpty = value["allow_empty"]?.flag ?? false
        return service
    }

    private func consistency(
        _ name: String, _ value: ConfigurationValue, problems: inout ProblemList
    ) -> CaptureMode {
        let own = value["consistency"]
        let inner = value["docker"]?["consistency"]
        if let inner, let own, inner.text != own.text {
            problems.add(
                inner.position,
                "services.\(name).docker.consistency contradicts services.\(name).consistency",
                hint: "keep one of the two")
        }
        return (own ?? inner)?.text.flatMap(CaptureMode.init(rawValue:)) ?? .live
    }

    /// In the order in which they are captured and shown, whatever the order of the file.
    private func workloads(_ value: ConfigurationValue) -> [WorkloadSpecification] {
        var workloads: [WorkloadSpecification] = []
        if let docker = value["docker"], let specification = self.docker(docker) {
            workloads.append(.docker(specification))
        }
        if let postgres = value["postgres"], let specification = self.postgres(postgres) {
            workloads.append(.postgres(specification))
        }
        if let files = value["files"] { workloads.append(.files(self.files(files))) }
        for path in value["sqlite"]?.texts ?? [] {
            workloads.append(.sqlite(SQLiteSpecification(path: absolute(path))))
        }
        if let command = value["command"], let capture = command["capture"]?.words {
            workloads.append(
                .command(
                    CommandSpecification(
                        name: command["name"]?.text ?? "command", capture: capture,
                        restore: command["restore"]?.words)))
        }
        return workloads
    }

    private func docker(_ value: ConfigurationValue) -> DockerSpecification? {
        let subject: DockerSpecification.Subject
        if let name = value["container"]?.text {
            subject = .container(name)
        } else if let name = value["project"]?.text {
            subject = .project(name)
        } else if let name = value["volume"]?.text {
            subject = .volume(name)
        } else {
            return nil
        }
        let image = value["image"]?.text.flatMap(DockerSpecification.ImagePolicy.init(rawValue:))
        return DockerSpecification(
            subject: subject, image: image ?? .whenLocal,
            excludedMounts: value["exclude"]?.texts ?? [])
    }

    private func postgres(_ value: ConfigurationValue) -> PostgresSpecification? {
        let server: PostgresSpecification.Server
        if let name = value["container"]?.text {
            server = .container(name, engine: nil)
        } else if let url = value["url"]?.text {
            server = .url(url)
        } else {
            return nil
        }
        let password: SecretSource? =
            if let path = value["password_file"]?.text {
                .file(absolute(path))
            } else if let variable = value["password_env"]?.text {
                .environment(variable)
            } else if let words = value["password_command"]?.words {
                .command(words)
            } else {
                nil
            }
        return PostgresSpecification(
            server: server, databases: value["databases"]?.texts ?? [],
            user: value["user"]?.text, password: password)
    }

    private func files(_ value: ConfigurationValue) -> FilesSpecification {
        guard value.isRecord else {
            return FilesSpecification(paths: value.texts.map(absolute))
        }
        return FilesSpecification(
            paths: value["paths"]?.texts.map(absolute) ?? [],
            exclude: value["exclude"]?.texts ?? [],
            oneFileSystem: value["one_file_system"]?.flag ?? true)
    }

    private func check(
        _ value: ConfigurationValue, path: String, problems: inout ProblemList
    ) -> CheckSpecification? {
        let kind: CheckSpecification.Kind
        if let url = value["http"]?.text {
            kind = .http(
                url: url, status: value["expect"]?.integer ?? 200, body: value["body"]?.text)
        } else {
            for key in ["expect", "body"] {
                guard let only = value[key] else { continue }
                problems.add(
                    only.position, "\(path).\(key) has a meaning only beside http",
                    hint: "remove it, or check an address with http")
            }
            if let (host, port) = value["tcp"]?.text.flatMap(TextRule.hostAndPort) {
                kind = .tcp(host: host, port: port)
            } else if let words = value["command"]?.words {
                kind = .command(words)
            } else if let name = value["container"]?.text {
                kind = .container(name)
            } else {
                return nil
            }
        }
        guard let timeout = value["timeout"]?.span else { return CheckSpecification(kind) }
        return CheckSpecification(kind, timeout: timeout)
    }
}
