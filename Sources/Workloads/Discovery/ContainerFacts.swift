import Engine
import Model

/// What discovery knows of one container.
struct ContainerFacts: Sendable {
    let inspection: ContainerInspection
    /// A database server that runs in it, or whose files it holds.
    var server: ServerKind?
    /// How the server was recognised, for people.
    var serverEvidence: String?
    /// SQLite databases in what is mounted, as people address them.
    var databases: [String] = []
    /// Mounts whose data cannot be or is not read, by what excludes them, with the reason.
    var excluded: [(mount: String, reason: String)] = []
    /// What its capture would say beside its data.
    var notes: [String] = []
    /// What proxy files in its mounts say.
    var proxyFiles: [String] = []

    var name: String { inspection.name }
    var labels: ComposeLabels { ComposeLabels(labels: inspection.labels) }

    /// The name of its service: what Compose calls it, without a number where there is only one.
    var preferredName: String {
        guard let project = labels.project, let service = labels.service else { return name }
        return inspection.labels["com.docker.compose.container-number"] ?? "1" == "1"
            ? "\(project)-\(service)" : name
    }

    /// Why it is nothing to save; nil when it is.
    var uselessness: String? {
        if inspection.labels["com.docker.compose.oneoff"] == "True" {
            return "it was a single run of a Compose service"
        }
        if inspection.hostConfig["AutoRemove"].bool == true {
            return "it removes itself when it ends (--rm)"
        }
        if inspection.labels["io.kubernetes.pod.name"] != nil { return "Kubernetes made it" }
        let restart = inspection.hostConfig["RestartPolicy"]["Name"].string ?? ""
        if !inspection.isRunning, ["", "no"].contains(restart), inspection.mounts.isEmpty,
            labels.project == nil
        {
            return "it does not run, nothing starts it, and it has no data"
        }
        return nil
    }

    /// The names that others reach it by, on networks that both are on.
    var aliases: Set<String> {
        var names: Set<String> = [name]
        if let service = labels.service { names.insert(service) }
        for network in inspection.networks.values {
            names.formUnion(network["Aliases"].strings)
            names.formUnion(network["DNSNames"].strings)
        }
        // The id's first digits are an alias too, and name nothing that lasts.
        return names.filter { !inspection.id.hasPrefix($0) && $0.utf8.count > 1 }
    }

    /// Networks on which names are resolved.
    var networks: Set<String> { Set(inspection.networks.keys).subtracting(["host", "none"]) }

    /// Ports of this machine that lead to it.
    var publishedPorts: Set<String> {
        let bindings = inspection.hostConfig["PortBindings"].object ?? [:]
        return Set(
            bindings.values.flatMap { $0.array ?? [] }.compactMap { $0["HostPort"].string }
                .filter { !$0.isEmpty && $0 != "0" })
    }

    /// The names among `references` that its environment, command and arguments hold.
    func told(_ references: NameReferences) -> Set<String> {
        var names: Set<String> = []
        for (name, value) in inspection.environment {
            names.formUnion(references.inSetting(value, called: name))
        }
        for word in inspection.config["Cmd"].strings + inspection.config["Entrypoint"].strings {
            names.formUnion(references.inSetting(word))
        }
        return names
    }

    /// Containers that it shares a network, or more, with by name or id.
    var sharesWith: [String] {
        let modes = ["NetworkMode", "IpcMode", "PidMode"].compactMap {
            inspection.hostConfig[$0].string
        }
        return modes.filter { $0.hasPrefix("container:") }.map {
            String($0.dropFirst("container:".count))
        }
            + inspection.hostConfig["Links"].strings.compactMap { link in
                link.split(separator: ":").first.map {
                    $0.hasPrefix("/") ? String($0.dropFirst()) : String($0)
                }
            }
    }
}

/// Which container needs which, and how that is known.
struct ContainerNeeds: Sendable {
    struct Need: Sendable, Hashable {
        var from: String
        var to: String
        var reason: String
    }

    /// The surest first; never a circle.
    private(set) var needs: [Need] = []

    /// - Parameter composed: Further dependencies that Compose files tell, by the file's path: a
    ///   service's name and those that it needs.
    init(_ containers: [ContainerFacts], composed: [String: [String: [String]]]) {
        let known = Set(containers.map(\.name))
        for container in containers {
            for other in containers
            where container.sharesWith.contains(where: { shared in
                shared == other.name || other.inspection.id.hasPrefix(shared) && shared.count >= 12
            }) {
                add(container.name, other.name, "it shares its network or a link", known)
            }
        }
        for container in containers {
            let labels = container.labels
            guard let project = labels.project else { continue }
            var names = labels.dependencies.map(\.service)
            var reason = "depends_on of Compose"
            if names.isEmpty, let service = labels.service {
                names = labels.files.compactMap { composed[$0]?[service] }.flatMap { $0 }
                reason = "depends_on in the Compose file"
            }
            for name in names {
                for other in containers
                where other.labels.project == project && other.labels.service == name {
                    add(container.name, other.name, reason, known)
                }
            }
        }
        // A database server's settings name who uses it, not whom it needs.
        for container in containers where container.server == nil {
            for other in containers where other.name != container.name {
                guard !container.networks.isDisjoint(with: other.networks) else { continue }
                let names = NameReferences(other.aliases)
                if let name = container.told(names).sorted().first {
                    add(container.name, other.name, "its settings name \(name)", known)
                }
            }
        }
        for container in containers {
            for other in containers where other.name != container.name {
                let isNear = !container.networks.isDisjoint(with: other.networks)
                let names = NameReferences(isNear ? other.aliases : [])
                let ports = other.publishedPorts.flatMap { port in
                    ["127.0.0.1:\(port)", "localhost:\(port)", "host.docker.internal:\(port)"]
                }
                for text in container.proxyFiles {
                    if let name = names.inProxyFile(text).sorted().first {
                        add(container.name, other.name, "its proxy file names \(name)", known)
                    } else if let port = ports.first(where: { Self.holds(text, $0) }) {
                        add(container.name, other.name, "its proxy file names \(port)", known)
                    }
                }
            }
        }
    }

    private static func holds(_ text: String, _ address: String) -> Bool {
        guard let range = text.firstRange(of: address) else { return false }
        guard range.upperBound < text.endIndex else { return true }
        return !text[range.upperBound].isNumber
    }

    private mutating func add(_ from: String, _ to: String, _ reason: String, _ known: Set<String>)
    {
        guard from != to, known.contains(to),
            !needs.contains(where: { $0.from == from && $0.to == to }),
            !leads(from: to, to: from)
        else { return }
        needs.append(Need(from: from, to: to, reason: reason))
    }

    /// Whether `start` needs `end`, by way of others or at once.
    private func leads(from start: String, to end: String) -> Bool {
        var seen: Set<String> = [start]
        var pending = [start]
        while let name = pending.popLast() {
            if name == end { return true }
            for need in needs where need.from == name && seen.insert(need.to).inserted {
                pending.append(need.to)
            }
        }
        return false
    }
}
