import ArgumentParser
import Catalog
import Engine
import Model
import Repository
import Restore
import Snapshot

/// `dr runbook`.
struct RunbookCommand: ApplicationCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable { case markdown, html }

    static let configuration = CommandConfiguration(
        commandName: "runbook", abstract: "Write what a person follows when this machine is lost.",
        discussion: """
            Names, order, forecast, contacts and manual steps of this very configuration, to print \
            and to keep where the machine is not. With --store both forms and the configuration \
            are saved into the repository, as service "runbook".
            """)

    @Option(help: "markdown or html.")
    var format = Format.markdown

    @Flag(help: "Save it into the repository too.")
    var store = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let configuration = try await application.configuration()
        let open = try await application.open(configuration, writing: store)
        let wish = RecoveryWish(services: [], target: .here, moment: nil, only: false)
        let (plan, request) = try await application.plan(wish, open)
        let standing = try DrillStanding(
            try await EvidenceChain(open.catalog), plan: plan,
            configurationHash: application.configurationHash(configuration),
            program: Version.current, interval: configuration.drill.interval,
            isWanted: configuration.drill.isWanted, now: application.now)
        let file = absolutePath(
            application.configurationFile.path, from: application.environment.workingDirectory)
        let runbook = OwnRunbook(
            plan, services: request.services,
            facts: OwnRunbook.Facts(
                host: application.host, program: Version.current,
                repository: open.repository.store.place, configuration: file,
                contacts: configuration.contacts, drill: standing.text))
        if store { try await save(runbook, of: file, open, application) }
        switch format {
        case .markdown: application.output.document(runbook.markdown)
        case .html: application.output.document(runbook.html)
        }
        return .done
    }

    /// Saves both forms, and the configuration itself, as files of one tree.
    private func save(
        _ runbook: OwnRunbook, of configuration: String, _ open: OpenRepository,
        _ application: Application
    ) async throws {
        let lock = try RunLock.acquire(
            in: open.catalog.directory,
            as: .current(purpose: "dr runbook", at: application.now))
        defer { lock.release() }
        let directory = "\(open.catalog.directory)/runbook"
        try await BlockingPool.shared.run {
            do throws(SystemError) {
                let files = FileSystem()
                try files.makeDirectories(directory)
                try files.writeDurably(Array(runbook.markdown.utf8), to: "\(directory)/runbook.md")
                try files.writeDurably(Array(runbook.html.utf8), to: "\(directory)/runbook.html")
                try files.writeDurably(
                    try files.read(configuration), to: "\(directory)/dr.yaml")
            } catch { throw error.failure(side: .local) }
        }
        var rules = open.configuration.night
        rules.hooks = NightRules().hooks
        let summary = try await BackupRun(
            BackupRun.Parts(
                repository: open.repository, index: open.index, catalog: open.catalog,
                driverFor: application.driver, programs: application.programs, rules: rules,
                context: application.context(open.configuration),
                timepiece: application.timepiece, host: application.host,
                version: Version.current),
            options: WriteOptions(level: open.configuration.compressionLevel)
        ).run([
            Service(
                name: "runbook", workloads: [.files(FilesSpecification(paths: [directory]))])
        ])
        guard summary.exitCode == .done else {
            throw summary.items.compactMap(\.failure).first
                ?? Failure(summary.exitCode, "the runbook was not saved")
        }
        application.output.note("saved: dr snapshots runbook")
    }
}
