import Catalog
import CLinux
import Engine
import Glibc
import Model
import Snapshot

/// Tells receivers how a run goes, and writes what Prometheus reads. Nothing of it can fail a run,
/// and nobody is waited for longer than a few seconds.
struct NightWatch: Sendable {
    let application: Application
    let configuration: Configuration
    private let notifier: Notifier
    private let started: Task<[Notifier.Problem], Never>?

    /// Begins to watch: a receiver that wants to know is told of the start, beside the run.
    init(_ application: Application, _ configuration: Configuration, tellsOfStart: Bool = true) {
        self.application = application
        self.configuration = configuration
        notifier = application.notifier(configuration)
        let notice = Notice(
            .start, events: [], host: application.host,
            title: "dr: backup on \(application.host) begins")
        if tellsOfStart, notifier.hasReceiver(for: notice) {
            let notifier = notifier
            started = Task { await notifier.send(notice) }
        } else {
            started = nil
        }
    }

    /// The run has come to its end, with whatever result.
    func ended(
        _ summary: BackupSummary, code: ExitCode, catalog: Catalog, remarks: [String] = []
    ) async {
        var report = WatchReport(host: application.host)
        report.add(summary, code: code)
        report.lines += remarks
        await lookAfterOverdue(catalog, &report)
        settle(&report)
        await tell(
            report.notice(
                summary.isSavedWhole && code == .done ? .success : .failure,
                title: report.title(of: summary, code: code)))
        await writeMetrics(catalog, summary: summary, code: code)
    }

    /// The run could not begin, or broke down.
    func failed(_ failure: Failure) async {
        var report = WatchReport(host: application.host)
        report.bad[Troubles.run] = .failure
        report.lookedAt.insert(Troubles.run)
        report.events.insert(.failure)
        report.lines.append(failure.description)
        if let hint = failure.hint { report.lines.append("hint: \(hint)") }
        settle(&report)
        await tell(
            report.notice(.failure, title: "dr: backup on \(application.host) failed"))
        if let path = configuration.metrics {
            let code = failure.code
            let now = application.now
            try? await BlockingPool.shared.run {
                try MetricsFile.note(failedRunAt: now, code: code, in: path)
            }
        }
    }

    /// Looks at nothing but the age of what is saved.
    ///
    /// - Returns: What is overdue now.
    func lookAtAge(_ catalog: Catalog) async throws -> [Freshness] {
        var report = WatchReport(host: application.host)
        let overdue = await lookAfterOverdue(catalog, &report)
        settle(&report)
        if !report.events.isEmpty {
            let title =
                report.events.contains(.overdue)
                ? "dr: backups on \(application.host) are overdue"
                : "dr: backups on \(application.host) are no longer overdue"
            await tell(report.notice(.between, title: title))
        }
        return overdue
    }

    /// Tells everybody something, to see whether it arrives.
    func test() async -> [Notifier.Problem] {
        await notifier.send(
            Notice(
                .success, events: Set(NotificationEvent.allCases), host: application.host,
                title: "dr: a test from \(application.host)",
                lines: ["This is a test. Nothing has happened."]))
    }

    // MARK: Overdue

    @discardableResult
    private func lookAfterOverdue(
        _ catalog: Catalog, _ report: inout WatchReport
    ) async -> [Freshness] {
        do {
            let all = try await catalog.freshness(
                of: configuration.services, at: application.now)
            for freshness in all {
                report.lookedAt.insert(Troubles.overdue(freshness.service))
                report.texts[Troubles.overdue(freshness.service)] = freshness.text
                if freshness.isOverdue {
                    report.bad[Troubles.overdue(freshness.service)] = .overdue
                }
            }
            return all.filter(\.isOverdue)
        } catch {
            report.lines.append(
                "the age of snapshots is not known: \(Failure(wrapping: error).description)")
            return []
        }
    }

    /// Compares with what was told before, and remembers.
    private func settle(_ report: inout WatchReport) {
        guard !configuration.notify.isEmpty else { return }
        guard let path = application.troublesFile(configuration) else { return }
        var troubles = Troubles.read(from: path)
        let change = troubles.update(
            bad: Set(report.bad.keys), lookedAt: report.lookedAt, at: application.now)
        report.note(change)
        do { try troubles.write(to: path) } catch {
            application.output.detail(
                StyledText("not remembered: \(Failure(wrapping: error).description)"))
        }
    }

    private func tell(_ notice: Notice) async {
        var problems = await started?.value ?? []
        problems += await notifier.send(notice)
        for problem in problems {
            application.output.warning(
                "\(problem.receiver) was not told: \(problem.reason)",
                hint: "dr notify --test tries them all")
        }
    }

    private func writeMetrics(
        _ catalog: Catalog, summary: BackupSummary, code: ExitCode
    ) async {
        guard let path = configuration.metrics else { return }
        do {
            let text = try await MetricsFile.text(
                catalog, configuration, summary: summary, code: code, at: application.now)
            try await BlockingPool.shared.run { try MetricsFile.write(text, to: path) }
        } catch {
            application.output.warning(
                "the metrics could not be written to \(printable(path.utf8)): "
                    + Failure(wrapping: error).description,
                hint: "is the directory there, and may dr write in it?")
        }
    }
}

extension BackupSummary {
    /// Everything was saved and nothing is odd.
    var isSavedWhole: Bool { exitCode == .done }
}

extension Application {
    /// Whoever the configuration names.
    func notifier(_ configuration: Configuration) -> Notifier {
        let secrets = secrets
        return Notifier(
            configuration.notify, programs: programs,
            sendmail: environment.hasProgram("sendmail") ? "sendmail" : "/usr/sbin/sendmail"
        ) { try await secrets.read($0) }
    }

    /// Where it is remembered what receivers were told; nil where this machine has no such place.
    func troublesFile(_ configuration: Configuration) -> String? {
        let place = configuration.repository.split(separator: "/").suffix(4)
            .joined(separator: "-")
        if let directory = configuration.catalog { return "\(directory)/troubles-\(place).json" }
        guard
            let root = try? StateDirectory.root(
                environment: environment.variables, userID: geteuid())
        else { return nil }
        return "\(root)/troubles-\(place).json"
    }
}
