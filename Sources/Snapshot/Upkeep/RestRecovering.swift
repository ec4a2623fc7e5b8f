public import Catalog
public import Engine
public import Model
public import Workloads

/// Sets going again what a killed run has left stopped or paused.
///
/// Only for whoever holds the run lock: nobody else may be at work.
public struct RestRecovering: Sendable {
    /// One container, and what became of it.
    public struct Finding: Sendable {
        public var container: RestedContainer
        /// When it was brought to rest.
        public var since: Timestamp
        /// Nil when it could not be set going.
        public var result: RestRecovery?
        public var failure: Failure?

        /// For people.
        public var text: String {
            let verb = container.mode == .pause ? "paused" : "stopped"
            let name = "container \(printable(container.name.utf8))"
            let when = "\(verb) for a backup at \(since.shortDescription)"
            return switch result {
            case .started: "\(name), \(when) and left so by a run that was killed, runs again"
            case .ran: "\(name), \(when), runs"
            case .gone: "\(name), \(when), does not exist any more"
            case .changed: "\(name), \(when), was changed by somebody since: left as it is"
            case nil: "\(name), \(when), does not run again"
            }
        }
    }

    private let catalog: Catalog
    private let timepiece: any Timepiece

    public init(catalog: Catalog, timepiece: any Timepiece) {
        self.catalog = catalog
        self.timepiece = timepiece
    }

    /// Looks after every container that a note was left of; the last that was stopped comes first.
    public func recover() async throws -> [Finding] {
        var findings: [Finding] = []
        for rest in try await catalog.openRests().reversed() {
            guard let detail = rest.entry.detail,
                let container = try? StableJSON.decode(RestedContainer.self, from: detail.utf8)
            else { continue }
            var finding = Finding(container: container, since: rest.entry.at)
            do {
                finding.result = try await container.recover(since: rest.entry.at)
                try await catalog.journal(
                    [
                        JournalEntry(
                            .released, step: "", name: rest.entry.name, at: timepiece.wall)
                    ], of: rest.run)
            } catch {
                if error is CancellationError { throw error }
                finding.failure = Failure(wrapping: error)
            }
            findings.append(finding)
        }
        return findings
    }
}
