import CLinux
import Engine
import Glibc
public import Model
import Synchronization

/// What this machine remembers of one repository: snapshots, runs, measured times.
///
/// Complete in itself and quick to ask, but never the truth: everything about snapshots can be read
/// again from the repository. Safe to use from anywhere; calls go one after the other. What was
/// recorded is durable when the call returns.
public final class Catalog: Sendable {
    /// What was found when the catalog was opened.
    public enum Origin: Sendable, Hashable {
        case existing
        /// There was none: what the repository holds is not in it yet.
        case created
        /// There was a damaged one, which now has the name `movedTo`; this one is empty.
        case replacedDamaged(movedTo: String, detail: String)
    }

    /// The directory that holds it, and `chunks-….sqlite` beside it.
    public let directory: String
    public let repository: RepositoryID
    public let origin: Origin
    private let database: Mutex<Database>

    /// Opens the catalog in `directory`; makes the directory and the catalog when missing.
    ///
    /// A damaged file is moved aside and replaced by an empty one, which ``origin`` tells: the
    /// caller fills it from the repository.
    ///
    /// - Throws: `Failure`; code `usage` for a catalog of another repository,
    ///   `unsupportedRepository` for one of a newer version.
    public static func open(at directory: String, repository: RepositoryID) async throws -> Catalog
    {
        try await BlockingPool.shared.run {
            try Catalog(opening: directory, repository: repository)
        }
    }

    /// A catalog that is gone with the process, for whoever only reads while there is no space for
    /// files. Begins empty; has no directory.
    public static func inMemory(for repository: RepositoryID) async throws -> Catalog {
        try await BlockingPool.shared.run { try Catalog(inMemory: repository) }
    }

    /// Whether nothing is kept when the process ends.
    public var isInMemory: Bool { directory.isEmpty }

    private init(inMemory repository: RepositoryID) throws {
        directory = ""
        self.repository = repository
        origin = .created
        database = Mutex(try Self.prepare(":memory:", repository))
    }

    private init(opening directory: String, repository: RepositoryID) throws {
        try StateDirectory.make(directory)
        let path = directory + "/catalog.sqlite"
        // Opening may move files: one process at a time.
        let guardian = try FileLock.wait(for: directory + "/open.lock")
        defer { guardian.release() }
        let files = FileSystem()
        let isNew = (try? files.size(of: path)).flatMap { $0 } ?? 0 == 0
        var found: Origin = isNew ? .created : .existing
        var opened: Database
        do {
            if let mark = try? files.read(Self.damageMark(path)) {
                throw DamagedDatabase(path: path, detail: String(decoding: mark, as: UTF8.self))
            }
            opened = try Self.prepare(path, repository)
        } catch let damage as DamagedDatabase {
            let aside = try Self.moveAside(path)
            found = .replacedDamaged(movedTo: aside, detail: damage.detail)
            opened = try Self.prepare(path, repository)
        }
        self.directory = directory
        self.repository = repository
        origin = found
        database = Mutex(opened)
    }

    private static func prepare(_ path: String, _ repository: RepositoryID) throws
        -> sending Database
    {
        let database: Database
        do {
            database = try Database(path)
            try CatalogSchema.migrate(database)
        } catch let failure as Failure where failure.code == .failed && !failure.isTransient {
            // What may be written and yet cannot be: a changed byte in a header looks like that.
            guard access(path, R_OK | W_OK) == 0 else { throw failure }
            throw DamagedDatabase(path: path, detail: failure.description)
        }
        try CatalogSums.verify(database)
        try database.run(
            "INSERT OR IGNORE INTO facts (name, value) VALUES ('repository', ?)",
            .text("\(repository)"))
        let owner = try database.first("SELECT value FROM facts WHERE name = 'repository'") {
            $0.text(0)
        }
        guard owner == "\(repository)" else {
            throw Failure(
                .usage, "catalog \(printable(path.utf8)) belongs to another repository",
                hint: "give each repository a catalog: of its own, or leave the setting out",
                cause: "repository \(owner ?? "unknown")", side: .local)
        }
        return database
    }

    /// Runs `body` on the database, away from the cooperative pool.
    ///
    /// Damage found here is remembered, so that the next opening moves the file aside.
    func perform<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws -> Value {
        try await BlockingPool.shared.run { [self] in
            do {
                return try database.withLock { try body($0) }
            } catch let damage as DamagedDatabase {
                _ = try? FileSystem().writeDurably(
                    Array(damage.detail.utf8), to: Self.damageMark(damage.path))
                throw damage.failure
            }
        }
    }

    /// Looks for damage in the whole file, which takes as long as reading it.
    public func verify() async throws { try await perform { try $0.quickCheck() } }

    private static func damageMark(_ path: String) -> String { path + ".is-damaged" }

    private static func moveAside(_ path: String) throws -> String {
        let files = FileSystem()
        var number = 1
        var aside = "\(path).damaged-1"
        do {
            while try files.size(of: aside) != nil {
                number += 1
                aside = "\(path).damaged-\(number)"
            }
            for suffix in ["-wal", "-shm"] where try files.size(of: path + suffix) != nil {
                try files.rename(path + suffix, to: aside + suffix)
            }
            try files.rename(path, to: aside)
            try files.unlink(damageMark(path))
        } catch {
            throw error.failure(side: .local)
        }
        return aside
    }
}
