import Model

/// Carries out the steps that bring a snapshot back on the machine of its Engine.
struct DockerReplay {
    let engine: DockerEngine
    let source: any ReplaySource
    let snapshot: DockerSnapshot
    let context: WorkloadContext
    /// Those of the Engine's machine.
    let files: MachineFiles

    init(
        engine: DockerEngine, source: any ReplaySource, snapshot: DockerSnapshot,
        context: WorkloadContext
    ) throws {
        self.engine = engine
        self.source = source
        self.snapshot = snapshot
        self.context = context
        files = try engine.files
    }

    private var room: DockerRoom { DockerRoom(engine: engine, context: context) }

    /// What has a name already is an error, unless it is this run's own or is to be replaced: then it
    /// is dropped or moved aside first.
    func perform(_ step: ReplayStep) async throws -> ReplayOutcome {
        let (kind, name) = try DockerStepKind.parse(step.id)
        switch kind {
        case .network: return try await network(name)
        case .volume: return try await volume(name)
        case .bind: return try await bind(name)
        case .compose: return try await composeFile(name)
        case .image:
            let supply = ImageSupply(engine: engine, identity: try snapshot.image(name))
            if try await supply.find() == nil { await context.claim("image/\(name)").claim() }
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
            guard context.replace || context.claim("network/\(name)").isOwn else {
                throw taken("network \(name)")
            }
            try await engine.remove(network: name)
        }
        await context.claim("network/\(name)").claim()
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
        let claim = context.claim("volume/\(name)")
        var notes: [String] = []
        if let existing = try await engine.find(volume: name) {
            notes = try await makeRoom(existing, claim)
        }
        await claim.claim()
        // One that a container holds which was moved aside is there still, and empty.
        let created = try await engine.createVolume(body: definition.creation)
        let place = definition.boundDirectory ?? created.mountPoint
        guard let part = definition.part else {
            // Gone where what it held was moved aside.
            if created.driver == "local", created.options.isEmpty {
                try await files.makeDirectory(place)
            }
            return ReplayOutcome(notes: notes)
        }
        do {
            let summary = try await files.replayStaged(part, from: source, to: place)
            var outcome = outcome(summary, at: "volume \(name)")
            outcome.notes = notes + outcome.notes
            return outcome
        } catch {
            // It holds nothing yet, and is in the way of the next attempt.
            await Task { _ = try? await engine.remove(volume: name) }.value
            throw error
        }
    }

    /// Takes a volume of the name away, or what it holds.
    ///
    /// - Returns: What was done, for people.
    private func makeRoom(_ volume: VolumeInspection, _ claim: NameClaim) async throws -> [String] {
        let name = volume.name
        let users = try await engine.containers(filters: ["volume": [name]])
        let running = users.filter { $0.state != "exited" && $0.state != "created" }.map(\.name)
        guard users.isEmpty || (running.isEmpty && (context.replace || claim.isOwn)) else {
            throw Failure(
                .failed,
                "volume \(name) is held by containers: "
                    + users.map(\.name).sorted().joined(separator: ", "),
                hint: "remove them first", side: .target)
        }
        var notes: [String] = []
        let isEmpty = try await isEmpty(volume)
        if claim.isOwn {
            let place =
                VolumeDefinition.boundDirectory(driver: volume.driver, options: volume.options)
                ?? volume.mountPoint
            if volume.driver == "local", place != volume.mountPoint || volume.options.isEmpty {
                try await files.remove(place)
            }
        } else if !isEmpty {
            guard context.replace else { throw taken("volume \(name)") }
            notes.append(try await room.empty(volume))
        }
        if users.isEmpty { try await engine.remove(volume: name) }
        return notes
    }

    private func isEmpty(_ volume: VolumeInspection) async throws -> Bool {
        let place =
            VolumeDefinition.boundDirectory(driver: volume.driver, options: volume.options)
            ?? volume.mountPoint
        // What lies on an unmounted device or a share cannot be seen, so it is not known to be empty.
        guard volume.driver == "local", place != volume.mountPoint || volume.options.isEmpty else {
            return false
        }
        return try await files.place(at: place).state != .taken
    }

    private func bind(_ path: String) async throws -> ReplayOutcome {
        let bind = try snapshot.bind(path)
        let claim = context.claim("path\(path)")
        if let part = bind.part {
            let (summary, aside) = try await files.replay(
                part, from: source, to: path, replace: context.replace, claim: claim)
            var outcome = outcome(summary, at: printable(path.utf8))
            if let aside { outcome.notes.append("what was there is now \(printable(aside.utf8))") }
            return outcome
        }
        let isTaken = try await files.place(at: path).state == .taken
        // Only an empty directory is wanted: one that is there does.
        guard !isTaken || claim.isOwn || context.replace else { throw PlaceState.failure(path) }
        if isTaken { return ReplayOutcome(notes: ["\(printable(path.utf8)) was there"]) }
        await claim.claim()
        try await files.makeDirectory(path, owner: bind.owner)
        return ReplayOutcome()
    }

    /// One that is there stays as it is: it is no data, and may be newer.
    private func composeFile(_ path: String) async throws -> ReplayOutcome {
        guard let part = try snapshot.composeFile(path).part else { return ReplayOutcome() }
        guard case .missing = try await files.place(at: path).state else {
            return ReplayOutcome(notes: ["\(printable(path.utf8)) was there"])
        }
        return outcome(try await files.replayStaged(part, from: source, to: path), at: path)
    }

    private func outcome(_ summary: TreeReplaySummary, at place: String) -> ReplayOutcome {
        ReplayOutcome(
            bytes: summary.bytes, notes: summary.dropped.map { "\(place): \($0)" },
            problems: summary.problems.map { "\(place): \($0)" })
    }

    // MARK: Containers

    private func container(_ name: String) async throws -> ReplayOutcome {
        let definition = try snapshot.container(name)
        let claim = context.claim("container/\(name)")
        if let existing = try await engine.find(container: name) {
            // One that never started holds nothing of its own.
            let isUnused = existing.status == "created" && !existing.hasEverStarted
            if isUnused || claim.isOwn {
                try await engine.remove(container: existing.id, force: true)
            } else {
                guard context.replace else { throw taken("container \(name)") }
                _ = try await room.moveAside(name)
            }
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
        await claim.claim()
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
