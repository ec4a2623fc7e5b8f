import Model

/// Looks for everything that stands in the way of a replay, and changes nothing.
struct DockerPreflight {
    let engine: DockerEngine
    let snapshot: DockerSnapshot
    let target: ReplayTarget
    let information: EngineInformation
    /// Every container on the Engine, as it is now.
    private let existing: [ContainerSummary]
    /// The names that the replay makes anew: what they hold would be free by then.
    private let replaced: Set<String>
    /// Everything that the plan makes.
    private let planned: Set<String>
    private let replace: Bool
    /// Those of the Engine's machine.
    private let files: MachineFiles

    init(
        engine: DockerEngine, snapshot: DockerSnapshot, target: ReplayTarget = .here,
        planned: Set<String> = [], replace: Bool = false
    ) async throws {
        self.target = target
        self.planned = planned
        self.replace = replace
        files = try engine.files
        self.engine = engine
        self.snapshot = snapshot
        information = try await engine.info()
        existing = try await engine.containers()
        let others = planned.filter { $0.hasPrefix("container/") }.map {
            String($0.dropFirst("container/".count))
        }
        replaced = Set(snapshot.containers.map(\.name)).union(others)
    }

    func findings(for steps: [ReplayStep]) async throws -> [PreflightFinding] {
        var findings: [PreflightFinding] = []
        for step in steps {
            let (kind, name) = try DockerStepKind.parse(step.id)
            switch kind {
            case .network: findings += try await network(name)
            case .volume: findings += try await volume(name)
            case .bind: findings += try await bind(name)
            case .image: findings += try await image(name)
            case .container: findings += container(name) + (try sharedPlaces(name))
            case .start: findings += try await start(name)
            case .healthy, .completed, .compose: break
            }
        }
        let volumes = steps.filter { $0.id.hasPrefix(DockerStepKind.volume.id("")) }
        let bytes = volumes.reduce(into: ByteCount(0)) { $0 += $1.bytes }
        if let lack = try await files.lack(of: bytes, at: information.dataRoot) {
            findings.append(lack)
        }
        return findings
    }

    private func network(_ name: String) async throws -> [PreflightFinding] {
        let definition = try snapshot.network(name)
        if let json = try await engine.find(network: name) {
            if definition.isSame(as: NetworkDefinition(json: json)) {
                return [
                    PreflightFinding(
                        .warning, "network \(name) exists already and is used as it is")
                ]
            }
            return [
                PreflightFinding(
                    .conflict, "network \(name) exists already and is another one",
                    hint: "it is removed and made anew when it is replaced",
                    name: "network/\(name)")
            ]
        }
        let isMoved = !definition.subnets.isEmpty && target.place?.subnets.isEmpty == false
        guard isMoved || snapshot.hasStaticAddress(on: name) else { return [] }
        let wanted = definition.subnets.compactMap(Subnet.init)
        return try await engine.networks().compactMap { json in
            let other = NetworkDefinition(json: json)
            guard
                other.subnets.compactMap(Subnet.init).contains(where: { subnet in
                    wanted.contains { $0.overlaps(subnet) }
                })
            else { return nil }
            return PreflightFinding(
                .blocker, "the addresses of network \(name) are taken by network \(other.name)")
        }
    }

    private func volume(_ name: String) async throws -> [PreflightFinding] {
        var findings: [PreflightFinding] = []
        let definition = try snapshot.volume(name)
        if let volume = try await engine.find(volume: name) {
            let isPlain = volume.driver == "local" && volume.options.isEmpty
            var isEmpty = isPlain
            if isPlain {
                isEmpty = try await files.place(at: volume.mountPoint).state != .taken
            }
            findings.append(
                isEmpty
                    ? PreflightFinding(.warning, "volume \(name) exists already and is empty")
                    : PreflightFinding(
                        .conflict, "volume \(name) exists already",
                        hint: "what it holds is moved into another volume when it is replaced",
                        name: "volume/\(name)"))
        }
        if let directory = definition.boundDirectory { findings += try await place(directory) }
        if let place = target.place, let reason = definition.obstacle(at: place) {
            findings.append(
                PreflightFinding(
                    .blocker, reason, hint: "leave out the services that use it"))
        }
        // Also those that have ended: they keep the volume from being removed.
        for holder in try await engine.containers(filters: ["volume": [name]])
        where !planned.contains("container/\(holder.name)") && !isAside(holder) {
            findings.append(
                PreflightFinding(
                    replace ? .blocker : .conflict,
                    "volume \(name) is held by container \(holder.name) (\(holder.state))",
                    hint: "remove that container: this plan does not bring it back"))
        }
        return findings
    }

