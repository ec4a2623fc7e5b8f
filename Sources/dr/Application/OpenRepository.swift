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
    /// Snapshots that are damaged, or gone although no run removed them.
    var losses: [String] = []
}

extension Application {
    /// Unlocks the repository, opens its catalog and brings it up to date.
    ///
    /// Whether there is a repository is found out before anyone is asked for a password.
    ///
    /// - Parameters:
    ///   - refreshing: The index learns which packs there are; backup and check do that themselves.
    ///   - writing: A repository that went back in time is refused; whoever only reads is warned. Whoever
    ///     only reads does without a catalog on disk where there is no space for it.
    ///   - caching: What is kept here of a store that is far away may be used. Whoever proves that
    ///     all is there asks the store.
    ///   - credential: What opens it; nil for what the environment says.
    func open(
        _ configuration: Configuration, refreshing: Bool = true, writing: Bool = false,
        caching: Bool = true, credential: ((String) async throws -> Credential)? = nil
    ) async throws -> OpenRepository {
        var store = try await store(of: configuration)
        let id = try await BackupRepository.identity(of: store)
        if caching { store = try cached(store, of: id, configuration) }
        let opens =
            if let credential { try await credential(store.place) } else {
                try await self.credential(for: store.place)
            }
        let repository = try await BackupRepository.open(in: store, credential: opens)
        let catalog = try await openCatalog(configuration, of: id, mustLast: writing)
        try await noticeRollback(catalog, repository, refusing: writing)
        let losses = try await bringUpToDate(catalog, with: repository)
        try await SnapshotMarking(repository: repository, catalog: catalog).learn()
        let index = try await BlockingPool.shared.run {
            try ChunkTable(at: Self.chunkTable(of: id, in: catalog))
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
            configuration: configuration, repository: repository, catalog: catalog, index: index,
            losses: losses)
    }

    /// The same store; of one that is far away, what is small and read again and again is kept here.
    private func cached(
        _ store: any ObjectStore, of id: RepositoryID, _ configuration: Configuration
    ) throws -> any ObjectStore {
        let limit = configuration.repositoryOptions.cacheLimit
        guard store.isRemote, limit.bytes > 0 else { return store }
        let directory = try catalogDirectory(configuration, id)
        return CachingStore(store, cache: ObjectCache(in: directory + "/cache", limit: limit))
    }

    /// Where the chunk table of a repository is.
    static func chunkTable(of id: RepositoryID, in catalog: Catalog) -> String {
        catalog.isInMemory ? ":memory:" : "\(catalog.directory)/chunks-\(id).sqlite"
    }

    /// What this machine has seen in the repository must still be there.
    private func noticeRollback(
        _ catalog: Catalog, _ repository: BackupRepository, refusing: Bool
    ) async throws {
        let vanished = try await repository.vanishedHeads(known: try await catalog.chainHeads())
        guard let first = vanished.first else { return }
        let message =
            "the repository at \(printable(repository.store.place.utf8)) is not what this"
            + " machine has seen before"
        guard refusing else {
            return output.warning(
                "\(message): \(first)", hint: "dr check tells what is missing")
        }
        throw Failure(
            .damaged, message,
            hint: "dr check tells what is missing; if an older state was put there on purpose,"
                + " dr catalog rebuild accepts it",
            cause: vanished.joined(separator: "; "), side: .repository)
    }

    /// The catalog of the repository that `configuration` names, for which no password is needed.
    func openCatalog(_ configuration: Configuration) async throws -> Catalog {
        let id = try await BackupRepository.identity(
            of: try await store(of: configuration))
        return try await openCatalog(configuration, of: id, mustLast: true)
    }

    /// - Parameter mustLast: A full disk is an error; otherwise the catalog is made in memory then.
    private func openCatalog(
        _ configuration: Configuration, of id: RepositoryID, mustLast: Bool
    ) async throws -> Catalog {
        let directory = try catalogDirectory(configuration, id)
        if !mustLast, let free = Self.freeBytes(near: directory), free < Self.catalogSpace {
            return try await catalogInMemory(of: id, insteadOf: directory)
        }
        let catalog: Catalog
        do {
            catalog = try await Catalog.open(at: directory, repository: id)
        } catch let failure as Failure where failure.code == .noSpace && !mustLast {
            return try await catalogInMemory(of: id, insteadOf: directory)
        }
        if case .replacedDamaged(let aside, let detail) = catalog.origin {
            output.warning(
                "the catalog was damaged and is made again from the repository (\(detail))",
                hint: "the damaged one is kept as \(aside)")
        }
        return catalog
    }

    /// Free bytes with which a restore surely ends: its journal and report, and the index's rows.
    private static let catalogSpace: UInt64 = 4 << 20

    private func catalogInMemory(
        of id: RepositoryID, insteadOf directory: String
    ) async throws -> Catalog {
        output.warning(
            "there is no space for the catalog at \(printable(directory.utf8)): nothing that this run"
                + " does is remembered",
            hint: "free some space there; an interrupted restore begins anew until then")
        return try await Catalog.inMemory(for: id)
    }

    /// Free bytes at a path, or at the nearest one above it that exists; nil when nobody knows.
    private static func freeBytes(near path: String) -> UInt64? {
        var path = path
        while true {
            if let free = try? FileSystem().freeBytes(at: path) { return free }
            guard let slash = path.lastIndex(of: "/"), slash > path.startIndex else { return nil }
            path = String(path[..<slash])
        }
    }

    /// The directory of the catalog of one repository.
    func catalogDirectory(_ configuration: Configuration, _ id: RepositoryID) throws -> String {
        if let directory = configuration.catalog {
            // The configuration's own is for its own repository.
            return options.repository == nil
                ? directory : StateDirectory.directory(for: id, under: directory)
        }
        let root = try StateDirectory.root(environment: environment.variables, userID: geteuid())
        return StateDirectory.directory(for: id, under: root)
    }

    /// Learns snapshots that others took, or that a lost catalog knew; forgets what is gone.
    ///
    /// - Returns: What was lost, which has been said.
    private func bringUpToDate(_ catalog: Catalog, with repository: BackupRepository) async throws
        -> [String]
    {
        var losses: [String] = []
        func lost(_ text: String, hint: String) {
            output.warning(text, hint: hint)
            losses.append(text)
        }
        let listed = try await repository.listSnapshots()
        let known = Set(try await catalog.snapshots().map(\.id))
        var learned: [SnapshotRecord] = []
        for id in listed.subtracting(known).sorted() {
            do {
                learned.append(try await repository.snapshot(id))
            } catch let error as FormatError {
                lost(
                    "the snapshot \(id.short) is damaged: \(error.reason)",
                    hint: "it cannot be restored; others are not affected")
            } catch is ObjectMissing {
                continue
            }
        }
        if !learned.isEmpty { try await catalog.record(snapshots: learned) }
        let vanished = known.subtracting(listed)
        guard !vanished.isEmpty else { return losses }
        let chains = try await repository.readChains(known: try await catalog.chainHeads())
        for id in vanished.sorted() {
            if !chains.removed.contains(id) {
                lost(
                    "the snapshot \(id.short) is gone from the repository, and no run removed it",
                    hint: "dr check tells what else is missing")
            }
            try await catalog.remove(snapshot: id)
        }
        return losses
    }
}
