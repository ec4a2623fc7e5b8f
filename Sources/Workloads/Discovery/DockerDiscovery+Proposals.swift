import Engine
import Glibc
import Model

extension DockerDiscovery {
    /// One service a container; a project without a database server is one service.
    func propose(
        _ containers: [ContainerFacts], _ needs: ContainerNeeds, _ discovery: inout Discovery,
        _ names: inout ServiceNames
    ) async throws {
        var serviceOf: [String: String] = [:]
        var order: [String] = []
        var proposals: [String: ProposedService] = [:]
        let projects = Dictionary(grouping: containers) { $0.labels.project ?? "" }
        let whole = Set(
            projects.filter { project, members in
                !project.isEmpty && members.count > 1
                    && members.allSatisfy { $0.server == nil && $0.excluded.isEmpty }
            }.keys)
        for container in containers {
            let project = container.labels.project
            if let project, whole.contains(project) {
                guard serviceOf[container.name] == nil else { continue }
                let members = projects[project] ?? []
                let service = self.project(project, members, names.make(project))
                for member in members { serviceOf[member.name] = service.name }
                order.append(service.name)
                proposals[service.name] = service
                continue
            }
            let name = names.make(container.preferredName)
            let service = try await self.service(container, name)
            serviceOf[container.name] = name
            order.append(name)
            proposals[name] = service
        }
        for need in needs.needs {
            guard let from = serviceOf[need.from], let to = serviceOf[need.to], from != to,
                proposals[from]?.after.contains(where: { $0.service == to }) == false
            else { continue }
            // Containers of a project are one service here: what was no circle may be one now.
            guard !Self.leads(from: to, to: from, proposals) else { continue }
            proposals[from]?.after.append(
                ProposedService.Need(service: to, reason: need.reason))
        }
        discovery.services += Self.sorted(order, proposals)
    }

    private static func leads(
        from start: String, to end: String, _ proposals: [String: ProposedService]
    ) -> Bool {
        var seen: Set<String> = []
        var pending = [start]
        while let name = pending.popLast() {
            if name == end { return true }
            guard seen.insert(name).inserted else { continue }
            pending += proposals[name]?.after.map(\.service) ?? []
        }
        return false
    }

    /// What others need comes first; otherwise by name.
    private static func sorted(
        _ order: [String], _ proposals: [String: ProposedService]
    ) -> [ProposedService] {
        var sorted: [ProposedService] = []
        var done: Set<String> = []
        func add(_ name: String) {
            guard done.insert(name).inserted, let service = proposals[name] else { return }
            for need in service.after { add(need.service) }
            sorted.append(service)
        }
        for name in order { add(name) }
        return sorted
    }

    // MARK: One service

    private func project(
        _ project: String, _ members: [ContainerFacts], _ name: String
    ) -> ProposedService {
        var service = ProposedService(name: name)
        let list = members.map { $0.labels.service ?? $0.name }.sorted()
        service.remarks.append(
            "Compose project \(project): \(list.joined(separator: ", "))")
        service.docker = DockerSpecification(subject: .project(project))
        service.subjects = Set(members.map { "container/\($0.name)" })
        for member in members { noteData(of: member, &service) }
        return service
    }

    private func service(
        _ container: ContainerFacts, _ name: String
    ) async throws -> ProposedService {
        var service = ProposedService(name: name)
        service.remarks.append(Self.title(of: container))
        service.subjects = ["container/\(container.name)"]
        service.project = container.labels.project
        let isRunning = container.inspection.isRunning
        if isRunning {
            service.check = container.name
        } else {
            service.remarks.append("It does not run now, and will not be started by a restore.")
        }
        let docker = DockerSpecification(
            subject: .container(container.name),
            excludedMounts: container.excluded.map(\.mount))
        service.docker = docker
        if let server = container.server {
            let evidence = container.serverEvidence ?? ""
            if isRunning, let proposed = await serverIn(container, server, &service) {
                service.server = proposed
                // The container comes with its server by itself.
                if docker.excludedMounts.isEmpty { service.docker = nil }
            } else if isRunning, case .other = server {
                service.consistency = .pause
                service.remarks.append(
                    "\(server.title) (\(evidence)): paused while its files are read, so that they "
                        + "are of one moment.")
            } else {
                service.consistency = .stop
                service.remarks.append(
                    "\(server.title) (\(evidence)) is not dumped: its files are copied while it "
                        + "is stopped.")
            }
        }
        noteData(of: container, &service)
        return service
    }

