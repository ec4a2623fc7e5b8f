import Model

/// Stops or pauses containers while their data is read, and sets going again what it stopped.
///
/// What was stopped or paused before stays so. The release happens in every case: after an error,
/// and when the task was cancelled.
struct ContainersAtRest {
    let engine: DockerEngine
    let mode: CaptureMode
    /// In the order in which they are stopped: those that need others first.
    let containers: [ContainerInspection]
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
        let stopped = Stopped()
        let result: Result<Value, any Error>
        do {
            if mode == .stop { try refuseRemovedOnStop() }
            for container in containers { try await rest(container, stopped) }
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        let isClean = await stopped.isClean
        let release = ContainerRelease(engine: engine, mode: mode, report: report)
        let names = await stopped.names
        // A cancelled task must not leave anything stopped: the release is a task of its own.
        let left = await Task { await release.release(names.reversed()) }.value
        let value: Value
        do { value = try result.get() } catch {
            guard let left else { throw error }
            throw left.during("after: \(Failure(wrapping: error))")
        }
        if let left { throw left }
        return Outcome(value: value, isClean: isClean)
    }

    /// What was brought to rest here, in order.
    private actor Stopped {
        var names: [String] = []
        var isClean = true
        func add(_ name: String) { names.append(name) }
        func remove(_ name: String) { names.removeAll { $0 == name } }
        func wasKilled() { isClean = false }
    }

    private func rest(_ container: ContainerInspection, _ stopped: Stopped) async throws {
        guard container.isRunning, !container.isPaused else { return }
        // Known before the call, which may be carried out although its answer is lost. A call under
        // way is not cancelled: the release must not overtake it.
        switch mode {
        case .live: return
        case .pause:
            await stopped.add(container.name)
            report("pausing container \(container.name)")
            try await Task { try await engine.pause(container: container.name) }.value
        case .stop:
            await stopped.add(container.name)
            report("stopping container \(container.name)")
            let patience = container.config["StopTimeout"].integer ?? 10
            let didStop = try await Task {
                try await engine.stop(container: container.name, patience: patience)
            }.value
            guard didStop else {
                await stopped.remove(container.name)
                return
            }
            let ended = try await engine.inspect(container: container.name)
            // 137 is 128 + SIGKILL: it did not stop by itself in time.
            if ended.exitCode == 137 { await stopped.wasKilled() }
        }
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

/// Sets containers going again.
struct ContainerRelease: Sendable {
    let engine: DockerEngine
    let mode: CaptureMode
    let report: @Sendable (String) -> Void

    /// Tries all of them, several times where the Engine does not answer.
    ///
    /// - Returns: What could not be released; nil when all could.
    func release(_ names: [String]) async -> Failure? {
        var failed: [(name: String, reason: Failure)] = []
        for name in names {
            do { try await release(name) } catch {
                failed.append((name, Failure(wrapping: error)))
            }
        }
        guard let first = failed.first else { return nil }
        let list = failed.map(\.name).joined(separator: " ")
        let verb = mode == .pause ? "unpause" : "start"
        return Failure(
            .failed, "containers that were brought to rest do not run again: \(list)",
            hint: "run: docker \(verb) \(list)", cause: first.reason.description, side: .source)
    }

    private func release(_ name: String) async throws {
        report(mode == .pause ? "unpausing container \(name)" : "starting container \(name)")
        var pause = Duration.milliseconds(500)
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
            }
        }
    }
}
