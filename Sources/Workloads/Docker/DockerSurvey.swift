import CLinux
import Engine
import Glibc
import Model

/// What a capture will read, found out before anything is stopped.
struct DockerSurvey: Sendable {
    var containers: [ContainerInspection] = []
    var definitions: [ContainerDefinition] = []
    var volumes: [Volume] = []
    var binds: [Bind] = []
    /// The files that Compose made the containers from.
    var composeFiles: [ComposeFile] = []
    var networks: [NetworkDefinition] = []
    var images: [Image] = []
    var notes: [String] = []
    var omissions: [String] = []

    struct Volume: Sendable {
        var inspection: VolumeInspection
        var definition: VolumeDefinition
        /// Where its content is read; nil when it is not.
        var path: String?
    }

    struct Bind: Sendable {
        /// As the containers name it.
        var path: String
        /// Where it is read: the same without links.
        var resolved: String
        var kind: MountRules.Source.Kind
        var part: String
        var options: TreeCaptureOptions
    }

    struct ComposeFile: Sendable {
        /// As Compose's label names it.
        var path: String
        /// Without links.
        var resolved: String
    }

    struct Image: Sendable {
        var id: String
        /// What it is saved under: a reference when that still is this image, else the id.
        var name: String
        var part: String
    }

    var hasData: Bool { !binds.isEmpty || volumes.contains { $0.path != nil } }
}

/// Makes a ``DockerSurvey``.
struct DockerSurveyor {
    let engine: DockerEngine
    let specification: DockerSpecification
    let rules: MountRules
    let information: EngineInformation
    /// Those of the Engine's machine.
    let files: MachineFiles
    let mounts: [MountedFileSystem]
    /// Containers that are at rest for a group, as they were before.
    let held: HeldContainers
    var survey = DockerSurvey()
    private var bindSources: [String: MountRules.Source] = [:]

    init(
        engine: DockerEngine, specification: DockerSpecification,
        held: HeldContainers = HeldContainers()
    ) async throws {
        self.engine = engine
        self.specification = specification
        self.held = held
        information = try await engine.info()
        rules =
            engine.isRemote
            ? MountRules(
                dataRoot: information.dataRoot,
                sockets: [engine.address.remoteSocket, "/run/docker.sock"])
            : MountRules(dataRoot: information.dataRoot, socket: engine.socket)
        files = try engine.files
        mounts = try await files.mounts()
    }

    mutating func run() async throws -> DockerSurvey {
        var volumes: Set<String> = []
        switch specification.subject {
        case .container(let name):
            survey.containers = [try await container(name)]
        case .volume(let name):
            volumes.insert(name)
        case .project(let name):
            let label = ["label": ["com.docker.compose.project=\(name)"]]
            try await addProject(name, label)
            volumes.formUnion(try await engine.volumes(filters: label).map(\.name))
        }
        survey.containers.sort { $0.name < $1.name }
        for container in survey.containers {
            for mount in container.mounts where mount.type == "volume" {
                if let name = mount.name { volumes.insert(name) }
            }
        }
        for name in volumes.sorted() { try await addVolume(name) }
        try await findBinds()
        try await findComposeFiles()
        for container in survey.containers { try await addDefinition(container) }
        try await addNetworks()
        return survey
    }

    private func container(_ name: String) async throws -> ContainerInspection {
        if let found = held.replace(try await engine.find(container: name)) { return found }
        let known = try await engine.containers().map(\.name)
        throw Failure(
            .failed, "there is no container \(name) on \(engine.address)",
            hint: Self.suggestion(for: name, among: known), side: .source)
    }

    private mutating func addProject(_ name: String, _ filter: [String: [String]]) async throws {
        for summary in try await engine.containers(filters: filter) {
            if summary.labels["com.docker.compose.oneoff"] == "True" {
                survey.notes.append("container \(summary.name) was a single run: not captured")
                continue
            }
            let found = try await engine.inspect(container: summary.id)
            survey.containers.append(held.replace(found) ?? found)
        }
        guard survey.containers.isEmpty else { return }
        let known = try await engine.containers().compactMap {
            ComposeLabels(labels: $0.labels).project
        }
        throw Failure(
            .failed, "no container on \(engine.address) belongs to the Compose project \(name)",
            hint: Self.suggestion(for: name, among: Array(Set(known))), side: .source)
    }

    /// A name that was meant, such as the one with Compose's prefix.
    private static func suggestion(for name: String, among known: [String]) -> String? {
        let known = known.sorted()
        let near =
            known.first { $0.lowercased() == name.lowercased() }
            ?? known.first { $0.hasSuffix("_\(name)") }
            ?? known.first { $0.contains("-\(name)") || $0.hasPrefix(name) }
        return near.map { "did you mean \($0)?" }
    }

