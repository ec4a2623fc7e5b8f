import Engine
import Model
import Snapshot

extension BackupCommand {
    /// - Throws: `Failure` when the machine runs on battery. A supply that cannot be asked stops
    ///   nothing: a backup is worth more.
    func refuseOnBattery(
        _ application: Application, _ configuration: Configuration
    ) async throws {
        guard let rules = configuration.power else { return }
        do {
            let state = try await PowerSupply(rules, programs: application.programs).state()
            guard state != .online else { return }
        } catch {
            if error is CancellationError { throw error }
            let failure = Failure(wrapping: error)
            return application.output.warning(failure.description, hint: failure.hint)
        }
        throw Failure(
            .failed, "the machine runs on battery: no run is begun",
            hint: "run dr backup again when the power is back", side: .local, isTransient: true)
    }

    /// Runs `body`, and cancels it when the battery is low.
    ///
    /// - Returns: What it came to, and whether that was why it ended.
    func whilePowered(
        _ application: Application, _ configuration: Configuration,
        _ body: @escaping @Sendable () async throws -> BackupSummary
    ) async throws -> (BackupSummary, isBatteryLow: Bool) {
        guard let rules = configuration.power else { return (try await body(), false) }
        let supply = PowerSupply(rules, programs: application.programs)
        return try await withThrowingTaskGroup(of: BackupSummary?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await supply.untilLow()
                return nil
            }
            var isLow = false
            defer { group.cancelAll() }
            while let ended = try await group.next() {
                if let summary = ended { return (summary, isLow) }
                isLow = true
                application.output.warning("the battery is low: the run ends in order")
                group.cancelAll()
            }
            throw CancellationError()
        }
    }
}
