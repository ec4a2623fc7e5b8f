import ArgumentParser
import Catalog
import Engine
import Model
import Repository

/// `dr catalog …`: what this machine remembers of a repository.
struct CatalogCommand: CommandGroup {
    static let configuration = CommandConfiguration(
        commandName: "catalog", abstract: "Make the index of the backups on this machine again.",
        subcommands: [CatalogRebuildCommand.self])

    @OptionGroup(title: "Global options") var global: GlobalOptions
}

/// `dr catalog rebuild`.
struct CatalogRebuildCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild", abstract: "Make the catalog again from the repository alone.",
        discussion: """
            Lists of snapshots, of what writers have done and of where everything is are read anew \
            from the repository; what this machine believed of it is forgotten, also that something \
            was there which is not any more. Runs and their reports, measured times, pins and what \
            people said of snapshots stay.
            """)

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let configuration = try await application.configuration()
        let repository = try await application.unlock(configuration)
        let catalog = try await application.openCatalog(configuration)
        let lock = try RunLock.acquire(
            in: catalog.directory,
            as: .current(purpose: "dr catalog rebuild", at: application.timepiece.wall))
        defer { lock.release() }
        let progress = ProgressDisplay("rebuild", on: application.output)
        let result = try await progress.during {
            try await application.rebuild(catalog, from: repository) { done, total in
                progress.update {
                    $0.stepsDone = done
                    $0.stepsTotal = total
                }
            }
        }
        application.output.present(result)
        return result.damaged == 0 ? .done : .damaged
    }
}

/// What a rebuilt catalog knows.
struct RebuiltCatalog: Presentable {
    var snapshots: Int
    var packs: Int
    var writers: Int
    /// Objects that could not be read.
    var damaged: Int

    var json: JSONValue {
        [
            "snapshots": .integer(Int64(snapshots)), "packs": .integer(Int64(packs)),
            "writers": .integer(Int64(writers)), "damaged": .integer(Int64(damaged)),
        ]
    }

    func write(to page: inout Page) {
        page.line(
            StyledText(
                "the catalog knows \(snapshots) snapshots, \(packs) packs and \(writers) writers"))
        if damaged > 0 {
            page.line(StyledText("\(damaged) objects cannot be read: dr check tells more", .bad))
        }
    }
}

extension Application {
    /// Opens what a check needs. The chunk table is compared with its own sum first, so that what is
    /// found later is the repository's damage and not this machine's.
    func openForCheck(_ configuration: Configuration) async throws -> OpenRepository {
        var open = try await open(configuration, refreshing: false, caching: false)
        let path = Self.chunkTable(of: open.repository.id, in: open.catalog)
        let index = open.index
        let isWhole = try await BlockingPool.shared.run { try index.verify() }
        if !isWhole {
            output.warning(
                "the chunk table on this machine was damaged and is made again",
                hint: "check this machine's disk")
            open.index = try await BlockingPool.shared.run {
                try ChunkTable.remove(at: path)
                return try ChunkTable(at: path)
            }
        }
        return open
    }

    /// Fills the catalog and the chunk table from the repository alone.
    func rebuild(
        _ catalog: Catalog, from repository: BackupRepository,
        progress: @escaping @Sendable (Int, Int) -> Void
    ) async throws -> RebuiltCatalog {
        var records: [SnapshotRecord] = []
        var damaged = 0
        for id in try await repository.listSnapshots().sorted() {
            do {
                records.append(try await repository.snapshot(id))
            } catch let error as FormatError {
                damaged += 1
                output.warning("the snapshot \(id.short) is damaged: \(error.reason)")
            } catch is ObjectMissing {
                continue
            }
        }
        let chains = try await repository.readChains()
        damaged += chains.unreadable.count
        try await catalog.rebuild(
            snapshots: records,
            chainHeads: chains.heads.values.sorted { $0.writer < $1.writer })
        let path = Self.chunkTable(of: repository.id, in: catalog)
        let index = try await BlockingPool.shared.run {
            try ChunkTable.remove(at: path)
            return try ChunkTable(at: path)
        }
        let change = try await repository.refresh(index, progress: progress)
        for (pack, reason) in change.unreadable.sorted(by: { $0.key < $1.key }) {
            output.warning("the pack \(pack.short) cannot be read: \(reason)")
        }
        return RebuiltCatalog(
            snapshots: records.count, packs: change.learned, writers: chains.heads.count,
            damaged: damaged + change.unreadable.count)
    }
}
