import Catalog
import Engine
import Model
import Synchronization
import Workloads

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
    private let names: Mutex<NameOwnership>

    /// - Parameter journal: What was written down by earlier processes.
    init(
        _ catalog: Catalog?, run: RunRecord, timepiece: any Timepiece,
        journal: [JournalEntry] = []
    ) {
        self.catalog = catalog
        self.run = run
        self.timepiece = timepiece
        names = Mutex(NameOwnership(journal))
    }

    /// What keeps the run from being remembered; nil when nothing does.
    var trouble: String? { problem.withLock { $0 } }

    /// - Parameter existing: Names that are there at minute 0.
    func begin(
        _ plan: RecoveryPlan, _ orders: RecoveryOrders, existing: [String],
        documents: [String: [UInt8]] = [:]
    ) async {
        await attempt { catalog in
            try await catalog.beginRun(
                self.run,
                documents: [
                    Catalog.planName: StableJSON.encode(plan),
                    RecoveryOrders.documentName: StableJSON.encode(orders),
                ].merging(documents) { first, _ in first })
            try await catalog.recordSteps(
                plan.steps.map { Self.record($0, state: .waiting) }, of: self.run.id)
        }
        await write(existing.map { JournalEntry(.existed, step: "", name: $0, at: timepiece.wall) })
    }

    /// Another process goes on with the run.
    func resume(_ orders: RecoveryOrders) async {
        await attempt { catalog in
            try await catalog.finishRun(
                self.run, documents: [RecoveryOrders.documentName: StableJSON.encode(orders)])
        }
    }

    func began(_ step: PlannedStep, at offset: TimeSpan, attempt number: Int) async {
        await attempt { catalog in
            var record = Self.record(step, state: .running)
            record.started = offset
            record.attempts = number
            try await catalog.recordStep(record, of: self.run.id)
        }
    }

    /// Before anything that waits for the step is started.
    func proven(_ step: ProvenStep) async {
        await attempt { catalog in
            let detail = String(decoding: try StableJSON.encode(step), as: UTF8.self)
            try await catalog.journal(
                [
                    JournalEntry(
                        .proven, step: step.report.id, detail: detail, at: self.timepiece.wall)
                ], of: self.run.id)
            try await catalog.recordStep(Self.record(step.report), of: self.run.id)
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

    /// What one step has to say about names.
    ///
    /// - Parameter step: Nil for what concerns the whole run.
    func names(of step: PlannedStep?) -> any NameLedger {
        StepNames(step: step?.id ?? "", ledger: self)
    }

    private struct StepNames: NameLedger {
        let step: String
        let ledger: RecoveryLedger

        func isOwn(_ name: String) -> Bool { ledger.names.withLock { $0.isOwn(name) } }
        func aside(of name: String) -> String? { ledger.names.withLock { $0.aside(of: name) } }
        func claim(_ name: String) async { await write(.making, name) }
        func disclaim(_ name: String) async { await write(.existed, name) }
        func moveAside(_ name: String, to place: String) async { await write(.aside, name, place) }

        private func write(_ kind: JournalEntry.Kind, _ name: String, _ detail: String? = nil) async
        {
            await ledger.write([
                JournalEntry(
                    kind, step: step, name: name, detail: detail, at: ledger.timepiece.wall)
            ])
        }
    }

    /// What is remembered only here lasts as long as the process: then too it is the run's own.
    private func write(_ entries: [JournalEntry]) async {
        await attempt { try await $0.journal(entries, of: self.run.id) }
        names.withLock { names in for entry in entries { names.apply(entry) } }
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
