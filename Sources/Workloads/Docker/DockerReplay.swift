import CLinux
import Engine
import Glibc
import Model

/// Carries out the steps that bring a snapshot back on the machine of its Engine.
struct DockerReplay {
    let engine: DockerEngine
    let source: any ReplaySource
    let snapshot: DockerSnapshot
    /// What has a name already is removed or moved aside first, instead of being an error.
    var replace = false

    func perform(_ step: ReplayStep) async throws -> ReplayOutcome {
        let (kind, name) = try DockerStepKind.parse(step.id)
        switch kind {
        case .network: return try await network(name)
        case .volume: return try await volume(name)
        case .bind: return try await bind(name)
        case .image:
            let supply = ImageSupply(engine: engine, identity: try snapshot.image(name))
            guard let done = try await supply.provide(from: source) else {
                return ReplayOutcome(notes: ["image \(supply.identity.reference) was there"])
            }
            return ReplayOutcome(bytes: done.bytes, notes: [done.note])
        case .container: return try await container(name)
        case .start:
            try await engine.start(container: name)
            return ReplayOutcome()
        case .healthy:
            let definition = try snapshot.container(name)
            try await ContainerCheck(engine: engine, container: name)
                .wait(timeout: definition.healthPatience)
            return ReplayOutcome()
        case .completed: return try await completion(name)
        }
    }

    // MARK: Networks

    private func network(_ name: String) async throws -> ReplayOutcome {
        let definition = try snapshot.network(name)
        if let existing = try await engine.find(network: name) {
            if definition.isSame(as: NetworkDefinition(json: existing)) {
                return ReplayOutcome(notes: ["network \(name) was there"])
            }
            guard replace else { throw taken("network \(name)") }
            try await engine.remove(network: name)
        }
        do {
            try await engine.createNetwork(body: definition.creation(keepingAddresses: true))
            return ReplayOutcome()
        } catch let failure as Failure {
            // Which addresses it has matters only where a container was given one of them.
            guard failure.message.contains("overlaps"), !snapshot.hasStaticAddress(on: name) else {
                throw failure
            }
            try await engine.createNetwork(body: definition.creation(keepingAddresses: false))
            return ReplayOutcome(notes: ["network \(name) has other addresses than before"])
        }
    }

    // MARK: Volumes and bind mounts

    private func volume(_ name: String) async throws -> ReplayOutcome {
        let definition = try snapshot.volume(name)
        if let existing = try await engine.find(volume: name) {
            let users = try await engine.containers(filters: ["volume": [name]]).map(\.name)
            guard users.isEmpty else {
                throw Failure(
                    .failed,
                    "volume \(name) is held by containers: \(users.sorted().joined(separator: ", "))",
                    hint: "remove them first", side: .target)
            }
            let isEmpty = try await isEmpty(existing)
            guard isEmpty || replace else { throw taken("volume \(name)") }
            try await engine.remove(volume: name)
        }
        let created = try await engine.createVolume(body: definition.creation)
        guard let part = definition.part else { return ReplayOutcome() }
        do {
            let place = definition.boundDirectory ?? created.mountPoint
            let summary = try await StagedTree(source: source, part: part, path: place).replay()
            return outcome(summary, at: "volume \(name)")
        } catch {
            // It holds nothing yet, and is in the way of the next attempt.
            await Task { _ = try? await engine.remove(volume: name) }.value
            throw error
        }
    }

    private func isEmpty(_ volume: VolumeInspection) async throws -> Bool {
        let place =
            VolumeDefinition.boundDirectory(driver: volume.driver, options: volume.options)
            ?? volume.mountPoint
        // What lies on an unmounted device or a share cannot be seen, so it is not known to be empty.
        guard volume.driver == "local", place != volume.mountPoint || volume.options.isEmpty else {
            return false
        }
        return try await BlockingPool.shared.run {
            do { return try PlaceState.of(place) != .taken } catch let error as SystemError {
                throw error.failure(side: .target)
            }
        }
    }