    // MARK: Volumes

    private mutating func addVolume(_ name: String) async throws {
        guard let volume = try await engine.find(volume: name) else {
            let known = try await engine.volumes().map(\.name)
            throw Failure(
                .failed, "there is no volume \(name) on \(engine.address)",
                hint: Self.suggestion(for: name, among: known), side: .source)
        }
        let place = try await place(of: volume)
        if let reason = place.omitted {
            survey.notes.append("volume \(name): its definition only, \(reason)")
        }
        survey.volumes.append(
            DockerSurvey.Volume(
                inspection: volume,
                definition: VolumeDefinition(
                    volume, part: place.path == nil ? nil : "volume/\(name)",
                    omitted: place.omitted),
                path: place.path))
    }

    private func place(of volume: VolumeInspection) async throws -> (
        path: String?, omitted: String?
    ) {
        let destinations = survey.containers.flatMap(\.mounts).filter { $0.name == volume.name }
            .map(\.destination)
        if let reason = exclusion([volume.name] + destinations) { return (nil, reason) }
        guard volume.driver == "local" else {
            throw Failure(
                .failed,
                "volume \(volume.name) belongs to the driver \(volume.driver), whose data "
                    + "cannot be read",
                hint: "exclude the volume, and back its data up where it is", side: .source)
        }
        if let directory = VolumeDefinition.boundDirectory(
            driver: volume.driver, options: volume.options)
        {
            let source = try await files.look(at: directory, mounts: mounts)
            if let reason = rules.exclusion(of: source) { return (nil, reason) }
            return (try await readable(source.path, of: volume), nil)
        }
        let type = volume.options["type"] ?? "none"
        if type == "tmpfs" { return (nil, "it lies in memory only") }
        if case .network = MountedFileSystem(path: "", type: type).kind {
            return (nil, "it is a network file system (\(type))")
        }
        if volume.options["device"] != nil, !isMountPoint(volume.mountPoint) {
            throw Failure(
                .failed, "volume \(volume.name) is on a device that is not mounted",
                hint: "start a container that uses it", side: .source)
        }
        return (try await readable(volume.mountPoint, of: volume), nil)
    }

