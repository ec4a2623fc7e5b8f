import Model

extension DockerSnapshot {
    /// The steps that bring everything back on the machine it came from.
    func steps() -> [ReplayStep] {
        var steps: [ReplayStep] = []
        for network in networks {
            steps.append(
                ReplayStep(
                    id: DockerStepKind.network.id(network.name),
                    title: "create network \(network.name)", phase: .prepare,
                    makes: ["network/\(network.name)"]))
        }
        for image in images {
            steps.append(
                ReplayStep(
                    id: DockerStepKind.image.id(image.id),
                    title: "provide image \(image.reference)", bytes: bytes(of: image.part),
                    phase: .prepare, makes: ["image/\(image.id)"], isDownload: image.part == nil))
        }
        for volume in volumes {
            steps.append(
                ReplayStep(
                    id: DockerStepKind.volume.id(volume.name),
                    title: (volume.part == nil ? "create" : "restore") + " volume \(volume.name)",
                    bytes: bytes(of: volume.part), phase: .data, makes: ["volume/\(volume.name)"]))
        }
        for bind in binds {
            steps.append(
                ReplayStep(
                    id: DockerStepKind.bind.id(bind.path),
                    title: (bind.part == nil ? "make" : "restore") + " \(bind.path)",
                    bytes: bytes(of: bind.part), phase: .data, makes: ["path\(bind.path)"]))
        }
        for file in composeFiles {
            steps.append(
                ReplayStep(
                    id: DockerStepKind.compose.id(file.path),
                    title: "restore \(printable(file.path.utf8)) where it is missing",
                    bytes: bytes(of: file.part), phase: .data, makes: ["compose\(file.path)"]))
        }
        let starts = starts()
        for name in DependencyOrder.sorted(containers.map(\.name), needs: starts.mapValues(\.names))
        {
            guard let container = containers.first(where: { $0.name == name }) else { continue }
            steps.append(creation(of: container))
            guard container.wasRunning else { continue }
            steps.append(
                ReplayStep(
                    id: DockerStepKind.start.id(name), title: "start container \(name)",
                    needs: [DockerStepKind.container.id(name)] + (starts[name]?.steps ?? []),
                    phase: .start, isLast: container.managesContainers))
            if container.hasHealthCheck {
                steps.append(
                    ReplayStep(
                        id: DockerStepKind.healthy.id(name),
                        title: "wait until container \(name) is healthy",
                        needs: [DockerStepKind.start.id(name)], phase: .check))
            }
            if completions.contains(name) {
                steps.append(
                    ReplayStep(
                        id: DockerStepKind.completed.id(name),
                        title: "wait until container \(name) has done its work",
                        needs: [DockerStepKind.start.id(name)], phase: .check))
            }
        }
        return steps
    }

    private var images: [ContainerDefinition.ImageIdentity] {
        var seen: Set<String> = []
        return containers.map(\.image).filter { seen.insert($0.id).inserted }
    }

    private func creation(of container: ContainerDefinition) -> ReplayStep {
        var needs = [DockerStepKind.image.id(container.image.id)]
        for attachment in container.networks
        where networks.contains(where: { $0.name == attachment.network }) {
            needs.append(DockerStepKind.network.id(attachment.network))
        }
        // An empty volume would be filled from the image when the container is made.
        for mount in container.mounts {
            if let name = mount.name, volumes.contains(where: { $0.name == name }) {
                needs.append(DockerStepKind.volume.id(name))
            } else if let path = mount.source {
                // A mount inside another one has its data in the other's part.
                for bind in binds
                where bind.path == path || (bind.part != nil && bind.part == mount.part) {
                    needs.append(DockerStepKind.bind.id(bind.path))
                }
            }
        }
        for other in container.sharesWith + container.linksTo
        where containers.contains(where: { $0.name == other }) {
            needs.append(DockerStepKind.container.id(other))
        }
        return ReplayStep(
            id: DockerStepKind.container.id(container.name),
            title: "create container \(container.name)", needs: needs, phase: .prepare,
            makes: ["container/\(container.name)"])
    }

    private struct StartNeeds {
        var names: [String] = []
        var steps: [String] = []
    }

    /// What must have happened before each container starts.
    private func starts() -> [String: StartNeeds] {
        var result: [String: StartNeeds] = [:]
        let running = containers.filter(\.wasRunning)
        let managers = running.filter(\.managesContainers)
        for container in running {
            var needs = StartNeeds()
            func need(_ other: ContainerDefinition, _ condition: ComposeLabels.Condition) {
                guard other.wasRunning, other.name != container.name else { return }
                needs.names.append(other.name)
                let kind: DockerStepKind =
                    switch condition {
                    case .healthy where other.hasHealthCheck: .healthy
                    case .completed: .completed
                    case .healthy, .started: .start
                    }
                needs.steps.append(kind.id(other.name))
            }
            for name in container.sharesWith + container.linksTo {
                if let other = containers.first(where: { $0.name == name }) {
                    need(other, .started)
                }
            }
            for dependency in ComposeLabels(labels: container.labels).dependencies {
                for other in members(of: dependency.service, besides: container) {
                    need(other, dependency.condition)
                }
            }
            if container.managesContainers {
                for other in running where !managers.contains(other) { need(other, .healthy) }
            }
            var seen: Set<String> = []
            needs.steps = needs.steps.filter { seen.insert($0).inserted }
            result[container.name] = needs
        }
        return result
    }

    /// Containers of a Compose service in the same project.
    private func members(
        of service: String, besides container: ContainerDefinition
    ) -> [ContainerDefinition] {
        let project = ComposeLabels(labels: container.labels).project
        return containers.filter {
            let labels = ComposeLabels(labels: $0.labels)
            return labels.service == service && labels.project == project
        }
    }

    /// Containers that others wait for the end of.
    private var completions: Set<String> {
        var names: Set<String> = []
        for container in containers {
            for dependency in ComposeLabels(labels: container.labels).dependencies
            where dependency.condition == .completed {
                names.formUnion(
                    members(of: dependency.service, besides: container).map(\.name))
            }
        }
        return names
    }
}
