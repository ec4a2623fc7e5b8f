import Catalog
import Model

/// What the runs before have left behind: what they did not save, and how long captures took.
struct NightHistory: Sendable {
    /// A workload that the newest runs did not save.
    struct Trouble: Sendable {
        /// Runs in a row.
        var runs: Int
        /// The start of the first of them.
        var since: Timestamp
        /// What the newest of them said.
        var message: String?

        /// In words, for whoever hears that it is over.
        var description: String {
            let many = runs == 1 ? "in the run before" : "\(runs) times in a row"
            return "not saved \(many), since \(since.shortDescription)"
                + (message.map { ": \($0)" } ?? "")
        }
    }

    var troubles: [WorkloadID: Trouble] = [:]
    /// The newest run, when its process was killed.
    var cutOff: (run: RunRecord, saved: Int, total: Int)?
    var estimates: [WorkloadID: TimeSpan] = [:]

    static let subject = "backup.capture"
    /// Runs that are looked at.
    private static let depth = 30

    /// - Parameter run: The run that is about to begin, which does not count.
    init(of catalog: Catalog, before run: RunID) async throws {
        let runs = try await catalog.runs(.backup, limit: Self.depth).filter { $0.id != run }
        var settled: Set<WorkloadID> = []
        for (number, run) in runs.enumerated() {
            let steps = try await catalog.steps(of: run.id)
            let captures = steps.filter { $0.workload != nil }
            if number == 0, run.finished == nil {
                cutOff = (run, captures.count { $0.state == .done }, captures.count)
            }
            for step in captures {
                guard let workload = step.workload, !settled.contains(workload) else { continue }
                if step.state == .done {
                    settled.insert(workload)
                    continue
                }
                var trouble = troubles[workload] ?? Trouble(runs: 0, since: run.started)
                trouble.runs += 1
                trouble.since = run.started
                if trouble.runs == 1 {
                    trouble.message = step.message ?? "the run was cut off"
                }
                troubles[workload] = trouble
            }
            if !captures.isEmpty, captures.allSatisfy({ $0.workload.map(settled.contains) ?? true })
            {
                break
            }
        }
        for measurement in try await catalog.measurements(of: Self.subject) {
            guard let workload = measurement.workload, estimates[workload] == nil else { continue }
            estimates[workload] = measurement.duration
        }
    }
}