    private func readable(_ path: String, of volume: VolumeInspection) async throws -> String {
        guard !engine.isRemote else {
            guard try await files.look(at: path, mounts: mounts).kind == .directory else {
                throw Failure(
                    .failed, "volume \(volume.name) has no readable mount point at \(path)",
                    hint: "reach the Docker Engine's machine as root", side: .source)
            }
            return path
        }
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Failure(
                .failed, "volume \(volume.name) has no readable mount point at \(path)",
                hint: "run dr as root on the machine of the Docker Engine",
                cause: String(cString: strerror(errno)), side: .source)
        }
        close(descriptor)
        return path
    }

    private func isMountPoint(_ path: String) -> Bool { mounts.contains { $0.path == path } }

    // MARK: Bind mounts

    /// Numbers the bind mounts by path; one that lies in another is part of that.
    private mutating func findBinds() async throws {
        let all = survey.containers.flatMap(\.mounts).filter { $0.type == "bind" }
        let sources = Set(all.filter { !isExcluded($0) }.map(\.source)).sorted()
        for path in sources {
            let source = try await files.look(at: path, mounts: mounts)
            bindSources[path] = source
            guard source.kind != .missing, rules.exclusion(of: source) == nil,
                bindHolding(source.path) == nil
            else { continue }
            survey.binds.append(
                DockerSurvey.Bind(
                    path: path, resolved: source.path, kind: source.kind,
                    part: "bind/\(survey.binds.count + 1)", options: options(for: source)))
        }
    }

    /// Those that lie on the Engine's machine, and in no bind mount.
    private mutating func findComposeFiles() async throws {
        for container in survey.containers {
            let labels = ComposeLabels(labels: container.labels)
            for path in labels.files where !survey.composeFiles.contains(where: { $0.path == path })
            {
                let source = try await files.look(at: path, mounts: mounts)
                guard source.kind == .file else {
                    // Not every project has an `.env`.
                    let note =
                        "the Compose file \(printable(path.utf8)) is not on "
                        + (files.destination.map { "\($0)" } ?? "this machine")
                    if !path.hasSuffix("/.env"), !survey.notes.contains(note) {
                        survey.notes.append(note)
                    }
                    continue
                }
                guard bindHolding(source.path) == nil else { continue }
                survey.composeFiles.append(
                    DockerSurvey.ComposeFile(path: path, resolved: source.path))
            }
        }
    }

    private func isExcluded(_ mount: ContainerMount) -> Bool { exclusion(mount) != nil }

    private func exclusion(_ mount: ContainerMount) -> String? {
        exclusion([mount.name, mount.destination, mount.source].compactMap { $0 })
    }

    /// Why the data of a mount with one of these names is left out; nil when it is not.
    private func exclusion(_ names: [String]) -> String? {
        if names.contains(where: specification.dumpedMounts.contains) {
            return "the dump of its server holds it"
        }
        return names.contains(where: specification.excludedMounts.contains)
            ? "its data is excluded" : nil
    }

    private func bindHolding(_ path: String) -> DockerSurvey.Bind? {
        survey.binds.first { bind in
            bind.resolved == path
                || bind.kind == .directory && MountRules.lies(path, in: bind.resolved)
        }
    }

    /// What is mounted beneath a bind mount is seen by the container, and captured unless it is of a
    /// kind that never is.
    private mutating func options(for source: MountRules.Source) -> TreeCaptureOptions {
        var options = TreeCaptureOptions(exclude: [], oneFileSystem: true)
        let nested = mounts.filter {
            $0.path != source.path && MountRules.lies($0.path, in: source.path)
        }
        var seen: Set<String> = []
        for mount in nested where seen.insert(mount.path).inserted {
            if MountRules.lies(mount.path, in: rules.dataRoot) { continue }
            if mount.kind == .local {
                options.oneFileSystem = false
            } else {
                options.exclude.append("\(mount.path)/**")
                survey.notes.append("\(mount.path) is not captured: it is \(mount.type)")
            }
        }
        if MountRules.lies(rules.dataRoot, in: source.path) {
            options.exclude.append("\(rules.dataRoot)/**")
            survey.notes.append(
                "\(rules.dataRoot) is not captured: it is the Docker Engine's own store")
        }
        return options
    }

    // MARK: Containers

    private mutating func addDefinition(_ container: ContainerInspection) async throws {
        var definitions: [ContainerDefinition.MountDefinition] = []
        var manages = false
        for mount in container.mounts {
            definitions.append(try await definition(of: mount, in: container))
            if mount.type == "bind", mount.isWritable,
                rules.reachesEngine(
                    bindSources[mount.source]?.path ?? MountRules.resolved(mount.source))
            {
                manages = true
            }
        }
        var surroundings = ContainerDefinition.Surroundings(hostName: information.hostName)
        for key in ["NetworkMode", "IpcMode", "PidMode"] {
            guard let mode = container.hostConfig[key].string, mode.hasPrefix("container:") else {
                continue
            }
            let id = String(mode.dropFirst("container:".count))
            surroundings.containerNames[id] = try await engine.find(container: id)?.name
        }
        survey.definitions.append(
            ContainerDefinition(
                of: container, image: try await image(of: container), mounts: definitions,
                managesContainers: manages, surroundings: surroundings))
        try await noteOwnLayer(of: container)
    }

    private mutating func definition(
        of mount: ContainerMount, in container: ContainerInspection
    ) async throws -> ContainerDefinition.MountDefinition {
        var definition = ContainerDefinition.MountDefinition(
            type: mount.type, name: mount.name, source: nil, destination: mount.destination,
            isWritable: mount.isWritable)
        func note(_ reason: String) {
            definition.omitted = reason
            survey.notes.append(
                "container \(container.name): \(mount.source) at \(mount.destination) is not "
                    + "captured: \(reason)")
        }
        switch mount.type {
        case "volume":
            let volume = survey.volumes.first { $0.inspection.name == mount.name }
            definition.part = volume?.definition.part
            definition.omitted = volume?.definition.omitted
        case "bind":
            definition.source = mount.source
            if let reason = exclusion(mount) {
                note(reason)
                definition.owner = try await files.owner(of: mount.source)
            } else if let source = bindSources[mount.source] {
                if source.kind == .missing {
                    definition.omitted = MountRules.isMissing
                    survey.omissions.append(
                        "container \(container.name): \(mount.source) does not exist")
                } else if let reason = rules.exclusion(of: source) {
                    note(reason)
                } else {
                    definition.part = bindHolding(source.path)?.part
                }
            }
        case "tmpfs": break
        default: note("mounts of the type \(mount.type) are not supported")
        }
        return definition
    }

    /// What a container wrote outside of its mounts goes with it: that must not come as a surprise.
    private mutating func noteOwnLayer(of container: ContainerInspection) async throws {
        let sized = try await engine.find(
            engine.request(.get, ["containers", container.id, "json"], query: [("size", "1")]))
        let bytes = sized?["SizeRw"].integer ?? 0
        guard bytes >= 1 << 20 else { return }
        survey.notes.append(
            "container \(container.name) holds \(ByteCount(UInt64(bytes))) outside of its mounts: "
                + "not captured")
    }
}