    private func bind(_ path: String) async throws -> ReplayOutcome {
        let bind = try snapshot.bind(path)
        let replace = replace
        try await BlockingPool.shared.run {
            do {
                guard try PlaceState.of(path) == .taken else { return }
                guard replace else { throw PlaceState.failure(path) }
                try Self.moveAside(path)
            } catch let error as SystemError { throw error.failure(side: .target) }
        }
        if let part = bind.part {
            let summary = try await StagedTree(source: source, part: part, path: path).replay()
            return outcome(summary, at: path)
        }
        try await BlockingPool.shared.run {
            do {
                try FileSystem().makeDirectories(path, mode: 0o755)
                guard let owner = bind.owner else { return }
                if chown(path, owner.userID, owner.groupID) != 0 {
                    throw SystemError.last("chown", path)
                }
                if chmod(path, owner.mode) != 0 { throw SystemError.last("chmod", path) }
            } catch let error as SystemError { throw error.failure(side: .target) }
        }
        return ReplayOutcome()
    }

    private static func moveAside(_ path: String) throws(SystemError) {
        for number in 1...1000 {
            let aside = "\(path).before-restore-\(number)"
            if dr_rename_exclusive(AT_FDCWD, path, AT_FDCWD, aside) == 0 { return }
            if dr_errno() != EEXIST { throw .last("rename", aside) }
        }
        throw SystemError("rename", path: path, number: EEXIST)
    }

    private func outcome(_ summary: TreeReplaySummary, at place: String) -> ReplayOutcome {
        ReplayOutcome(
            bytes: summary.bytes, notes: summary.dropped.map { "\(place): \($0)" },
            problems: summary.problems.map { "\(place): \($0)" })
    }

    // MARK: Containers

    private func container(_ name: String) async throws -> ReplayOutcome {
        let definition = try snapshot.container(name)
        if let existing = try await engine.find(container: name) {
            // One that never started holds nothing of its own.
            let isUnused = existing.status == "created" && !existing.hasEverStarted
            guard isUnused || replace else { throw taken("container \(name)") }
            try await engine.remove(container: existing.id, force: true)
        }
        let supply = ImageSupply(engine: engine, identity: definition.image)
        guard let image = try await supply.find() else {
            throw Failure(
                .failed,
                "the image \(definition.image.reference) of container \(name) is not there",
                hint:
                    "run: docker pull \(definition.image.digests.first ?? definition.image.reference)",
                side: .target)
        }
        let creation = definition.creation(image: image, version: engine.version)
        let id = try await engine.createContainer(name: name, body: creation.body)
        do {
            for attachment in creation.further {
                try await engine.connect(
                    container: id, to: attachment.network, endpoint: attachment.endpoint)
            }
        } catch {
            await Task { _ = try? await engine.remove(container: id, force: true) }.value
            throw error
        }
        var outcome = ReplayOutcome()
        if image != definition.image.reference, !ImageReference.isID(definition.image.reference) {
            outcome.notes.append(
                "container \(name) has its image as \(image): "
                    + "\(definition.image.reference) is another one by now")
        }
        return outcome
    }

    private func completion(_ name: String) async throws -> ReplayOutcome {
        let code = try await engine.wait(container: name)
        guard code == 0 else {
            throw Failure(
                .verificationFailed, "container \(name) ended with exit code \(code)", side: .target
            )
        }
        return ReplayOutcome()
    }

    private func taken(_ what: String) -> Failure {
        Failure(.failed, "\(what) exists already", hint: "remove it first", side: .target)
    }
}

extension DockerSnapshot {
    /// Whether a container was given an address of the network.
    func hasStaticAddress(on network: String) -> Bool {
        containers.flatMap(\.networks).contains {
            $0.network == network && !$0.endpoint["IPAMConfig"].isEmpty
        }
    }
}

extension ContainerInspection {
    /// The Engine writes year 1 for never.
    var hasEverStarted: Bool {
        !(json["State"]["StartedAt"].string ?? "0001").hasPrefix("0001")
    }
}

extension ContainerDefinition {
    /// How long its own health check may take to pass: until it would have been called unhealthy,
    /// and as long again.
    var healthPatience: TimeSpan {
        let check = config["Healthcheck"]
        func span(_ key: String, _ standard: Double) -> Double {
            let nanoseconds = check[key].integer ?? 0
            return nanoseconds > 0 ? Double(nanoseconds) / 1e9 : standard
        }
        let retries = check["Retries"].integer ?? 0
        let once = span("Interval", 30) + span("Timeout", 30)
        let all = span("StartPeriod", 0) + Double(retries > 0 ? retries : 3) * once
        return TimeSpan(seconds: min(2 * all, 3600))
    }
}