    private func bind(_ path: String) async throws -> [PreflightFinding] {
        let others = existing.filter { summary in
            !planned.contains("container/\(summary.name)") && !isAside(summary)
                && (summary.json["Mounts"].array?.contains { $0["Source"].string == path } ?? false)
        }
        let severity: PreflightFinding.Severity =
            target.place?.sharesPaths == true ? .blocker : .conflict
        return try await place(path)
            + others.map {
                PreflightFinding(severity, "\(path) is held by container \($0.name) (\($0.state))")
            }
    }

    private func place(_ path: String) async throws -> [PreflightFinding] {
        guard try await files.place(at: path).state == .taken else { return [] }
        return [target.taken("\(path) exists already and is not empty", path: path)]
    }

    /// A container that an earlier attempt moved aside is stopped and in nobody's way.
    private func isAside(_ container: ContainerSummary) -> Bool {
        container.name.contains("_before_") && container.state == "exited"
    }

    private func image(_ id: String) async throws -> [PreflightFinding] {
        let identity = try snapshot.image(id)
        if identity.part != nil { return [] }
        if try await ImageSupply(engine: engine, identity: identity).find() != nil { return [] }
        for digest in identity.digests where try await engine.isInRegistry(digest) {
            return [
                PreflightFinding(
                    .warning, "image \(identity.reference) will be pulled as \(digest)")
            ]
        }
        return [
            PreflightFinding(
                .blocker,
                "image \(identity.reference) is not there, was not saved and cannot be pulled",
                hint: "run: docker pull \(identity.digests.first ?? identity.reference)")
        ]
    }

    /// What a copy would share with what it is a copy of.
    private func sharedPlaces(_ name: String) throws -> [PreflightFinding] {
        guard target.place?.isBeside == true else { return [] }
        return try snapshot.container(name).sharedPlaces.map {
            PreflightFinding(
                .warning, "container \(name) writes to \($0) of the machine, like the original",
                hint: "leave out its service if that must not be")
        }
    }

    private func container(_ name: String) -> [PreflightFinding] {
        existing.filter { $0.name == name }.map {
            PreflightFinding(
                .conflict, "container \(name) exists already (\($0.state))",
                hint: "it is stopped and renamed when it is replaced", name: "container/\(name)")
        }
    }

    private func start(_ name: String) async throws -> [PreflightFinding] {
        let definition = try snapshot.container(name)
        var findings = definition.publishedPorts.compactMap { finding(for: $0, of: name) }
        if let runtime = definition.hostConfig["Runtime"].string,
            let known = information.json["Runtimes"].object, known[runtime] == nil
        {
            findings.append(
                PreflightFinding(
                    .blocker, "container \(name) needs the runtime \(runtime), which Docker lacks"))
        }
        for device in definition.hostConfig["Devices"].array ?? [] {
            guard let path = device["PathOnHost"].string, try await !files.exists(path) else {
                continue
            }
            findings.append(
                PreflightFinding(.blocker, "container \(name) needs \(path), which does not exist"))
        }
        return findings + (try await addressFindings(definition))
    }

    private func addressFindings(
        _ definition: ContainerDefinition
    ) async throws -> [PreflightFinding] {
        var findings: [PreflightFinding] = []
        for attachment in definition.networks {
            let wanted = attachment.endpoint["IPAMConfig"]["IPv4Address"].string
            guard let wanted, let json = try await engine.find(network: attachment.network) else {
                continue
            }
            for holder in (json["Containers"].object ?? [:]).values {
                let address = holder["IPv4Address"].string?.prefix { $0 != "/" }
                guard let other = holder["Name"].string, !replaced.contains(other),
                    address.map(String.init) == wanted
                else { continue }
                findings.append(
                    PreflightFinding(
                        .blocker,
                        "the address \(wanted) of container \(definition.name) is taken by "
                            + "container \(other)"))
            }
        }
        return findings
    }

    private func finding(for port: PublishedPort, of name: String) -> PreflightFinding? {
        let holder = existing.first { summary in
            summary.json["Ports"].array?.contains {
                $0["PublicPort"].integer == Int64(port.number)
                    && $0["Type"].string == port.kind.rawValue
            } ?? false
        }
        if let holder, replaced.contains(holder.name) { return nil }
        // A port of another machine cannot be tried from here.
        switch files.destination == nil ? port.look() : holder == nil ? .free : .taken {
        case .free: return nil
        case .taken:
            let who = holder.map { "container \($0.name)" } ?? "another program"
            return PreflightFinding(
                .blocker, "port \(port) of container \(name) is taken by \(who)")
        case .noSuchAddress:
            return PreflightFinding(
                .blocker,
                "container \(name) listens on \(port.address), which this machine does not have")
        }
    }
}
