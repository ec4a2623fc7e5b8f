import Catalog
import CLinux
import Engine
import Glibc
import Model
import Restore
import Snapshot

/// What node_exporter's textfile collector reads: how the last run went, and how old what is saved is.
enum MetricsFile {
    private struct Metric {
        var name: String
        var help: String
        var values: [(labels: [(String, String)], value: Double)]
    }

    /// The whole file.
    static func text(
        _ catalog: Catalog, _ configuration: Configuration, summary: BackupSummary,
        code: ExitCode, at now: Timestamp
    ) async throws -> String {
        let freshness = try await catalog.freshness(of: configuration.services, at: now)
        func seconds(_ time: Timestamp) -> Double { Double(time.nanoseconds) / 1e9 }
        func of(_ service: ServiceName) -> [(String, String)] { [("service", service.text)] }
        func services(_ value: (Freshness) -> Double?) -> [(
            labels: [(String, String)], value: Double
        )] {
            freshness.compactMap { item in value(item).map { (labels: of(item.service), value: $0) }
            }
        }
        let results = Dictionary(grouping: summary.items, by: \.service)
        var metrics = [
            Metric(
                name: "dr_last_run_timestamp_seconds", help: "When the last run of dr backup ended",
                values: [([], seconds(now))]),
            Metric(
                name: "dr_last_run_duration_seconds", help: "How long it took",
                values: [([], summary.duration.seconds)]),
            Metric(
                name: "dr_last_run_status",
                help: "How it ended: 2 good, 1 in part or suspicious, 0 failed",
                values: [([], status(code))]),
            Metric(
                name: "dr_last_run_exit_code", help: "The exit code of dr backup",
                values: [([], Double(code.rawValue))]),
            Metric(
                name: "dr_last_run_added_bytes", help: "Bytes that it added to the repository",
                values: [([], Double(summary.stored.bytes))]),
        ]
        metrics.append(
            Metric(
                name: "dr_last_success_timestamp_seconds",
                help: "The moment that the newest good snapshots of a service stand for",
                values: services { $0.lastGood.map(seconds) }))
        metrics.append(
            Metric(
                name: "dr_overdue", help: "1 when they are older than the objective allows",
                values: services { $0.objective == nil ? nil : $0.isOverdue ? 1 : 0 }))
        metrics.append(
            Metric(
                name: "dr_rpo_target_seconds", help: "The objective for their age",
                values: services { $0.objective?.seconds }))
        metrics.append(
            Metric(
                name: "dr_rto_target_seconds", help: "The objective for the time of a restore",
                values: configuration.services.compactMap { service in
                    service.objectives.rto.map { (labels: of(service.name), value: $0.seconds) }
                }))
        metrics.append(
            Metric(
                name: "dr_service_status", help: "How the last run saved a service, as above",
                values: configuration.services.compactMap { service in
                    results[service.name].map { (labels: of(service.name), value: status($0)) }
                }))
        metrics.append(
            Metric(
                name: "dr_service_bytes", help: "The size of its data in the last run",
                values: configuration.services.compactMap { service in
                    results[service.name].map { items in
                        (
                            labels: of(service.name),
                            value: items.reduce(0) { $0 + Double($1.statistics.bytes.bytes) }
                        )
                    }
                }))
        metrics += try await measured(catalog)
        return metrics.filter { !$0.values.isEmpty }.map(rendered).joined()
    }

    /// What the last check of data, restore and drill came to.
    private static func measured(_ catalog: Catalog) async throws -> [Metric] {
        var metrics: [Metric] = []
        if let read = try await catalog.measurements(of: PlanRequest.readingSubject, limit: 1).first
        {
            metrics.append(
                Metric(
                    name: "dr_last_verified_timestamp_seconds",
                    help: "When data was last read back from the repository and compared",
                    values: [([], Double(read.at.nanoseconds) / 1e9)]))
        }
        for (purpose, name) in [(RunPurpose.restore, "restore"), (.drill, "drill")] {
            guard
                let run = try await catalog.runs(purpose, limit: 20).first(where: {
                    $0.result == .done && $0.finished != nil
                }), let finished = run.finished
            else { continue }
            metrics.append(
                Metric(
                    name: "dr_last_\(name)_timestamp_seconds",
                    help: "When the last good \(name) ended",
                    values: [([], Double(finished.nanoseconds) / 1e9)]))
            guard let report = try await catalog.report(of: run.id) else { continue }
            metrics.append(
                Metric(
                    name: "dr_last_\(name)_rto_measured_seconds",
                    help: "How long it took until everything was healthy",
                    values: [([], report.ended.seconds)]))
        }
        return metrics
    }

    private static func status(_ code: ExitCode) -> Double {
        switch code {
        case .done: 2
        case .partial, .objectiveMissed: 1
        default: 0
        }
    }

    private static func status(_ items: [BackupSummary.Item]) -> Double {
        if items.contains(where: { $0.failure != nil }) { return 0 }
        return items.allSatisfy { $0.suspicions.isEmpty && $0.omissions.isEmpty } ? 2 : 1
    }

    private static func rendered(_ metric: Metric) -> String {
        var text = "# HELP \(metric.name) \(metric.help).\n# TYPE \(metric.name) gauge\n"
        for (labels, value) in metric.values {
            let shown = labels.map { "\($0)=\"\(escaped($1))\"" }.joined(separator: ",")
            text += metric.name + (shown.isEmpty ? "" : "{\(shown)}") + " \(number(value))\n"
        }
        return text
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            .replacing("\n", with: "\\n")
    }

    private static func number(_ value: Double) -> String {
        if value == value.rounded(), value.magnitude < 1e15 { return "\(Int64(value))" }
        return "\(value)"
    }

    // MARK: The file

    /// Replaces the file as a whole; others may read it. May block.
    static func write(_ text: String, to path: String) throws {
        // The collector reads every file whose name ends in .prom: the temporary one's does not.
        do throws(SystemError) {
            try FileSystem().writeDurably(Array(text.utf8), to: path)
            try FileSystem().permit(path, mode: 0o644)
        } catch {
            throw error.failure(side: .local)
        }
    }

    /// A run failed before it could look into the catalog: what was known of services stays. May block.
    static func note(failedRunAt now: Timestamp, code: ExitCode, in path: String) throws {
        let old = (try? FileSystem().read(path)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let new: [(String, Double)] = [
            ("dr_last_run_timestamp_seconds", Double(now.nanoseconds) / 1e9),
            ("dr_last_run_status", status(code)),
            ("dr_last_run_exit_code", Double(code.rawValue)),
        ]
        var lines = old.split(separator: "\n").map(String.init)
        for (name, value) in new {
            let line = "\(name) \(number(value))"
            if let index = lines.firstIndex(where: { $0.hasPrefix(name + " ") }) {
                lines[index] = line
            } else {
                lines.append(line)
            }
        }
        try write(lines.joined(separator: "\n") + "\n", to: path)
    }
}
