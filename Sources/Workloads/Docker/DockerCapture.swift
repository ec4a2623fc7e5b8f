import Engine
import Model

/// One capture from the survey to the last part.
struct DockerCapture {
    let engine: DockerEngine
    let specification: DockerSpecification
    let service: Service
    let sink: any CaptureSink
    /// Containers that are at rest already.
    var held = HeldContainers()
    var journal: (any RestJournal)?
    let report: @Sendable (String) -> Void

    func run() async throws -> CaptureOutcome {
        var surveyor = try await DockerSurveyor(
            engine: engine, specification: specification, held: held)
        let survey = try await surveyor.run()
        let files = surveyor.files
        try await putDocuments(survey)

        let others = try await Self.otherWriters(survey, engine, held)
        let subjects =
            if case .volume = specification.subject { others } else { survey.containers }
        let rest = ContainersAtRest(
            engine: engine, mode: survey.hasData ? service.consistency : .live,
            containers: Self.dependentsFirst(subjects.filter { !held.contains($0) }),
            journal: journal, report: report)
        let trees = try await rest.during {
            try await putTrees(survey, files)
        }

        for (number, file) in survey.composeFiles.enumerated() {
            _ = try await files.reading(file.resolved, isFile: true) {
                try await sink.tree(
                    "compose/\(number + 1)", at: $0, options: $1,
                    attributes: place(file.path, "file"))
            }
        }
        for image in survey.images { try await putImage(image) }
        try await confirm(survey)

        var outcome = CaptureOutcome(
            consistency: consistency(survey, subjects, isClean: trees.isClean && held.isClean))
        outcome.notes = survey.notes
        outcome.omissions = survey.omissions + trees.value.omissions
        outcome.proof.files = trees.value.files
        if case .volume(let name) = specification.subject {
            if !service.allowEmpty {
                outcome.suspicions += try await doubts(name, survey, trees.value)
            }
            return outcome
        }
        // One that is at rest for the same group writes nothing now.
        let writers = others.filter { !held.contains($0) }.map(\.name)
        if !writers.isEmpty {
            outcome.notes.append(
                "also written to by containers that do not belong to this: "
                    + writers.sorted().joined(separator: ", "))
            if outcome.consistency > .crash { outcome.consistency = .crash }
        }
        return outcome
    }

    private func putDocuments(_ survey: DockerSurvey) async throws {
        for definition in survey.definitions {
            let attributes = [
                "managesContainers": definition.managesContainers ? "true" : "false",
                "image": definition.image.reference,
            ]
            try await sink.document(
                "container/\(definition.name).json", StableJSON.encodePretty(definition),
                attributes: attributes)
        }
        for network in survey.networks {
            try await sink.document(
                "network/\(network.name.replacing("/", with: "%2F")).json",
                StableJSON.encodePretty(network), attributes: [:])
        }
        for volume in survey.volumes {
            try await sink.document(
                "volume/\(volume.definition.name).json",
                StableJSON.encodePretty(volume.definition), attributes: [:])
        }
    }

    /// What a part says of where it was, and on which machine, where that is not this one.
    private func place(_ path: String, _ kind: String? = nil) -> [String: String] {
        var attributes = ["path": path]
        attributes["kind"] = kind
        attributes[MachineFiles.hostKey] = engine.isRemote ? "\(engine.address)" : nil
        return attributes
    }

    private struct Trees: Sendable {
        var files: [String: UInt64] = [:]
        var omissions: [String] = []
    }

    private func putTrees(_ survey: DockerSurvey, _ files: MachineFiles) async throws -> Trees {
        var trees = Trees()
        for volume in survey.volumes {
            guard let path = volume.path, let part = volume.definition.part else { continue }
            var attributes = place(path)
            attributes["volume"] = volume.definition.name
            let (summary, more) = try await files.reading(path, isFile: false) {
                [attributes] in
                try await sink.tree(part, at: $0, options: $1, attributes: attributes)
            }
            trees.files[part] = summary.files
            trees.omissions += more.map { "volume \(volume.definition.name): \($0)" }
            trees.omissions += summary.omissions.map { "volume \(volume.definition.name): \($0)" }
        }
        for bind in survey.binds {
            let kind = bind.kind == .directory ? "directory" : "file"
            let (summary, more) = try await files.reading(
                bind.resolved, isFile: bind.kind == .file, bind.options
            ) {
                try await sink.tree(
                    bind.part, at: $0, options: $1, attributes: place(bind.path, kind))
            }
            trees.files[bind.part] = summary.files
            trees.omissions += more.map { "\(bind.path): \($0)" }
            trees.omissions += summary.omissions.map { "\(bind.path): \($0)" }
        }
        return trees
    }

    /// A volume that was named and holds nothing: most likely another one was meant.
    private func doubts(
        _ name: String, _ survey: DockerSurvey, _ trees: Trees
    ) async throws -> [String] {
        guard let volume = survey.volumes.first, volume.path != nil,
            let part = volume.definition.part, trees.files[part] == 0
        else { return [] }
        let others = try await engine.volumes().map(\.name).filter { $0.hasSuffix("_\(name)") }
        let near = others.sorted().prefix(3).joined(separator: ", ")
        return [
            "volume \(name) holds no files" + (near.isEmpty ? "" : "; there is \(near) too")
        ]
    }

