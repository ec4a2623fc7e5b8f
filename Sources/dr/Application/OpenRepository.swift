import CLinux
public import Catalog
import Engine
import Glibc
import Model
public import Repository
import Snapshot

/// A place looks up chunks in the table that the catalog keeps: the one edge between the two.
extension ChunkTable: ChunkIndex {}

/// An unlocked repository together with what this machine remembers of it.
struct OpenRepository: Sendable {
    var configuration: Configuration
    var repository: BackupRepository
    var catalog: Catalog
    /// Where chunks are; knows exactly the packs that the store listed when it was opened.
    var index: ChunkTable
}

extension Application {
    /// The store that `configuration` names.
    func store(of configuration: Configuration) -> DirectoryStore {
        DirectoryStore(root: configuration.repository)
    }

    /// Unlocks the repository, opens its catalog and brings it up to date.
    ///
    /// Whether there is a repository is found out before anyone is asked for a password.
    ///
    /// - Parameter refreshing: The index learns which packs there are; a check does that itself.
    func open(
        _ configuration: Configuration, refreshing: Bool = true
    ) async throws -> OpenRepository {
        let store = store(of: configuration)
        let id = try await BackupRepository.identity(of: store)
        let password = try await password.read(for: store.place)
        let repository = try await BackupRepository.open(
            in: store, credential: .password(password))
        let catalog = try await openCatalog(configuration, of: id)
        try await bringUpToDate(catalog, with: repository)
        try await SnapshotMarking(repository: repository, catalog: catalog).learn()
        let index = try await BlockingPool.shared.run {
            try ChunkTable(at: "\(catalog.directory)/chunks-\(id).sqlite")
        }
        if refreshing {
            let change = try await repository.refresh(index)
            for (pack, reason) in change.unreadable.sorted(by: { $0.key < $1.key }) {
                output.warning(
                    "the pack \(pack.short) cannot be read: \(reason)",
                    hint: "what it holds is treated as lost; dr check tells what that is")
            }
        }
        return OpenRepository(
            configuration: configuration, repository: repository, catalog: catalog, index: index)
    }

    /// The catalog of the repository that `configuration` names, for which no password is needed.
    func openCatalog(_ configuration: Configuration) async throws -> Catalog {
        let id = try await BackupRepository.identity(of: store(of: configuration))
        return try await openCatalog(configuration, of: id)
    }

    private func openCatalog(
        _ configuration: Configuration, of id: RepositoryID
    ) async throws -> Catalog {
        let catalog = try await Catalog.open(
            at: try catalogDirectory(configuration, id), repository: id)
        if case .replacedDamaged(let aside, let detail) = catalog.origin {
            output.warning(
                "the catalog was damaged and is made again from the repository (\(detail))",
                hint: "the damaged one is kept as \(aside)")
        }
        return catalog
    }

    /// The directory of the catalog of one repository.
    func catalogDirectory(_ configuration: Configuration, _ id: RepositoryID) throws -> String {
        if let directory = configuration.catalog { return directory }
        let root = try StateDirectory.root(environment: environment.variables, userID: geteuid())
        return StateDirectory.directory(for: id, under: root)
    }

    /// Learns snapshots that others took, or that a lost catalog knew; forgets what is gone.
    private func bringUpToDate(_ catalog: Catalog, with repository: BackupRepository) async throws {
        let listed = try await repository.listSnapshots()
        let known = Set(try await catalog.snapshots().map(\.id))
        var learned: [SnapshotRecord] = []
        for id in listed.subtracting(known).sorted() {
            do {
                learned.append(try await repository.snapshot(id))
            } catch let error as FormatError {
                output.warning(
                    "the snapshot \(id.short) is damaged: \(error.reason)",
                    hint: "it cannot be restored; others are not affected")
            } catch is ObjectMissing {
                continue
            }
        }
        if !learned.isEmpty { try await catalog.record(snapshots: learned) }
        let vanished = known.subtracting(listed)
        guard !vanished.isEmpty else { return }
        let chains = try await repository.readChains(known: try await catalog.chainHeads())
        for id in vanished.sorted() {
            if !chains.removed.contains(id) {
                output.warning(
                    "the snapshot \(id.short) is gone from the repository, and no run removed it",
                    hint: "dr check tells what else is missing")
            }
            try await catalog.remove(snapshot: id)
        }
    }
}
