import Model

// What a container is made from, and what it is connected to.
extension DockerSurveyor {
    // MARK: Images

    mutating func image(
        of container: ContainerInspection
    ) async throws -> ContainerDefinition.ImageIdentity {
        let reference = container.config["Image"].string ?? container.imageID
        var identity = ContainerDefinition.ImageIdentity(
            reference: reference, id: container.imageID, digests: [], layers: [], platform: "")
        guard let image = try await engine.find(image: container.imageID) else {
            survey.omissions.append(
                "container \(container.name): the Engine no longer has its image \(reference)")
            return identity
        }
        identity.digests = image.digests.sorted()
        identity.layers = image.layers
        identity.platform = ["Os", "Architecture", "Variant"].compactMap { image.json[$0].string }
            .filter { !$0.isEmpty }.joined(separator: "/")
        let isSaved =
            switch specification.image {
            case .save: true
            case .never: false
            case .whenLocal: image.digests.isEmpty
            }
        guard isSaved else { return identity }
        let part = "image/\(container.imageID.split(separator: ":").last ?? "").tar"
        identity.part = part
        if !survey.images.contains(where: { $0.id == image.id }) {
            // Saved under a name it comes back with it; but the name may be another image's by now.
            let name = image.tags.contains(reference) ? reference : image.tags.sorted().first
            survey.images.append(
                DockerSurvey.Image(id: image.id, name: name ?? image.id, part: part))
        }
        return identity
    }

    // MARK: Networks

    mutating func addNetworks() async throws {
        var names = Set(survey.definitions.flatMap(\.networks).map(\.network))
        if case .project(let name) = specification.subject {
            let label = ["label": ["com.docker.compose.project=\(name)"]]
            let all = try await engine.networks(filters: label)
            names.formUnion(all.compactMap { $0["Name"].string })
        }
        for name in names.subtracting(NetworkDefinition.predefined).sorted() {
            guard let json = try await engine.find(network: name) else {
                survey.omissions.append("network \(name) does not exist any more")
                continue
            }
            survey.networks.append(NetworkDefinition(json: json))
        }
    }
}
