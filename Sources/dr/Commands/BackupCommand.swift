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
            saved, or is not as it should be: whatever it says is safe, is safe.
            """)

    @Argument(help: ArgumentHelp("Services to save; all without any.", valueName: "service"))
    var services: [String] = []

    @Option(
        name: .customLong("tag"), parsing: .singleValue,
        help: ArgumentHelp("A word to find the snapshots by; can be repeated.", valueName: "name"))
    var tags: [String] = []

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
        let open = try await application.open(configuration)
        let lock = try RunLock.acquire(
            in: open.catalog.directory,
            as: .current(purpose: "dr backup", at: application.timepiece.wall))
        defer { lock.release() }
        let progress = ProgressDisplay("backup", on: application.output)
        let reporter = BackupReporter(output: application.output, progress: progress)
        let run = BackupRun(
            BackupRun.Parts(
                repository: open.repository, index: open.index, catalog: open.catalog,
                driverFor: application.driver,
                dumpedMounts: application.dumpedMounts(of: configuration.services),
                context: application.context(configuration),
                timepiece: application.timepiece, host: application.host,
                version: Version.current),
            options: WriteOptions(level: configuration.compressionLevel),
            report: reporter.report)
        let summary = try await progress.during {
            try await run.run(services, tags: tags)
        }
        application.output.present(BackupResult(summary: summary))
        return summary.exitCode
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
