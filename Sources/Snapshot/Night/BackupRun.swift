import CLinux
public import Catalog
public import Engine
import Glibc
public import Model
public import Repository
public import Workloads

/// A night: captures workloads side by side, each into a snapshot of its own.
///
/// A workload that fails does not stop the others. Whatever happens, services that were brought to
/// rest are set going again before it returns.
public struct BackupRun: Sendable {
    /// What a run needs.
    public struct Parts: Sendable {
        public var repository: BackupRepository
        public var index: any ChunkIndex
        public var catalog: Catalog
        public var driverFor: @Sendable (WorkloadKind) -> any WorkloadDriver
        /// What a container's capture leaves out because a dump holds it.
        public var dumpedMounts:
            @Sendable (DockerSpecification, WorkloadContext) async throws
                -> [String]
        /// Where hooks run.
        public var programs: any ProgramRunner
        public var rules: NightRules
        public var context: WorkloadContext
        public var timepiece: any Timepiece
        public var host: String
        public var version: String

        public init(
            repository: BackupRepository, index: any ChunkIndex, catalog: Catalog,
            driverFor: @escaping @Sendable (WorkloadKind) -> any WorkloadDriver,
            dumpedMounts:
                @escaping @Sendable (DockerSpecification, WorkloadContext) async throws
                -> [String] = { _, _ in [] },
            programs: any ProgramRunner = LocalPrograms(), rules: NightRules = NightRules(),
            context: WorkloadContext, timepiece: any Timepiece, host: String, version: String
        ) {
            self.repository = repository
            self.index = index
            self.catalog = catalog
            self.driverFor = driverFor
            self.dumpedMounts = dumpedMounts
            self.programs = programs
            self.rules = rules
            self.context = context
            self.timepiece = timepiece
            self.host = host
            self.version = version
        }
    }

    private let parts: Parts
    private let options: WriteOptions
    private let report: @Sendable (BackupEvent) -> Void

    public init(
        _ parts: Parts, options: WriteOptions = WriteOptions(),
        report: @escaping @Sendable (BackupEvent) -> Void = { _ in }
    ) {
        self.parts = parts
        self.options = options
        self.report = report
    }

    /// Captures every workload of `services`.
    ///
    /// - Parameters:
    ///   - tags: Kept with every snapshot.
    ///   - resuming: A run whose process was killed: what it has saved is not captured again, and the
    ///     rest becomes part of the same recovery point.
    /// - Returns: What became of each workload, also when the run ended early: then
    ///   ``BackupSummary/ending`` says why.
    /// - Throws: `Failure` when the run could not begin.
    public func run(
        _ services: [Service], tags: [String] = [], resuming: RunRecord? = nil
    ) async throws -> BackupSummary {
        let began = parts.timepiece.monotonic
        var record =
            resuming
            ?? RunRecord(
                purpose: .backup, host: parts.host, processID: getpid(),
                version: parts.version, started: parts.timepiece.wall)
        record.processID = getpid()
        if resuming == nil { try await parts.catalog.beginRun(record) }
        var summary = BackupSummary(run: record.id, started: record.started)
        do {
            try await HookRunner(programs: parts.programs, environment: ["DR_RUN": "\(record.id)"])
                .run(
                    "before", parts.rules.hooks.before, timeout: parts.rules.hooks.timeout)
            try await carryOut(services, tags, &record, began, &summary)
        } catch {
            await close(&record, Failure(wrapping: error).code, "ended early")
            await hooksAfter(record, .failed) { report(.hookFailed(nil, $0)) }
            throw error
        }
        summary.duration = parts.timepiece.monotonic - began
        await hooksAfter(record, summary.exitCode) {
            summary.hookFailures.append(BackupSummary.HookFailure(service: nil, failure: $0))
            report(.hookFailed(nil, $0))
        }
        let saved = summary.items.count { $0.failure == nil }
        await close(
            &record, summary.exitCode, "\(saved) of \(summary.items.count) workloads saved",
            measured: summary)
        return summary
    }

