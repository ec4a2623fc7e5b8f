import Engine
import Model

/// Finds a container's image on an Engine, or brings it there.
struct ImageSupply {
    let engine: DockerEngine
    let identity: ContainerDefinition.ImageIdentity

    private var hasName: Bool { !ImageReference.isID(identity.reference) }

    /// What the Engine knows the image by; nil when it does not have it.
    ///
    /// Its id differs between the Engine's kinds of image store: equal layers count as equal too.
    func find() async throws -> String? {
        if hasName, let image = try await engine.find(image: identity.reference), isSame(image) {
            return identity.reference
        }
        for name in [identity.id] + identity.digests {
            if !name.isEmpty, try await engine.find(image: name) != nil { return name }
        }
        return nil
    }

    private func isSame(_ image: ImageInspection) -> Bool {
        image.id == identity.id
            || !identity.layers.isEmpty && image.layers == identity.layers
            || !Set(image.digests).isDisjoint(with: identity.digests)
    }

    /// Makes sure that the Engine has the image: it is there, was saved, or can be pulled.
    ///
    /// - Returns: What was done, for people; nil when nothing had to be.
    func provide(from source: any ReplaySource) async throws -> (bytes: ByteCount, note: String)? {
        if let name = try await find() {
            try await restoreName(of: name)
            return nil
        }
        if let part = identity.part {
            let loaded = try await load(part, from: source)
            guard let name = try await found(among: loaded.names) else {
                throw Failure(
                    .failed, "the saved image \(identity.reference) was loaded, but is not there",
                    side: .target)
            }
            try await restoreName(of: name)
            return (ByteCount(loaded.bytes), "image \(identity.reference) loaded")
        }
        var reason: Failure?
        for digest in identity.digests {
            do {
                try await engine.pull(digest)
                try await restoreName(of: digest)
                return (ByteCount(0), "image \(identity.reference) pulled as \(digest)")
            } catch let failure as Failure { reason = failure }
        }
        throw Failure(
            .failed, "the image \(identity.reference) is not there and was not saved",
            hint: "run: docker pull \(identity.digests.first ?? identity.reference)",
            cause: reason?.description, side: .target, isTransient: reason?.isTransient ?? false)
    }

    private func found(among names: [String]) async throws -> String? {
        if let name = try await find() { return name }
        for name in names {
            if let image = try await engine.find(image: name), isSame(image) { return name }
        }
        return nil
    }

    private func load(
        _ part: String, from source: any ReplaySource
    ) async throws -> (names: [String], bytes: UInt64) {
        let pipe = try Pipe()
        return try await withThrowingTaskGroup(
            of: (names: [String], bytes: UInt64).self
        ) { group in
            group.addTask {
                defer { pipe.closeWriter() }
                return ([], try await source.stream(part, to: pipe.writer))
            }
            group.addTask {
                defer { pipe.closeReader() }
                return (try await engine.loadImages(from: pipe.reader), 0)
            }
            var all: (names: [String], bytes: UInt64) = ([], 0)
            for try await one in group {
                all = (all.names + one.names, all.bytes + one.bytes)
            }
            return all
        }
    }

    /// Gives the image the name that the container knows it by, unless another has it by now.
    private func restoreName(of name: String) async throws {
        guard hasName, name != identity.reference,
            ImageReference(identity.reference).digest == nil,
            try await engine.find(image: identity.reference) == nil
        else { return }
        guard let image = try await engine.find(image: name) else { return }
        try await engine.tag(image: image.id, as: identity.reference)
    }
}
