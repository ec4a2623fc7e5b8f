import Model

/// Makes a ``Model/Service`` of one entry of `services:`.
struct ServiceReader {
    var absolute: (String) -> String
    /// What holds for a service that sets no objectives of its own.
    var objectives: Objectives
    /// What holds for a service that sets no thresholds of its own.
    var plausibility = PlausibilityRules()

    func service(
        _ name: String, _ value: ConfigurationValue, problems: inout ProblemList
    ) -> Service {
        var service = Service(
            name: ServiceName(name), workloads: workloads(name, value, problems: &problems))
        if let proxmox = value["proxmox"].flatMap({ self.proxmox($0, problems: &problems) }) {
            service.workloads.append(.proxmox(proxmox))
        }
        service.after = value["after"]?.texts.map { ServiceName($0) } ?? []
        for check in value["check"]?.items ?? [] {
            let path = "services.\(name).check"
            if let check = self.check(check, of: service, path: path, problems: &problems) {
                service.checks.append(check)
            }
        }
        for check in value["drill"]?.items ?? [] {
            let path = "services.\(name).drill"
            if let check = self.check(check, of: service, path: path, problems: &problems) {
                service.assertions.append(check)
            }
        }
        for manual in value["manual"]?.items ?? [] {
            guard let message = manual["message"]?.text else { continue }
            let moment = manual["when"]?.text.flatMap(ManualStep.Moment.init(rawValue:))
            service.manual.append(ManualStep(message, moment ?? .after))
        }
        service.objectives.rto = value["rto"]?.span ?? objectives.rto
        service.objectives.rpo = value["rpo"]?.span ?? objectives.rpo
        service.consistency = consistency(name, value, problems: &problems)
        service.group = value["group"]?.text
        service.allowEmpty = value["allow_empty"]?.flag ?? false
        service.retention = value["retention"].map { retention($0, problems: &problems) }
        service.hooks = value["hooks"].map(Self.hooks) ?? Hooks()
        service.priority = value["priority"]?.integer ?? service.priority
        service.timeout = value["timeout"]?.span
        service.plausibility = Self.plausibility(value["plausibility"], default: plausibility)
        return service
    }

    /// The rules of a `retention:`, a service's own or that of all.
    func retention(
        _ value: ConfigurationValue, problems: inout ProblemList
    ) -> RetentionPolicy {
        func count(_ key: String) -> Int { value[key]?.integer ?? 0 }
        let policy = RetentionPolicy(
            last: count("last"), daily: count("daily"), weekly: count("weekly"),
            monthly: count("monthly"), yearly: count("yearly"), within: value["within"]?.span)
        if policy == RetentionPolicy(), value.isFilled {
            problems.add(
                value.position, "retention has no rule that keeps anything",
                hint: "set one, or remove retention to keep every snapshot")
        }
        return policy
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
    private func workloads(
        _ name: String, _ value: ConfigurationValue, problems: inout ProblemList
    ) -> [WorkloadSpecification] {
        var workloads: [WorkloadSpecification] = []
        if let docker = value["docker"], let specification = self.docker(docker) {
            workloads.append(.docker(specification))
        }
        for (key, address) in [("postgres", "url"), ("mariadb", "address")] {
            guard let host = value[key]?["host"], value[key]?[address] != nil, let text = host.text,
                let problem = TextRule.machine.problem(with: text)
            else { continue }
            problems.add(
                host.position, "services.\(name).\(key).host beside \(address) \(problem.message)",
                hint: "remove it: without it the client programs run on this machine")
        }
        if let postgres = value["postgres"].flatMap(self.postgres) {
            workloads.append(.postgres(postgres))
        }
        if let mariadb = value["mariadb"].flatMap(self.mariadb) {
            workloads.append(.mariadb(mariadb))
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
                        restore: command["restore"]?.words, host: command["host"]?.text)))
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
            subject: subject, engine: value["host"]?.text, image: image ?? .whenLocal,
            excludedMounts: value["exclude"]?.texts ?? [])
    }

    private func postgres(_ value: ConfigurationValue) -> PostgresSpecification? {
        let server: PostgresSpecification.Server
        if let name = value["container"]?.text {
            server = .container(name, engine: value["host"]?.text)
        } else if let url = value["url"]?.text {
            server = .url(url)
        } else {
            return nil
        }
        return PostgresSpecification(
            server: server, databases: value["databases"]?.texts ?? [],
            user: value["user"]?.text, password: password(value),
            host: value["url"] == nil ? nil : value["host"]?.text)
    }

    /// Where the password of a database server comes from; nil where nothing says so.
    func password(_ value: ConfigurationValue) -> SecretSource? { secret(value, "password") }

    /// The secret of one of the keys `name_file`, `name_env` and `name_command`.
    func secret(_ value: ConfigurationValue, _ name: String) -> SecretSource? {
        if let path = value["\(name)_file"]?.text { return .file(absolute(path)) }
        if let variable = value["\(name)_env"]?.text { return .environment(variable) }
        return value["\(name)_command"]?.words.map { .command($0) }
    }

    private func files(_ value: ConfigurationValue) -> FilesSpecification {
        guard value.isRecord else {
            return FilesSpecification(paths: value.texts.map(absolute))
        }
        var files = FilesSpecification(
            paths: value["paths"]?.texts.map(absolute) ?? [],
            exclude: value["exclude"]?.texts ?? [],
            oneFileSystem: value["one_file_system"]?.flag ?? true, host: value["host"]?.text)
        files.restoreTo = value["restore_to"]?.text.map(absolute)
        return files
    }

    private func check(
        _ value: ConfigurationValue, of service: Service, path: String,
        problems: inout ProblemList
    ) -> CheckSpecification? {
        if value["sql"] == nil, let only = value["database"] {
            problems.add(
                only.position, "\(path).database has a meaning only beside sql",
                hint: "remove it, or ask a database with sql")
        }
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
            } else if let query = value["sql"]?.text {
                if !service.workloads.contains(where: { $0.kind == .postgres }) {
                    problems.add(
                        value.position,
                        "\(path).sql asks a PostgreSQL server, and the service has none",
                        hint: "put the check at the service that has postgres:")
                }
                kind = .sql(
                    query: query, database: value["database"]?.text, service: service.name)
            } else {
                return nil
            }
        }
        guard let timeout = value["timeout"]?.span else { return CheckSpecification(kind) }
        return CheckSpecification(kind, timeout: timeout)
    }
}