    private func carryOut(
        _ services: [Service], _ tags: [String], _ record: inout RunRecord, _ began: TimeSpan,
        _ summary: inout BackupSummary
    ) async throws {
        let run = record.id
        let history = try await NightHistory(of: parts.catalog, before: run)
        let before = try await parts.catalog.snapshots(SnapshotFilter(run: run))
        if let cutOff = history.cutOff {
            report(
                .remarked(
                    "the run of \(cutOff.run.started.shortDescription) was cut off: "
                        + "\(cutOff.saved) of \(cutOff.total) workloads were saved, and are safe"))
        }
        let plan: NightPlan
        do {
            plan = try NightPlan(
                services, rules: parts.rules,
                facts: NightPlan.Facts(
                    estimates: history.estimates, dockerHost: parts.context.dockerHost,
                    done: Set(before.map(\.workload))))
        } catch {
            throw Failure(.usage, "\(error)", hint: "look at after: and group: of the services")
        }
        try await parts.catalog.recordSteps(
            plan.captures.map { id, service in
                StepRecord(
                    id: id.text, title: "capture \(id)", service: service.name, workload: id)
            }, of: run)
        let writing = try await parts.repository.beginWriting(
            index: parts.index, options: options, host: parts.host,
            processID: record.processID, timepiece: parts.timepiece,
            owner: try await SessionOwner.current(parts.catalog))
        for (pack, reason) in writing.unreadable.sorted(by: { $0.key < $1.key }) {
            report(.unreadable(pack, reason))
        }
        let night = Night(
            parts: parts, plan: plan, writing: writing, run: run, tags: tags, history: history,
            began: began, report: report)
        do {
            let results = try await night.carryOut()
            let isCancelled = Task.isCancelled
            summary.ending =
                night.fatal ?? (isCancelled ? Failure(.interrupted, "interrupted") : nil)
            summary.items = NightResults(night: night, results: results, services: services)
                .items(savedBefore: before)
            summary.groups = NightResults.groups(night, summary.items)
            summary.hookFailures = night.hookFailures
        } catch {
            await writing.end(error)
            throw error
        }
        await settle(record, writing, &summary)
    }

    /// Records what was saved, also when the run was cancelled, and ends the session.
    private func settle(
        _ record: RunRecord, _ writing: WritingRun, _ summary: inout BackupSummary
    ) async {
        let items = summary.items
        let ending = summary.ending
        let chain = await Task { [parts] () -> Failure? in
            let unsaved = items.filter { $0.snapshot == nil }.map { item in
                var step = StepRecord(
                    id: item.workload.text, title: "capture \(item.workload)",
                    service: item.service, workload: item.workload,
                    state: item.attempts == 0 ? .notExecuted : .failed)
                step.attempts = item.attempts
                step.message = item.failure?.description
                return step
            }
            try? await parts.catalog.recordSteps(unsaved, of: record.id)
            let added = items.compactMap(\.snapshot)
            guard !added.isEmpty else { return nil }
            do {
                try await ChainKeeping(repository: parts.repository, catalog: parts.catalog)
                    .append(run: record, at: parts.timepiece.wall, added: added)
                return nil
            } catch {
                return Failure(wrapping: error)
            }
        }.value
        summary.stored = writing.session.totals.stored
        if summary.ending == nil { summary.ending = chain }
        let end: (any Error)? = ending ?? chain
        await Task { await writing.end(end) }.value
    }

    /// The hooks of the whole run that come last.
    private func hooksAfter(
        _ record: RunRecord, _ code: ExitCode, failed: (Failure) -> Void
    ) async {
        let hooks = parts.rules.hooks
        let runner = HookRunner(
            programs: parts.programs,
            environment: [
                "DR_RUN": "\(record.id)", "DR_RESULT": code == .done ? "saved" : "failed",
                "DR_EXIT_CODE": "\(code.rawValue)",
            ])
        var todo = [("after", hooks.after)]
        if code != .done { todo.append(("failed", hooks.failed)) }
        for (name, words) in todo {
            let failure = await Task { () -> Failure? in
                do {
                    try await runner.run(name, words, timeout: hooks.timeout)
                    return nil
                } catch { return Failure(wrapping: error) }
            }.value
            if let failure { failed(failure) }
        }
    }

    private func close(
        _ record: inout RunRecord, _ code: ExitCode, _ text: String,
        measured: BackupSummary? = nil
    ) async {
        record.finished = parts.timepiece.wall
        record.result = code
        record.summary = text
        let closed = record
        let measurements = (measured?.items ?? []).filter { $0.snapshot != nil }.map { item in
            Measurement(
                subject: NightHistory.subject, workload: item.workload,
                bytes: item.statistics.bytesRead, duration: item.duration, at: record.started)
        }
        await Task { [parts] in
            try? await parts.catalog.finishRun(closed, measurements: measurements)
        }.value
    }
}
