import ArgumentParser
import Catalog
import Engine
import Model
import Repository
import Snapshot
import Workloads

/// `dr backup`.
struct BackupCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Save services into the repository.",
        discussion: """
            A service that fails does not stop the others. It ends with 3 when something was not \
            saved, or is not as it should be: whatever it says is safe, is safe. Then the \
            configuration's retention is applied to services that were saved whole.

            Ctrl-C or a TERM signal end it within seconds: services that wait stopped or paused run \
            again first, and what was saved until then is safe. After a crash, --resume goes on \
            with what the last run had not saved; without it everything is saved anew, which costs \
            little where nothing has changed.
            """)

    @Argument(help: ArgumentHelp("Services to save; all without any.", valueName: "service"))
    var services: [String] = []

    @Option(
        name: .customLong("tag"), parsing: .singleValue,
        help: ArgumentHelp("A word to find the snapshots by; can be repeated.", valueName: "name"))
    var tags: [String] = []

    @Flag(help: "Go on with the last run, which was killed or interrupted.")
    var resume = false

    @Flag(name: .customLong("dry-run"), help: "Only say what would be saved.")
    var isDryRun = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let configuration = try await application.configuration()
        let services = try application.services(named: services, in: configuration)
        if isDryRun {
            application.output.present(PlannedBackup(services: services))
            return .done
        }
        let watch = NightWatch(application, configuration)
        let night: Night
        do {
            try await refuseOnBattery(application, configuration)
            night = try await carryOut(services, configuration, application)
        } catch {
            if isWorthTelling(error, application) { await watch.failed(Failure(wrapping: error)) }
            throw error
        }
        if night.ending.map({ isWorthTelling($0, application) }) ?? true {
            await watch.ended(
                night.summary, code: night.code, catalog: night.catalog, remarks: night.remarks)
        }
        if let ending = night.ending { throw ending }
        return night.code
    }

    /// What a run came to, when it began at all.
    private struct Night {
        var summary: BackupSummary
        var code: ExitCode
        /// Why it ended early.
        var ending: (any Error)?
        var catalog: Catalog
        /// What went wrong after the captures.
        var remarks: [String] = []
    }

    /// Who ends a run at a terminal knows of it.
    private func isWorthTelling(_ error: any Error, _ application: Application) -> Bool {
        !(error is CancellationError) || application.environment.errorColumns == nil
    }

    /// Returns before anybody is told how it went: others may have the lock then.
    private func carryOut(
        _ services: [Service], _ configuration: Configuration, _ application: Application
    ) async throws -> Night {
        // The run itself learns which packs there are, once it has said that it is there.
        let open = try await application.open(configuration, refreshing: false, writing: true)
        let lock = try RunLock.acquire(
            in: open.catalog.directory,
            as: .current(purpose: "dr backup", at: application.timepiece.wall))
        defer { lock.release() }
        let stopped = try await application.recoverRests(open.catalog).compactMap { finding in
            finding.failure.map { "\(finding.text): \($0.description)" }
        }
        let resumed = resume ? try await unfinished(open.catalog) : nil
        let progress = ProgressDisplay("backup", on: application.output)
        let reporter = BackupReporter(output: application.output, progress: progress)
        let run = BackupRun(
            BackupRun.Parts(
                repository: open.repository, index: open.index, catalog: open.catalog,
                driverFor: application.driver,
                dumpedMounts: application.dumpedMounts(of: configuration.services),
                programs: application.programs, rules: configuration.night,
                context: application.context(configuration),
                timepiece: application.timepiece, host: application.host,
                version: Version.current),
            options: WriteOptions(level: configuration.compressionLevel),
            report: reporter.report)
        let tags = tags
        let (summary, isBatteryLow) = try await whilePowered(application, configuration) {
            try await progress.during {
                try await run.run(services, tags: tags, resuming: resumed)
            }
        }
        var result = BackupResult(summary: summary)
        var night = Night(summary: summary, code: summary.exitCode, catalog: open.catalog)
        if let ending = summary.ending {
            // What was saved is said first; then why the rest was not.
            application.output.present(result)
            if isBatteryLow {
                let low = Failure(
                    .failed, "the battery is low: the run was ended in order",
                    hint: "when the power is back: dr backup --resume", side: .local)
                night.summary.ending = low
                night.ending = low
            } else {
                night.ending = ending.code == .interrupted ? CancellationError() : ending
            }
            return night
        }
        night.remarks += stopped + open.losses
        var codes = [summary.exitCode]
        if !stopped.isEmpty { codes.append(.partial) }
        if !open.losses.isEmpty { codes.append(.damaged) }
        do {
            // Before retention, which may remove what tells.
            for remark in try await SharedWorkloads(catalog: open.catalog, host: application.host)
                .remarks(on: summary, at: application.now)
            {
                application.output.warning(remark)
                night.remarks.append(remark)
                codes.append(.partial)
            }
            if let outcome = try await applyRetention(after: summary, application, open) {
                result.forgotten = outcome.forgotten.count
                night.remarks += outcome.warnings.map { "retention holds back: \($0)" }
                if !outcome.warnings.isEmpty { codes.append(.partial) }
            }
        } catch {
            // What was saved is safe; the snapshots that should have gone are still there.
            let failure = Failure(wrapping: error).during("retention")
            application.output.failure(failure)
            night.remarks.append(failure.description)
            codes.append(failure.code)
        }
        do {
            codes.append(
                try await SampleCheck(application: application, open: open)
                    .run(percent: configuration.night.check, after: summary.duration))
        } catch let failure as Failure {
            // Copies and locks are worth a try all the same.
            let failure = failure.during("the sample check")
            application.output.failure(failure)
            night.remarks.append(failure.description)
            codes.append(.partial)
        }
        application.output.present(result)
        if let failure = await application.keepLocked(open, after: summary.run) {
            application.output.failure(failure)
            night.remarks.append(failure.description)
            codes.append(.partial)
        }
        codes += try await copy(application, open, &night.remarks)
        await foresee(after: summary, application, open)
        night.code = .combining(codes)
        return night
    }

    /// Brings the copies up to date; what was saved is safe whatever becomes of them.
    private func copy(
        _ application: Application, _ open: OpenRepository, _ remarks: inout [String]
    ) async throws -> [ExitCode] {
        guard !open.configuration.copies.isEmpty else { return [] }
        let (results, failures) = try await application.bringUpToDate(
            open.configuration.copies, from: open)
        for result in results {
            application.output.present(CopyPage(result: result))
            for (id, reason) in result.failed.sorted(by: { $0.key < $1.key }) {
                remarks.append("copy \(result.name): snapshot \(id.prefix(8)): \(reason)")
            }
        }
        for failure in failures {
            application.output.failure(failure)
            remarks.append(failure.description)
        }
        return failures.isEmpty && results.allSatisfy { $0.failed.isEmpty } ? [] : [.partial]
    }

    /// The run to go on with.
    private func unfinished(_ catalog: Catalog) async throws -> RunRecord {
        guard let last = try await catalog.runs(.backup, limit: 1).first else {
            throw Failure(
                .usage, "there is no run to go on with", hint: "run dr backup without --resume")
        }
        let isOpen = last.finished == nil || last.result == .interrupted
        guard isOpen else {
            throw Failure(
                .usage,
                "the last run, of \(last.started.shortDescription), came to its end",
                hint: "run dr backup without --resume")
        }
        return last
    }

    /// Keeps the plan that a restore of everything would follow now, with its forecast, and warns
    /// before the incident when that would take too long.
    private func foresee(
        after summary: BackupSummary, _ application: Application, _ open: OpenRepository
    ) async {
        do {
            let wish = RecoveryWish(services: [], target: .here, moment: nil, only: false)
            let plan = try await application.plan(wish, open).plan
            try await open.catalog.record(
                document: Catalog.planName, StableJSON.encode(plan), of: summary.run)
            guard let forecast = plan.forecast, forecast.isMeasured else { return }
            if let rto = plan.objectives.rto, forecast.expected > rto {
                application.output.warning(
                    "a restore of everything would take about \(forecast.expected)"
                        + " (\(forecast.shortest) to \(forecast.longest)), the objective is \(rto)",
                    hint: "dr plan shows the critical path")
            }
            for note in plan.notes where note.contains("its objective is") {
                application.output.warning(note, hint: "dr plan shows the critical path")
            }
        } catch {
            // What was saved is safe; the next plan is made anew.
            application.output.detail(
                StyledText("no forecast: \(Failure(wrapping: error).description)"))
        }
    }

    /// Forgets snapshots of the services whose new ones are all there and plausible.
    ///
    /// - Returns: What it came to; nil when no rule concerns any of the services.
    private func applyRetention(
        after summary: BackupSummary, _ application: Application, _ open: OpenRepository
    ) async throws -> Forgetting.Outcome? {
        let troubled = Set(
            summary.items.filter { $0.failure != nil || !$0.suspicions.isEmpty }.map(\.service))
        let services = Set(summary.items.map(\.service)).subtracting(troubled).filter {
            open.configuration.retention(of: $0).isSet
        }
        guard !services.isEmpty else { return nil }
        return try await application.retain(open, services: services).outcome
    }
}

/// What `dr backup --dry-run` says.
private struct PlannedBackup: Presentable {
    var services: [Service]

    private var workloads: [(service: Service, id: WorkloadID)] {
        services.flatMap { service in
            service.workloads.map {
                (service, WorkloadID(service: service.name, kind: $0.kind, name: $0.name))
            }
        }
    }

    var json: JSONValue {
        [
            "dry_run": true,
            "workloads": .array(
                workloads.map {
                    ["service": .string($0.service.name.text), "workload": .string($0.id.text)]
                }),
        ]
    }

    func write(to page: inout Page) {
        page.line("would save:")
        for workload in workloads { page.line(StyledText("  \(workload.id)")) }
    }
}