    private func putImage(_ image: DockerSurvey.Image) async throws {
        report("saving image \(image.name)")
        let pipe = try Pipe()
        let end = SavedImageEnd()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { pipe.closeWriter() }
                try await engine.saveImages([image.name], to: pipe.writer)
            }
            group.addTask {
                defer { pipe.closeReader() }
                _ = try await sink.stream(
                    image.part, from: pipe.reader, of: .anything,
                    attributes: ["image": image.name], observer: end)
            }
            for try await _ in group {}
        }
        guard end.isComplete else {
            throw Failure(
                .failed, "the Docker Engine did not save image \(image.name) to its end",
                side: .source)
        }
    }

    /// What was read must still be what was asked for.
    private func confirm(_ survey: DockerSurvey) async throws {
        for container in survey.containers {
            let now = try await engine.find(container: container.name)
            guard now?.id != container.id else { continue }
            throw Failure(
                .failed,
                "container \(container.name) was \(now == nil ? "removed" : "replaced") while it "
                    + "was captured", side: .source, isTransient: now != nil)
        }
        for volume in survey.volumes {
            let now = try await engine.find(volume: volume.definition.name)
            guard now?.createdAt != volume.inspection.createdAt else { continue }
            throw Failure(
                .failed,
                "volume \(volume.definition.name) was \(now == nil ? "removed" : "replaced") "
                    + "while it was captured", side: .source, isTransient: now != nil)
        }
    }

    /// The containers whose rest makes a capture consistent.
    static func subjects(
        of survey: DockerSurvey, _ specification: DockerSpecification, _ engine: DockerEngine,
        held: HeldContainers = HeldContainers()
    ) async throws -> [ContainerInspection] {
        guard case .volume = specification.subject else { return survey.containers }
        return try await otherWriters(survey, engine, held)
    }

    /// Running containers that are not of the capture and may write to its volumes.
    private static func otherWriters(
        _ survey: DockerSurvey, _ engine: DockerEngine, _ held: HeldContainers
    ) async throws -> [ContainerInspection] {
        var others: [String: ContainerInspection] = [:]
        let own = Set(survey.containers.map(\.id))
        for volume in survey.volumes where volume.path != nil {
            let name = volume.definition.name
            for user in try await engine.containers(filters: ["volume": [name]])
            where !own.contains(user.id) && others[user.id] == nil {
                // It may have gone since.
                guard let container = held.replace(try await engine.find(container: user.id)),
                    container.isRunning, !container.isPaused,
                    container.mounts.contains(where: { $0.name == name && $0.isWritable })
                else { continue }
                others[user.id] = container
            }
        }
        return others.values.sorted { $0.name < $1.name }
    }

    private func consistency(
        _ survey: DockerSurvey, _ subjects: [ContainerInspection], isClean: Bool
    ) -> Consistency {
        guard survey.hasData else { return .application }
        let running = subjects.filter { $0.isRunning && !$0.isPaused }
        if running.isEmpty {
            return subjects.contains { $0.isPaused || $0.exitCode == 137 }
                ? .fileSystem : .application
        }
        switch service.consistency {
        case .live: return .crash
        case .pause: return .fileSystem
        case .stop:
            return isClean && !subjects.contains { $0.isPaused } ? .application : .fileSystem
        }
    }

    /// Containers in the order to stop them: who needs another comes before it.
    static func dependentsFirst(_ containers: [ContainerInspection]) -> [ContainerInspection] {
        let services = Dictionary(
            containers.map { (ComposeLabels(labels: $0.labels).service ?? $0.name, [$0.name]) },
            uniquingKeysWith: +)
        var names: [String: String] = [:]
        for container in containers { names[container.id] = container.name }
        let needs = Dictionary(
            containers.map { container -> (String, [String]) in
                var all = ComposeLabels(labels: container.labels).dependencies
                    .flatMap { services[$0.service] ?? [] }
                for key in ["NetworkMode", "IpcMode", "PidMode"] {
                    guard let mode = container.hostConfig[key].string,
                        mode.hasPrefix("container:")
                    else { continue }
                    let other = String(mode.dropFirst("container:".count))
                    all.append(names[other] ?? other)
                }
                return (container.name, all)
            }, uniquingKeysWith: { first, _ in first })
        let order = DependencyOrder.sorted(containers.map(\.name).sorted(), needs: needs)
        return order.reversed().compactMap { name in containers.first { $0.name == name } }
    }
}

/// Puts names after those that they need.
enum DependencyOrder {
    /// A cycle is cut where it is met: every name comes once.
    static func sorted(_ names: [String], needs: [String: [String]]) -> [String] {
        var order: [String] = []
        var seen: Set<String> = []
        func visit(_ name: String) {
            guard seen.insert(name).inserted else { return }
            for other in needs[name] ?? [] where names.contains(other) { visit(other) }
            order.append(name)
        }
        for name in names { visit(name) }
        return order
    }
}
