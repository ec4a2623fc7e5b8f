import Engine
import Glibc
import Model

/// Sets jobs up with systemd or cron, shows them, and takes them away again.
struct Scheduler: Sendable {
    enum Manner: String, Sendable, CaseIterable { case systemd, cron }

    /// A job that is set up.
    struct Installed: Sendable {
        var name: String
        var manner: Manner
        /// The file that holds it.
        var place: String
        /// When it happens, as that file has it.
        var rule: String
        /// The next time, in words of the machine; nil when nobody will bring it about.
        var next: String?
        /// Why there is no next time.
        var problem: String?
    }

    let programs: any ProgramRunner
    let environment: ProcessEnvironment
    /// Before every path; empty on a machine that is to be changed itself.
    var root = ""

    static let names = ["dr-backup", "dr-upkeep", "dr-watch"]
    private var unitDirectory: String { "\(root)/etc/systemd/system" }
    private var cronFile: String { "\(root)/etc/cron.d/dr" }

    /// systemd where it runs the machine, else cron.
    var usual: Manner { isSystemdRunning ? .systemd : .cron }

    private var isSystemdRunning: Bool {
        root.isEmpty && FileSystem().isDirectory("/run/systemd/system")
    }

    // MARK: Setting up

    /// - Throws: `Failure` when a file of that name is somebody else's, or there is no next time.
    func install(_ jobs: [ScheduledJob], _ call: ScheduledCall, by manner: Manner) async throws {
        switch manner {
        case .systemd: try await installUnits(jobs, call)
        case .cron: try await installCron(jobs, call)
        }
    }

    private func installUnits(_ jobs: [ScheduledJob], _ call: ScheduledCall) async throws {
        guard geteuid() == 0 || !root.isEmpty else {
            throw Failure(
                .usage, "only root may set up units of systemd",
                hint: "run it as root, or with --with cron")
        }
        for job in jobs {
            for file in SystemdUnits(job: job, call: call).files {
                try write(file.text, to: "\(unitDirectory)/\(file.name)")
            }
        }
        guard isSystemdRunning else { return }
        try await systemctl("daemon-reload")
        for job in jobs { try await systemctl("enable", "--now", "\(job.name).timer") }
    }

    private func installCron(_ jobs: [ScheduledJob], _ call: ScheduledCall) async throws {
        guard geteuid() == 0 || !root.isEmpty else {
            let table = try await ownTable()
            let new =
                CronTable.without(own: table)
                + CronTable(jobs: jobs, call: call, user: nil).text
            return try await writeOwnTable(new)
        }
        try write(CronTable(jobs: jobs, call: call, user: "root").text, to: cronFile)
    }

    private func write(_ text: String, to path: String) throws {
        let files = FileSystem()
        if let old = try? files.read(path), !Self.isOwn(old) {
            throw Failure(
                .failed, "\(printable(path.utf8)) is there and is not of dr schedule",
                hint: "move it away, or go on with what it does", side: .local)
        }
        let directory = path.split(separator: "/").dropLast().reduce(into: "") { $0 += "/\($1)" }
        do throws(SystemError) {
            try files.makeDirectories(directory, mode: 0o755)
            try files.writeDurably(Array(text.utf8), to: path)
            try files.permit(path, mode: 0o644)
        } catch {
            throw error.failure(side: .local)
        }
    }

    private static func isOwn(_ bytes: [UInt8]) -> Bool {
        bytes.starts(with: Array(SystemdUnits.mark.utf8))
    }

    // MARK: Taking away

    /// - Returns: The files that were removed.
    func remove() async throws -> [String] {
        let files = FileSystem()
        var removed: [String] = []
        let units = Self.names.flatMap { ["\($0).timer", "\($0).service"] }
        for unit in units {
            let path = "\(unitDirectory)/\(unit)"
            guard let bytes = try? files.read(path), Self.isOwn(bytes) else { continue }
            if isSystemdRunning, unit.hasSuffix(".timer") {
                try await systemctl("disable", "--now", unit)
            }
            do throws(SystemError) { try files.unlink(path) } catch {
                throw error.failure(side: .local)
            }
            removed.append(path)
        }
        if !removed.isEmpty, isSystemdRunning { try await systemctl("daemon-reload") }
        if let bytes = try? files.read(cronFile), Self.isOwn(bytes) {
            do throws(SystemError) { try files.unlink(cronFile) } catch {
                throw error.failure(side: .local)
            }
            removed.append(cronFile)
        }
        if geteuid() != 0, root.isEmpty, environment.hasProgram("crontab") {
            let table = try await ownTable()
            let rest = CronTable.without(own: table)
            if rest != table, table.contains(SystemdUnits.mark) {
                try await writeOwnTable(rest)
                removed.append("crontab")
            }
        }
        return removed
    }

