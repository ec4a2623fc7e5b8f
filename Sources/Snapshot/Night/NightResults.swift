import Engine
import Model
import Synchronization

/// Puts what became of a night's nodes into words.
struct NightResults {
    let night: Night
    let results: [String: GraphExecutor.NodeResult<BackupSummary.Item?>]
    let services: [Service]

    /// One item for each workload, in the order of the configuration.
    ///
    /// - Parameter savedBefore: What the killed run had saved that this one goes on with.
    func items(savedBefore: [SnapshotRecord]) -> [BackupSummary.Item] {
        var items: [BackupSummary.Item] = []
        for service in services {
            for workload in service.workloads {
                let id = WorkloadID(
                    service: service.name, kind: workload.kind, name: workload.name)
                if let saved = savedBefore.first(where: { $0.workload == id }) {
                    items.append(BackupSummary.Item(saved))
                } else {
                    items.append(item(id, of: service.name))
                }
            }
        }
        return items
    }

    private func item(_ id: WorkloadID, of service: ServiceName) -> BackupSummary.Item {
        var item = BackupSummary.Item(id, of: service)
        let result = results[id.text]
        item.attempts = night.state.withLock { $0.attempts[id] ?? 0 }
        if let started = result?.started, let ended = result?.ended {
            item.duration = ended - started
        }
        switch result?.outcome {
        case .done(let saved?): return saved
        case .failed(let error) where !(error is CancellationError):
            item.failure = Failure(wrapping: error)
        case .notExecuted(let cause?): item.failure = notExecuted(because: cause)
        default:
            item.failure = endedEarly(item.attempts == 0 ? "was not begun" : "was ended")
        }
        return item
    }

    /// What had to come before has failed.
    private func notExecuted(because cause: String) -> Failure {
        guard case .failed(let error) = results[cause]?.outcome else {
            return endedEarly("was not begun")
        }
        let reason = Failure(wrapping: error)
        return Failure(
            reason.code, "its capture was not begun: \(reason.message)", hint: reason.hint,
            context: reason.context, cause: reason.cause, side: reason.side)
    }

    private func endedEarly(_ what: String) -> Failure {
        if let fatal = night.fatal {
            return Failure(
                fatal.code, "its capture \(what), because the run ended early",
                hint: fatal.hint, cause: fatal.description, side: fatal.side)
        }
        if let deadline = night.parts.rules.deadline, !Task.isCancelled {
            return Failure(
                .failed, "its capture \(what): the run took longer than \(deadline)",
                hint: "allow it more with backup.deadline, or begin it earlier", side: .local)
        }
        return Failure(.interrupted, "its capture \(what), because the run was interrupted")
    }

    /// How much the members of each group agree.
    static func groups(_ night: Night, _ items: [BackupSummary.Item]) -> [BackupSummary.Group] {
        night.plan.groups.map { group in
            let names = group.services.map(\.name)
            let members = items.filter { names.contains($0.service) }
            let isWhole = members.allSatisfy { $0.snapshot != nil }
            let moment = night.state.withLock { $0.moments[group.name] }
            return BackupSummary.Group(
                name: group.name, services: names, asOf: moment,
                consistency: isWhole && moment != nil
                    ? members.compactMap(\.consistency).min() : nil)
        }
    }
}