    private static func title(of container: ContainerFacts) -> String {
        let image = container.inspection.config["Image"].string ?? container.inspection.imageID
        guard let project = container.labels.project, let service = container.labels.service else {
            return "Container \(container.name), image \(image)."
        }
        return "Compose project \(project), service \(service), image \(image)."
    }

    /// The server as a workload, when it answers; else a remark says why not.
    private func serverIn(
        _ container: ContainerFacts, _ kind: ServerKind, _ service: inout ProposedService
    ) async -> ProposedService.Server? {
        let evidence = container.serverEvidence ?? ""
        let server: ProposedService.Server
        do {
            let facts: DatabaseServerFacts
            switch kind {
            case .postgres:
                let specification = PostgresSpecification(
                    server: .container(container.name, engine: nil))
                facts = try await postgres.look(at: specification, context: context)
                server = .postgres(specification)
                service.subjects.insert("postgres/\(container.name)")
            case .mariadb:
                let specification = MariaDBSpecification(
                    server: .container(container.name, engine: nil))
                facts = try await mariadb.look(at: specification, context: context)
                server = .mariadb(specification)
                service.subjects.insert("mariadb/\(container.name)")
            case .other: return nil
            }
            service.remarks.append(
                "\(kind.title) \(facts.version) (\(evidence)): dumped, with "
                    + facts.description + ".")
            if facts.isEmpty { service.emptiness = "no table has a row yet" }
            return server
        } catch {
            let failure = Failure(wrapping: error)
            service.remarks.append(
                "\(kind.title) (\(evidence)) could not be asked: "
                    + printable(failure.description.utf8))
            return nil
        }
    }

    private func noteData(of container: ContainerFacts, _ service: inout ProposedService) {
        if !container.databases.isEmpty, service.server == nil {
            if service.consistency == .live { service.consistency = .pause }
            let shown = container.databases.prefix(3).map { printable($0.utf8) }
            let more =
                container.databases.count > 3
                ? " and \(container.databases.count - 3) more" : ""
            service.remarks.append(
                "SQLite in \(shown.joined(separator: ", "))\(more): paused while it is read, so "
                    + "that the database and its log are of one moment.")
        }
        for (mount, reason) in container.excluded {
            service.remarks.append("Left out: \(printable(mount.utf8)): \(printable(reason.utf8))")
        }
        for note in container.notes { service.remarks.append("Not saved: \(printable(note.utf8))") }
    }

    // MARK: Volumes

    /// Named volumes that no container of the Engine has.
    func proposeVolumes(
        besides containers: [ContainerFacts], _ discovery: inout Discovery,
        _ names: inout ServiceNames
    ) async throws {
        var used: Set<String> = []
        for summary in try await engine.containers() {
            guard let found = try await engine.find(container: summary.id) else { continue }
            used.formUnion(found.mounts.compactMap(\.name))
        }
        for volume in try await engine.volumes().sorted(by: { $0.name < $1.name })
        where !used.contains(volume.name) && isWanted(volume.name) {
            if volume.name.count == 64, volume.name.allSatisfy(\.isHexDigit) {
                discovery.leftOut.append(
                    "volume \(volume.name.prefix(12))…: nobody named it and no container has it")
                continue
            }
            let specification = DockerSpecification(subject: .volume(volume.name))
            do {
                var surveyor = try await DockerSurveyor(
                    engine: engine, specification: specification)
                let survey = try await surveyor.run()
                var service = ProposedService(name: names.make(volume.name))
                service.remarks.append("Volume \(volume.name), which no container has.")
                service.docker = specification
                service.subjects = ["volume/\(volume.name)"]
                guard let path = survey.volumes.first?.path else {
                    discovery.leftOut.append(contentsOf: survey.notes)
                    continue
                }
                if !engine.isRemote,
                    try await BlockingPool.shared.run({ Self.isEmpty(path) })
                {
                    service.emptiness = "the volume is empty now"
                }
                discovery.services.append(service)
            } catch {
                if error is CancellationError { throw error }
                discovery.leftOut.append(
                    "volume \(volume.name): \(Failure(wrapping: error).description)")
            }
        }
    }

    /// Whether there is no file in a tree. May block.
    static func isEmpty(_ root: String) -> Bool {
        let files = FileSystem()
        var pending = [root]
        while let directory = pending.popLast() {
            guard let names = try? files.names(in: directory) else { return false }
            for name in names {
                let path = "\(directory)/\(name)"
                var status = stat()
                guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                    return false
                }
                pending.append(path)
            }
        }
        return true
    }
}