    // MARK: Looking

    /// What is set up, each with its next time.
    func installed() async throws -> [Installed] {
        var found: [Installed] = []
        for name in Self.names {
            let path = "\(unitDirectory)/\(name).timer"
            guard let bytes = try? FileSystem().read(path), Self.isOwn(bytes) else { continue }
            let rule = Self.value(of: "OnCalendar", in: bytes) ?? ""
            var job = Installed(name: name, manner: .systemd, place: path, rule: rule)
            if isSystemdRunning {
                (job.next, job.problem) = try await nextElapse(of: "\(name).timer")
            } else {
                job.problem = "systemd does not run this machine"
            }
            found.append(job)
        }
        return found + (try await installedInCron())
    }

    private func installedInCron() async throws -> [Installed] {
        var table: (place: String, text: String)?
        if let bytes = try? FileSystem().read(cronFile), Self.isOwn(bytes) {
            table = (cronFile, String(decoding: bytes, as: UTF8.self))
        } else if geteuid() != 0, root.isEmpty, environment.hasProgram("crontab") {
            let text = try await ownTable()
            if text.contains(SystemdUnits.mark) { table = ("crontab", text) }
        }
        guard let table else { return [] }
        let problem = try await BlockingPool.shared.run { CronDaemon.problem() }
        let verbs = ["dr-backup": " backup ", "dr-upkeep": " prune ", "dr-watch": " notify "]
        return Self.names.compactMap { name in
            let line = table.text.split(separator: "\n").first {
                !$0.hasPrefix("#") && $0.contains(" --config ") && $0.contains(verbs[name] ?? "?")
            }
            guard let line else { return nil }
            let fields = line.split(separator: " ").prefix(5).joined(separator: " ")
            return Installed(
                name: name, manner: .cron, place: table.place, rule: fields,
                next: problem == nil ? CronDaemon.next(fields) : nil, problem: problem)
        }
    }

    private func nextElapse(of timer: String) async throws -> (String?, String?) {
        let result = try await programs.run(
            ProgramCall(
                ["systemctl", "show", timer, "-p", "ActiveState,NextElapseUSecRealtime"],
                timeout: TimeSpan(seconds: 30)))
        let next = Self.value(of: "NextElapseUSecRealtime", in: result.output) ?? ""
        let state = Self.value(of: "ActiveState", in: result.output) ?? ""
        if state == "active", !next.isEmpty, next != "n/a", next != "infinity" {
            return (next, nil)
        }
        return (nil, "the timer is \(state.isEmpty ? "unknown to systemd" : state)")
    }

    private static func value(of key: String, in bytes: [UInt8]) -> String? {
        String(decoding: bytes, as: UTF8.self).split(separator: "\n").first {
            $0.hasPrefix("\(key)=")
        }.map { String($0.dropFirst(key.count + 1)) }
    }

    // MARK: Programs

    private func systemctl(_ words: String...) async throws {
        let result = try await programs.run(
            ProgramCall(["systemctl"] + words, timeout: TimeSpan(seconds: 60)))
        guard result.succeeded else {
            throw Failure(
                .failed, "systemctl \(words.joined(separator: " ")) failed",
                cause: printable(result.errorText.prefix { $0 != "\n" }.utf8), side: .local)
        }
    }

    private func ownTable() async throws -> String {
        let result = try await programs.run(
            ProgramCall(["crontab", "-l"], timeout: TimeSpan(seconds: 30)))
        // A user without a table is no error.
        return result.succeeded ? result.text : ""
    }

    private func writeOwnTable(_ text: String) async throws {
        let pipe: Pipe
        do throws(SystemError) { pipe = try Pipe() } catch { throw error.failure(side: .local) }
        let bytes = Array(text.utf8)
        async let fed: Void = BlockingPool.shared.run {
            defer { pipe.closeWriter() }
            try? withoutBrokenPipeSignal {
                try bytes.withUnsafeBytes {
                    try FileSystem().write($0, to: pipe.writer, path: "crontab")
                }
            }
        }
        let result = try await programs.run(
            ProgramCall(["crontab", "-"], input: pipe.reader, timeout: TimeSpan(seconds: 30)))
        pipe.closeReader()
        try? await fed
        guard result.succeeded else {
            throw Failure(
                .failed, "crontab did not take the table",
                cause: printable(result.errorText.prefix { $0 != "\n" }.utf8), side: .local)
        }
    }
}
