import Model

/// Stops or pauses containers while their data is read, and sets going again what it stopped.
///
/// What was stopped or paused before stays so. The release happens in every case: after an error,
/// and when the task was cancelled. A journal has a note of each for as long as it is at rest.
struct ContainersAtRest {
    let engine: DockerEngine
    let mode: CaptureMode
    /// In the order in which they are stopped: those that need others first.
    let containers: [ContainerInspection]
    var journal: (any RestJournal)?
    let report: @Sendable (String) -> Void

    /// What ended how.
    struct Outcome<Value: Sendable>: Sendable {
        var value: Value
        /// No container had to be killed to stop it.
        var isClean: Bool
    }

    /// Runs `body` while all of them are at rest.
    func during<Value: Sendable>(
        _ body: () async throws -> Value
    ) async throws -> Outcome<Value> {
        let resting = try await begin()
        let result: Result<Value, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        let isClean = await resting.isClean
        // A cancelled task must not leave anything stopped: the release is a task of its own.
        let left = await Task { await resting.release() }.value
        let value: Value
        do { value = try result.get() } catch {
            guard let left else { throw error }
            throw left.during("after: \(Failure(wrapping: error))")
        }
        if let left { throw left }
        return Outcome(value: value, isClean: isClean)
    }

    /// Brings all of them to rest.
    ///
    /// - Returns: What must be released.
    /// - Throws: After those that were stopped already run again.
    func begin() async throws -> RestingContainers {
        let resting = RestingContainers(
            release: ContainerRelease(engine: engine, mode: mode, report: report),
            journal: journal)
        do {
            if mode == .stop { try refuseRemovedOnStop() }
            for container in containers { try await rest(container, resting) }
            return resting
        } catch {
            let left = await Task { await resting.release() }.value
            guard let left else { throw error }
            throw left.during("after: \(Failure(wrapping: error))")
        }
    }

    private func rest(
        _ container: ContainerInspection, _ resting: RestingContainers
    ) async throws {
        guard mode != .live, container.isRunning, !container.isPaused else { return }
        let patience = container.config["StopTimeout"].integer ?? 10
        // Known before the call, which may be carried out although its answer is lost. A call under
        // way is not cancelled: the release must not overtake it.
        try await resting.add(
            RestedContainer(
                engine: "\(engine.address)", name: container.name, id: container.id, mode: mode,
                patience: patience))
        if mode == .pause {
            report("pausing container \(container.name)")
            try await Task { try await engine.pause(container: container.name) }.value
            return
        }
        report("stopping container \(container.name)")
        let didStop = try await Task {
            try await engine.stop(container: container.name, patience: patience)
        }.value
        guard didStop else { return await resting.remove(container.name) }
        let ended = try await engine.inspect(container: container.name)
        // 137 is 128 + SIGKILL: it did not stop by itself in time.
        if ended.exitCode == 137 { await resting.wasKilled() }
    }

    private func refuseRemovedOnStop() throws {
        for container in containers
        where container.hostConfig["AutoRemove"].bool ?? false && container.isRunning {
            throw Failure(
                .failed, "container \(container.name) is removed by Docker when it stops (--rm)",
                hint: "capture it with consistency: pause", side: .source)
        }
    }
}

/// What was brought to rest, in order.
actor RestingContainers {
    private let releasing: ContainerRelease
    private let journal: (any RestJournal)?
    private var containers: [RestedContainer] = []
    /// No container had to be killed to stop it.
    private(set) var isClean = true

    init(release: ContainerRelease, journal: (any RestJournal)?) {
        releasing = release
        self.journal = journal
    }

    func add(_ container: RestedContainer) async throws {
        try await journal?.resting(container)
        containers.append(container)
    }

    /// It did not run after all.
    func remove(_ name: String) async {
        for container in containers where container.name == name {
            await journal?.released(container)
        }
        containers.removeAll { $0.name == name }
    }

    func wasKilled() { isClean = false }

    /// Sets all of them going again, the last first; doing so twice does nothing more.
    ///
    /// - Returns: What could not be released; nil when all could.
    func release() async -> Failure? {
        let all = containers
        containers = []
        var failed: [(name: String, reason: Failure)] = []
        for container in all.reversed() {
            do {
                try await releasing.release(container.name)
                await journal?.released(container)
            } catch {
                failed.append((container.name, Failure(wrapping: error)))
            }
        }
        return releasing.failure(failed)
    }
}

/// Sets containers going again.
struct ContainerRelease: Sendable {
    let engine: DockerEngine
    let mode: CaptureMode
    let report: @Sendable (String) -> Void

    /// What could not be released, with the command that would; nil when all could.
    func failure(_ failed: [(name: String, reason: Failure)]) -> Failure? {
        guard let first = failed.first else { return nil }
        let list = failed.map(\.name).joined(separator: " ")
        let verb = mode == .pause ? "unpause" : "start"
        return Failure(
            .failed, "containers that were brought to rest do not run again: \(list)",
            hint: "run: docker \(verb) \(list)", cause: first.reason.description, side: .source)
    }

    /// Tries several times where the Engine does not answer.
    func release(_ name: String) async throws {
        report(mode == .pause ? "unpausing container \(name)" : "starting container \(name)")
        var pause = Duration.milliseconds(500)
        var engine = engine
        while true {
            do {
                if mode == .pause {
                    // One whose pause did not happen is not paused: that is as it should be.
                    guard let now = try await engine.find(container: name), now.isPaused else {
                        return
                    }
                    try await engine.unpause(container: name)
                } else {
                    try await engine.start(container: name)
                }
                return
            } catch let failure as Failure where failure.isTransient && pause < .seconds(16) {
                try await Task.sleep(for: pause)
                pause *= 2
                // The way to another machine may have been cut: then there is a new one.
                if engine.isRemote,
                    let again = try? await DockerEngine.connect(address: engine.address)
                {
                    engine = again
                }
            }
        }
    }
}
