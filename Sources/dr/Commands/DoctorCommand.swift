import ArgumentParser
import Catalog
import Engine
import Model
import Repository
import Snapshot
import Workloads

/// `dr doctor`.
struct DoctorCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Find what hinders backups, mend what crashes left.",
        discussion: """
            Containers that a killed run has left stopped or paused are set going again; a container \
            that somebody has stopped since is left alone. Everything else is only looked at: the \
            configuration, the repository with its password, keys, room and age, the last run, \
            everything that services name, the programs and servers that they need, the schedule, \
            the clock, who is told, and what on this machine no service covers. It ends with 1 when \
            something is wrong; an advice is no fault.
            """)

    @Flag(name: .customLong("dry-run"), help: "Mend nothing, only say what is there.")
    var isDryRun = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let configuration = try await application.configuration()
        var examination = Examination()
        examination.good(
            "configuration",
            "\(configuration.services.count) services in "
                + application.configurationFile.shownPath)
        do {
            let open = try await application.open(configuration, refreshing: false)
            let count = try await open.catalog.snapshots().count
            examination.good(
                "repository",
                "opened, \(count) snapshots, at \(printable(configuration.repository.utf8))")
            try await lookAtRepository(application, open, &examination)
        } catch {
            if error is CancellationError { throw error }
            examination.bad("repository", Failure(wrapping: error))
        }
        do {
            let catalog = try await application.openCatalog(configuration)
            try await lookAfterRests(application, catalog, &examination)
            try await lookAtRuns(catalog, configuration, &examination)
        } catch {
            if error is CancellationError { throw error }
            examination.bad("catalog", Failure(wrapping: error))
        }
        try await lookAtSystems(application, configuration, &examination)
        try await lookAtServices(application, configuration, &examination)
        try await lookAtNights(application, configuration, &examination)
        try await lookAtCoverage(application, configuration, &examination)
        application.output.present(examination)
        return examination.isWell ? .done : .failed
    }

    // MARK: What runs have left

    private func lookAfterRests(
        _ application: Application, _ catalog: Catalog, _ examination: inout Examination
    ) async throws {
        let lock: RunLock
        do {
            lock = try RunLock.acquire(
                in: catalog.directory,
                as: .current(purpose: "dr doctor", at: application.timepiece.wall))
        } catch let failure as Failure where failure.code == .busy {
            examination.good("containers", "not looked at: \(failure.message)")
            return
        }
        defer { lock.release() }
        let open = try await catalog.openRests()
        if isDryRun {
            for rest in open {
                let name = rest.entry.name.split(separator: " ").first ?? ""
                examination.bad(
                    "containers",
                    Failure(
                        .failed,
                        "\(printable(name.utf8)) was brought to rest at "
                            + "\(rest.entry.at.shortDescription) by a run that did not end",
                        hint: "run dr doctor without --dry-run"))
            }
        } else {
            let recovering = RestRecovering(catalog: catalog, timepiece: application.timepiece)
            for finding in try await recovering.recover() {
                if let failure = finding.failure {
                    examination.bad("containers", failure.during(finding.text))
                } else {
                    examination.mended("containers", finding.text)
                }
            }
        }
        if open.isEmpty {
            examination.good("containers", "none was left stopped or paused by a run")
        }
    }

    private func lookAtRuns(
        _ catalog: Catalog, _ configuration: Configuration, _ examination: inout Examination
    ) async throws {
        guard let last = try await catalog.runs(.backup, limit: 1).first else {
            return examination.bad(
                "last run", Failure(.failed, "there was none yet", hint: "run dr backup"))
        }
        let when = last.started.shortDescription
        guard last.finished != nil else {
            examination.bad(
                "last run",
                Failure(
                    .failed, "the run of \(when) goes on, or was killed",
                    hint: "dr backup --resume goes on with it"))
            return try await lookAtHooks(catalog, last, configuration, &examination)
        }
        guard last.result == .done else {
            let failed = try await catalog.steps(of: last.id).filter { $0.state != .done }
            for step in failed {
                examination.bad(
                    "last run",
                    Failure(.failed, "\(step.id): \(step.message ?? "not saved")", hint: nil))
            }
            if failed.isEmpty {
                examination.bad(
                    "last run",
                    Failure(
                        .failed, "\(when): \(last.summary)",
                        hint: "dr backup says what is not as it should be"))
            }
            return
        }
        examination.good("last run", "\(when): \(last.summary)")
    }

    /// A killed run may have run a hook before and not the one after.
    private func lookAtHooks(
        _ catalog: Catalog, _ run: RunRecord, _ configuration: Configuration,
        _ examination: inout Examination
    ) async throws {
        let begun = Set(
            try await catalog.steps(of: run.id).filter { $0.state != .waiting }
                .compactMap(\.service))
        for service in configuration.services where begun.contains(service.name) {
            guard service.hooks.before != nil, let after = service.hooks.after else { continue }
            examination.bad(
                "hooks",
                Failure(
                    .failed, "the hook before \(service.name) may have run without the one after",
                    hint: "if the service does not run: \(after.joined(separator: " "))"))
        }
    }

    // MARK: What services need

    private func lookAtSystems(
        _ application: Application, _ configuration: Configuration,
        _ examination: inout Examination
    ) async throws {
        let workloads = configuration.services.flatMap(\.workloads)
        var engines: Set<String?> = []
        var programs: Set<String> = []
        var machines: [String: Set<String>] = [:]
        func need(_ names: [String], _ machine: String?) {
            if let machine {
                machines[machine, default: []].formUnion(names)
            } else {
                programs.formUnion(names)
            }
        }
        for workload in workloads {
            switch workload {
            case .docker(let docker): engines.insert(docker.engine ?? configuration.dockerHost)
            case .postgres(let postgres):
                switch postgres.server {
                case .container(_, let engine):
                    engines.insert(engine ?? configuration.dockerHost)
                case .url:
                    need(["psql", "pg_dump", "pg_dumpall", "pg_restore"], postgres.host)
                }
            case .mariadb(let mariadb):
                switch mariadb.server {
                case .container(_, let engine): engines.insert(engine ?? configuration.dockerHost)
                case .address: need(["mariadb", "mariadb-dump"], mariadb.host)
                }
            case .command(let command):
                need(
                    [command.capture.first, command.restore?.first].compactMap { $0 }, command.host)
            case .files(let files): if files.host != nil { need(["tar"], files.host) }
            case .proxmox(let proxmox):
                if proxmox.exports == nil {
                    programs.formUnion(proxmox.ssh == nil ? ["vzdump", "pvesh"] : ["ssh"])
                }
            case .sqlite: break
            }
        }
        for service in configuration.services {
            let hooks = [service.hooks.before, service.hooks.after, service.hooks.failed]
            programs.formUnion(hooks.compactMap { $0?.first })
        }
        for engine in engines.sorted(by: { ($0 ?? "") < ($1 ?? "") }) {
            try await examination.attempt("Docker Engine") {
                let found = try await DockerEngine.connect(host: engine)
                return "\(found.address) answers"
            }
        }
        for (host, needed) in machines.sorted(by: { $0.key < $1.key }) {
            try await examination.attempt("machine") {
                let machine = try SSHDestination(address: host)
                try await Self.require(
                    needed.sorted(), on: machine, by: #"command -v "$p" >/dev/null"#,
                    lacking: "in PATH", hint: "install it there, or name it with its whole path")
                return "\(machine) answers"
            }
        }
        for program in programs.sorted() where !application.environment.hasProgram(program) {
            examination.bad(
                "programs",
                Failure(
                    .failed, "\(printable(program.utf8)) is not installed, or not in PATH",
                    hint: "install it, or name it with its whole path"))
        }
        if !programs.isEmpty, examination.isWell(in: "programs") {
            examination.good("programs", "all that services need are there")
        }
    }
}
