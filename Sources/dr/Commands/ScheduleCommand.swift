import ArgumentParser
import Engine
import Glibc
import Model

/// `dr schedule`.
struct ScheduleCommand: CommandGroup {
    static let configuration = CommandConfiguration(
        commandName: "schedule",
        abstract: "Let backups happen every night, by themselves.",
        discussion: """
            Three jobs: the backup every night, upkeep on Sundays (dr prune, and dr check of a \
            twentieth of the data), and a look at what is overdue three times a day. They belong to \
            systemd where it runs the machine, else to cron.
            """,
        subcommands: [
            ScheduleInstallCommand.self, ScheduleShowCommand.self, ScheduleRemoveCommand.self,
        ])

    @OptionGroup(title: "Global options") var global: GlobalOptions
}

/// Options of all of its commands.
struct ScheduleOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Only write files, below this directory, for an image or another machine.",
            valueName: "directory"),
        completion: .directory)
    var root: String?
}

extension Application {
    fileprivate func scheduler(_ options: ScheduleOptions) -> Scheduler {
        var scheduler = Scheduler(programs: programs, environment: environment)
        if let root = options.root {
            scheduler.root = absolutePath(root, from: environment.workingDirectory)
        }
        return scheduler
    }
}

/// `dr schedule install`.
struct ScheduleInstallCommand: ApplicationCommand {
    enum Manner: String, ExpressibleByArgument, CaseIterable { case systemd, cron }

    static let configuration = CommandConfiguration(
        commandName: "install", abstract: "Set the jobs up; again, to change them.",
        discussion: """
            The password must come from somewhere that is there at night: DR_PASSWORD_FILE, \
            DR_PASSWORD_COMMAND or DR_KEY_FILE, as they are set now, are written into the jobs; a \
            password itself never is.
            """)

    @Option(
        help: ArgumentHelp("When the backup begins, by this machine's clock.", valueName: "time"))
    var at = "02:30"

    @Option(
        name: .customLong("with"),
        help: ArgumentHelp(
            "systemd or cron; as the machine is run without it.", valueName: "manner"))
    var manner: Manner?

    @OptionGroup var place: ScheduleOptions

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let time = try DayTime(at)
        let scheduler = application.scheduler(place)
        // What would fail every night fails now.
        if place.root == nil { _ = try await application.configuration() }
        let call = try await call(application)
        let manner =
            manner.flatMap { Scheduler.Manner(rawValue: $0.rawValue) } ?? scheduler.usual
        try await scheduler.install(ScheduledJob.all(at: time), call, by: manner)
        let installed = try await scheduler.installed().filter { $0.manner == manner }
        application.output.present(ScheduleResult(jobs: installed))
        guard place.root == nil, let first = installed.first(where: { $0.next == nil }) else {
            return .done
        }
        throw Failure(
            .failed, "\(first.name) is set up, but will not happen: \(first.problem ?? "unknown")",
            hint: manner == .cron
                ? "install and start cron (apt install cron), then dr schedule show"
                : "see systemctl status \(first.name).timer", side: .local)
    }

    private func call(_ application: Application) async throws -> ScheduledCall {
        let environment = application.environment
        let directory = environment.workingDirectory
        var variables: [(name: String, value: String)] = []
        for name in ["DR_KEY_FILE", "DR_PASSWORD_FILE"] {
            guard let value = environment[name], !value.isEmpty else { continue }
            variables.append((name, absolutePath(value, from: directory)))
        }
        if let command = environment["DR_PASSWORD_COMMAND"], !command.isEmpty {
            variables.append(("DR_PASSWORD_COMMAND", command))
        }
        guard !variables.isEmpty else {
            throw Failure(
                .usage, "nobody is there at night to type the password",
                hint: "set DR_PASSWORD_FILE to a file that only root can read (or DR_KEY_FILE, "
                    + "DR_PASSWORD_COMMAND), and run it again", side: .local)
        }
        if let configuration = try? await application.configuration(),
            application.takesKeysFromEnvironment(configuration)
        {
            throw Failure(
                .usage, "nobody is there at night to set AWS_ACCESS_KEY_ID",
                hint: "put the keys into a file that only root can read, and name it with"
                    + " repository.credentials_file", side: .local)
        }
        for name in [
            "DR_REPOSITORY", "XDG_STATE_HOME", "DOCKER_HOST", "DR_SSH_COMMAND", "AWS_PROFILE",
            "AWS_SHARED_CREDENTIALS_FILE", "AWS_REGION", "AWS_CA_BUNDLE",
        ] {
            if let value = environment[name], !value.isEmpty { variables.append((name, value)) }
        }
        if let repository = application.options.repository {
            variables.removeAll { $0.name == "DR_REPOSITORY" }
            variables.append(("DR_REPOSITORY", absolutePlace(repository, from: directory)))
        }
        return ScheduledCall(
            program: try await BlockingPool.shared.run { try Self.ownPath() },
            configuration: absolutePath(application.configurationFile.path, from: directory),
            environment: variables)
    }

    /// The path of this program, links resolved.
    private static func ownPath() throws -> String {
        guard let path = realpath("/proc/self/exe", nil) else {
            throw SystemError.last("realpath", "/proc/self/exe").failure(side: .local)
        }
        defer { free(path) }
        return String(cString: path)
    }
}

/// `dr schedule show`.
struct ScheduleShowCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Say what is set up, and when it happens next.",
        discussion: "It ends with 1 when nothing is set up, or a job will not happen.")

    @OptionGroup var place: ScheduleOptions

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let installed = try await application.scheduler(place).installed()
        application.output.present(ScheduleResult(jobs: installed))
        let isAlive = place.root != nil || installed.allSatisfy { $0.next != nil }
        return !installed.isEmpty && isAlive ? .done : .failed
    }
}

/// `dr schedule remove`.
struct ScheduleRemoveCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Take the jobs away.",
        discussion: "Only what dr schedule install wrote.")

    @OptionGroup var place: ScheduleOptions

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let removed = try await application.scheduler(place).remove()
        for path in removed {
            application.output.note(StyledText("removed \(printable(path.utf8))"))
        }
        if removed.isEmpty { application.output.note("dr: nothing was set up") }
        return .done
    }
}

/// Jobs, for people and programs.
private struct ScheduleResult: Presentable {
    var jobs: [Scheduler.Installed]

    var json: JSONValue {
        [
            "jobs": .array(
                jobs.map { job in
                    .members([
                        "name": .string(job.name), "manner": .string(job.manner.rawValue),
                        "place": .string(job.place), "rule": .string(job.rule),
                        "next": job.next.map { .string($0) },
                        "problem": job.problem.map { .string($0) },
                    ])
                })
        ]
    }

    func write(to page: inout Page) {
        guard !jobs.isEmpty else {
            return page.line("nothing is set up: dr schedule install does it")
        }
        var table = Table(.left("JOB"), .left("BY"), .left("WHEN"), .flexible("NEXT"))
        for job in jobs {
            let next: StyledText =
                job.next.map { StyledText($0) }
                ?? StyledText("never: \(job.problem ?? "unknown")", .bad)
            table.add(
                StyledText(job.name), StyledText(job.manner.rawValue), StyledText(job.rule), next)
        }
        page.table(table)
    }
}
