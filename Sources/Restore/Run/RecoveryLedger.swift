import Catalog
import Engine
import Model
import Synchronization

/// Writes down how far a run has come: durably, before a step makes anything and after it has.
///
/// In an incident a catalog that cannot be written stops nothing. What was made without being
/// written down counts as somebody else's when the run is taken up again: never overwritten
/// unasked.
final class RecoveryLedger: Sendable {
    private let catalog: Catalog?
    private let run: RunRecord
    private let timepiece: any Timepiece
    private let problem = Mutex<String?>(nil)

    init(_ catalog: Catalog?, run: RunRecord, timepiece: any Timepiece) {
        self.catalog = catalog
        self.run = run
        self.timepiece = timepiece
    }

    /// What keeps the run from being remembered; nil when nothing does.
    var trouble: String? { problem.withLock { $0 } }

    func begin(_ plan: RecoveryPlan) async {
        await attempt { catalog in
            try await catalog.beginRun(self.run)
            try await catalog.record(
                document: Catalog.planName, StableJSON.encode(plan), of: self.run.id)
            try await catalog.recordSteps(
                plan.steps.map { Self.record($0, state: .waiting) }, of: self.run.id)
        }
    }

    /// Before anything is made: the names, then the step's beginning.
    func began(_ step: PlannedStep, at offset: TimeSpan, attempt number: Int) async {
        await attempt { catalog in
            try await catalog.journal(
                step.makes.map {
                    JournalEntry(.making, step: step.id, name: $0, at: self.timepiece.wall)
                }, of: self.run.id)
            var record = Self.record(step, state: .running)
            record.started = offset
            record.attempts = number
            try await catalog.recordStep(record, of: self.run.id)
        }
    }

    /// Before anything that waits for the step is started.
    func proven(_ step: PlannedStep, _ bytes: ByteCount, from start: TimeSpan, to end: TimeSpan)
        async
    {
        await attempt { catalog in
            try await catalog.journal(
                [JournalEntry(.proven, step: step.id, at: self.timepiece.wall)],
                of: self.run.id)
            var record = Self.record(step, state: .done)
            record.started = start
            record.ended = end
            record.bytes = bytes
            try await catalog.recordStep(record, of: self.run.id)
        }
    }

    func finish(_ report: RecoveryReport, measurements: [Measurement], summary: String) async {
        await attempt { catalog in
            var run = self.run
            run.finished = self.timepiece.wall
            run.result = report.result
            run.summary = summary
            try await catalog.recordSteps(report.steps.map(Self.record), of: run.id)
            try await catalog.finishRun(
                run, documents: [Catalog.reportName: StableJSON.encode(report)],
                measurements: measurements)
        }
    }

    private func attempt(_ body: (Catalog) async throws -> Void) async {
        guard let catalog else { return }
        do {
            try await body(catalog)
        } catch {
            let text = Failure(wrapping: error).description
            problem.withLock { if $0 == nil { $0 = text } }
        }
    }

    private static func record(_ step: PlannedStep, state: StepState) -> StepRecord {
        StepRecord(
            id: step.id, title: step.title, service: step.services.first,
            workload: step.replay?.workload, state: state)
    }

    private static func record(_ step: StepReport) -> StepRecord {
        var record = StepRecord(
            id: step.id, title: step.title, service: step.services.first, state: step.state)
        record.started = step.started
        record.ended = step.ended
        record.bytes = step.bytes
        record.attempts = step.attempts
        record.message = step.message
        return record
    }
}
