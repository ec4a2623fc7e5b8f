import Engine
import Model

/// Looks at the containers and volumes of an Engine as they are.
struct DockerDiscovery: Sendable {
    let engine: DockerEngine
    let postgres: PostgresDriver
    let mariadb: MariaDBDriver
    let context: WorkloadContext
    /// Whether something of this name is wanted.
    let isWanted: @Sendable (String) -> Bool
    /// Dependencies that a Compose file tells, by service.
    let composeDependencies: @Sendable (_ path: String) -> [String: [String]]

    /// Adds proposals to `discovery`.
    func run(_ discovery: inout Discovery, names: inout ServiceNames) async throws {
        let processes = await localProcesses()
        var containers: [ContainerFacts] = []
        for summary in try await engine.containers().sorted(by: { $0.name < $1.name }) {
            guard let found = try await engine.find(container: summary.id) else { continue }
            var facts = ContainerFacts(inspection: found)
            guard isWanted(facts.name) || isWanted(facts.labels.project ?? facts.name) else {
                continue
            }
            if let reason = facts.uselessness {
                discovery.leftOut.append("container \(facts.name): \(reason)")
                continue
            }
            try await look(into: &facts, processes)
            containers.append(facts)
        }
        let files = Set(containers.flatMap { $0.labels.files })
        let composed = Dictionary(
            uniqueKeysWithValues: files.map { ($0, composeDependencies($0)) })
        let needs = ContainerNeeds(containers, composed: composed)
        try await propose(containers, needs, &discovery, &names)
        try await proposeVolumes(besides: containers, &discovery, &names)
    }

    // MARK: Looking

    private func localProcesses() async -> [LocalProcess] {
        guard !engine.isRemote else { return [] }
        return (try? await BlockingPool.shared.run { LocalProcess.all() }) ?? []
    }

    private func look(
        into facts: inout ContainerFacts, _ processes: [LocalProcess]
    ) async throws {
        for program in try await programs(in: facts.inspection, processes) {
            guard let kind = ServerKind(program: program) else { continue }
            facts.server = kind
            facts.serverEvidence = "\(program) runs in it"
            break
        }
        try await excludeUnreadable(&facts)
        let survey: DockerSurvey
        do {
            var surveyor = try await DockerSurveyor(
                engine: engine, specification: specification(of: facts))
            survey = try await surveyor.run()
        } catch {
            if error is CancellationError { throw error }
            facts.notes.append(Failure(wrapping: error).description)
            return
        }
        facts.notes += survey.notes
        guard !engine.isRemote else { return }
        var places = survey.volumes.compactMap { volume in
            volume.path.map { (shown: "volume \(volume.inspection.name):", path: $0) }
        }
        places += survey.binds.map { (shown: $0.path, path: $0.resolved) }
        let looked = try await BlockingPool.shared.run { [places] in
            places.map { place in
                (
                    place: place, kind: ServerKind(directory: place.path),
                    search: SQLiteSearch(in: place.path),
                    proxies: NameReferences.proxyFiles(in: place.path)
                )
            }
        }
        for found in looked {
            if facts.server == nil, let kind = found.kind {
                facts.server = kind
                facts.serverEvidence =
                    "\(found.place.shown) holds the files of a \(kind.title) server"
            }
            facts.databases += found.search.found.map { found.place.shown + $0 }
            facts.proxyFiles += found.proxies
            if found.search.isCut {
                facts.notes.append(
                    "\(found.place.shown) has more than \(SQLiteSearch.limit) entries: the rest was "
                        + "not looked at for SQLite databases")
            }
        }
    }

    private func specification(of facts: ContainerFacts) -> DockerSpecification {
        DockerSpecification(
            subject: .container(facts.name), excludedMounts: facts.excluded.map(\.mount))
    }

    /// Volumes of drivers that keep their data elsewhere, and mounts of what is not there.
    private func excludeUnreadable(_ facts: inout ContainerFacts) async throws {
        for mount in facts.inspection.mounts {
            guard mount.type == "volume", let name = mount.name else { continue }
            do {
                var surveyor = try await DockerSurveyor(
                    engine: engine, specification: DockerSpecification(subject: .volume(name)))
                _ = try await surveyor.run()
            } catch {
                if error is CancellationError { throw error }
                facts.excluded.append((name, Failure(wrapping: error).description))
            }
        }
        guard !engine.isRemote else { return }
        for mount in facts.inspection.mounts where mount.type == "bind" {
            let source = try? await BlockingPool.shared.run {
                try MountRules.look(at: mount.source, mounts: [])
            }
            if source?.kind == .missing {
                facts.excluded.append((mount.destination, "\(mount.source) does not exist"))
            }
        }
    }

    /// The programs that run in a container.
    private func programs(
        in container: ContainerInspection, _ processes: [LocalProcess]
    ) async throws -> [String] {
        guard container.isRunning else { return [] }
        if let first = processes.first(where: { $0.id == container.processID }),
            let namespace = first.namespace, namespace != LocalProcess.ownNamespace
        {
            return processes.filter { $0.namespace == namespace }.map(\.program)
        }
        let top = try? await engine.find(
            engine.request(.get, ["containers", container.id, "top"]))
        guard let titles = top?["Titles"].strings,
            let column = titles.firstIndex(where: { ["CMD", "COMMAND"].contains($0) })
        else { return [] }
        return (top?["Processes"].array ?? []).compactMap { row in
            let fields = row.strings
            return column < fields.count ? LocalProcess.program(of: fields[column]) : nil
        }
    }
}
