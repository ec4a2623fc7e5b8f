public import Model

/// What became of a container that a killed `dr` had left at rest.
public enum RestRecovery: Sendable, Hashable {
    /// It was still at rest, and runs again.
    case started
    /// It ran already.
    case ran
    /// It does not exist any more.
    case gone
    /// Somebody has started and stopped it since: that is theirs.
    case changed
}

extension RestedContainer {
    /// Clocks of the Engine's machine and of this one may differ by so much, in seconds.
    private static let tolerance = 120.0

    /// Sets it going again, unless that is done already or somebody else has decided otherwise.
    ///
    /// - Parameter since: When it was about to be brought to rest.
    /// - Throws: ``Failure`` when its Engine does not answer or cannot set it going.
    public func recover(since: Timestamp) async throws -> RestRecovery {
        let engine = try await DockerEngine.connect(host: self.engine)
        guard let now = try await engine.find(container: id) else { return .gone }
        switch mode {
        case .live: return .ran
        case .pause:
            guard now.isPaused else { return now.isRunning ? .ran : .changed }
        case .stop:
            if now.isRunning { return .ran }
            // Stopped by this run: soon after its note, and not started in between.
            guard let ended = now.finishedAt else { return .changed }
            let longest = Double(max(patience, 0)) + Self.tolerance
            let passed = (ended - since).seconds
            guard passed > -Self.tolerance, patience < 0 || passed < longest else {
                return .changed
            }
        }
        let release = ContainerRelease(engine: engine, mode: mode, report: { _ in })
        try await release.release(now.name)
        return .started
    }
}
