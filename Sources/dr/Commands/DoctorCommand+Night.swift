import Catalog
import Engine
import Glibc
import Model
import Repository
import Workloads

// What would keep nights from happening, or from being noticed when they do not.
extension DoctorCommand {
    func lookAtNights(
        _ application: Application, _ configuration: Configuration,
        _ examination: inout Examination
    ) async throws {
        try await lookAtSchedule(application, &examination)
        try await lookAtClock(application, &examination)
        if configuration.notify.isEmpty {
            examination.advice(
                "notify", "nobody is told when a night fails",
                hint: "add notify: to \(application.configurationFile.shownPath)")
        } else {
            examination.good(
                "notify", configuration.notify.map(\.shown).joined(separator: ", "))
        }
        if let rules = configuration.power {
            try await examination.attempt("power") {
                let state = try await PowerSupply(rules, programs: application.programs).state()
                return "\(printable(rules.supply.utf8)) is "
                    + (state == .online ? "on mains" : "on battery")
            }
        }
    }

    private func lookAtSchedule(
        _ application: Application, _ examination: inout Examination
    ) async throws {
        let scheduler = Scheduler(
            programs: application.programs, environment: application.environment)
        let jobs = try await scheduler.installed()
        for job in jobs {
            if let next = job.next {
                examination.good("schedule", "\(job.name) by \(job.manner.rawValue), next: \(next)")
            } else {
                examination.bad(
                    "schedule",
                    Failure(
                        .failed, "\(job.name) will not happen: \(job.problem ?? "unknown")",
                        hint: job.manner == .cron
                            ? "install and start cron (apt install cron)"
                            : "systemctl enable --now \(job.name).timer"))
            }
        }
        guard jobs.isEmpty else { return }
        if let place = try await BlockingPool.shared.run({ Self.otherSchedule() }) {
            examination.good("schedule", "\(printable(place.utf8)) calls dr backup")
        } else {
            examination.advice(
                "schedule", "nothing on this machine calls dr backup by itself",
                hint: "dr schedule install")
        }
    }

    /// A table or unit that somebody wrote by hand. May block.
    private static func otherSchedule() -> String? {
        let files = FileSystem()
        let directories = [
            "/etc/cron.d", "/etc/cron.daily", "/var/spool/cron/crontabs", "/etc/systemd/system",
        ]
        let paths =
            ["/etc/crontab"]
            + directories.flatMap { directory in
                ((try? files.names(in: directory)) ?? []).sorted().map { "\(directory)/\($0)" }
            }
        return paths.first { path in
            guard let size = try? files.sizeOfFile(path), size < 1 << 20,
                let bytes = try? files.read(path)
            else { return false }
            return String(decoding: bytes, as: UTF8.self).split(separator: "\n").contains { line in
                !line.hasPrefix("#") && line.contains("dr ") && line.contains(" backup")
            }
        }
    }

    private func lookAtClock(
        _ application: Application, _ examination: inout Examination
    ) async throws {
        guard FileSystem().isDirectory("/run/systemd/system"),
            application.environment.hasProgram("timedatectl")
        else { return }
        let result = try await application.programs.run(
            ProgramCall(
                ["timedatectl", "show", "-p", "NTPSynchronized", "--value"],
                timeout: TimeSpan(seconds: 30)))
        if result.text.hasPrefix("no") {
            examination.advice(
                "clock", "this machine's clock is not set by others, and may run away",
                hint: "timedatectl set-ntp true")
        }
    }

    // MARK: The repository

    /// What is known of the repository without reading its data.
    func lookAtRepository(
        _ application: Application, _ open: OpenRepository, _ examination: inout Examination
    ) async throws {
        let snapshots = try await open.catalog.snapshots()
        if let newest = snapshots.first,
            newest.finished.nanoseconds > application.now.nanoseconds + 300_000_000_000
        {
            examination.bad(
                "clock",
                Failure(
                    .failed,
                    "the newest snapshot is of \(newest.finished.shortDescription), which is later "
                        + "than now",
                    hint: "set the clock of this machine, or of \(printable(newest.host.utf8))"))
        }
        try await lookAtSpace(open, snapshots, application, &examination)
        let slots = try await open.repository.keySlots()
        if slots.count < 2 {
            examination.advice(
                "keys", "one password or key alone opens the repository",
                hint: "dr key add makes a second one: keep it somewhere else than on this machine")
        } else {
            examination.good("keys", "\(slots.count) of them open the repository")
        }
        for item in try await open.catalog.freshness(
            of: open.configuration.services, at: application.now) where item.isOverdue
        {
            examination.bad(
                "age", Failure(.failed, item.text, hint: "dr backup \(item.service)"))
        }
        try await lookAtProof(open, snapshots, &examination)
    }

    /// Whether anything was ever brought back.
    private func lookAtProof(
        _ open: OpenRepository, _ snapshots: [SnapshotRecord], _ examination: inout Examination
    ) async throws {
        guard !snapshots.isEmpty else { return }
        var newest: RunRecord?
        // A few files that came back prove nothing of a service.
        let partial = Set(
            try await open.catalog.reports().filter { $0.paths != nil }.map(\.run))
        for purpose in [RunPurpose.drill, .restore] {
            let run = try await open.catalog.runs(purpose, limit: 50).first {
                $0.result == .done && !partial.contains($0.id)
            }
            if let run, run.started > newest?.started ?? Timestamp(nanoseconds: .min) {
                newest = run
            }
        }
        if let newest {
            examination.good(
                "proof",
                "what was saved came back in the \(newest.purpose.rawValue) of "
                    + newest.started.shortDescription)
        } else {
            examination.advice(
                "proof", "nothing was ever brought back: nobody knows whether it can be",
                hint: "dr restore --to ./trial")
        }
    }

    /// When the disk will be full, if nights go on like the last ones.
    private func lookAtSpace(
        _ open: OpenRepository, _ snapshots: [SnapshotRecord], _ application: Application,
        _ examination: inout Examination
    ) async throws {
        let place = open.configuration.repository
        let free = try? await BlockingPool.shared.run { try FileSystem().freeBytes(at: place) }
        guard let free else { return }
        let day = Int64(86400) * 1_000_000_000
        let since = application.now.nanoseconds - 14 * day
        let recent = snapshots.filter { $0.finished.nanoseconds > since }
        let stored = recent.reduce(0.0) { $0 + Double($1.statistics.bytesStored.bytes) }
        let first = recent.map(\.finished.nanoseconds).min() ?? application.now.nanoseconds
        let days = max(1, Double(application.now.nanoseconds - first) / Double(day))
        // The first night stores everything: only later ones tell how it grows.
        let firstRun = recent.last?.run
        let grown =
            snapshots.count == recent.count
            ? stored
                - recent.filter { $0.run == firstRun }.reduce(0.0) {
                    $0 + Double($1.statistics.bytesStored.bytes)
                } : stored
        let left = grown > 0 ? Double(free) / (grown / days) : .infinity
        let shown = "\(ByteCount(free)) free at \(printable(place.utf8))"
        if free < 64 << 20 || left < 3 {
            examination.bad(
                "space",
                Failure(
                    .noSpace, "\(shown): full within \(Int(min(left, 3))) days at this rate",
                    hint: "dr prune; or fewer snapshots by retention:, or a larger disk"))
        } else if left < 30 {
            examination.advice(
                "space", "\(shown): full in about \(Int(left)) days at this rate",
                hint: "dr prune; or fewer snapshots by retention:, or a larger disk")
        } else {
            examination.good("space", shown)
        }
    }
}
