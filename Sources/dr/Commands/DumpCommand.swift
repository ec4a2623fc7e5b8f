import ArgumentParser
import CLinux
import Engine
import Glibc
import Model
import Restore

/// `dr dump`.
struct DumpCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "dump", abstract: "Write one file or dump to standard output.",
        discussion: """
            "dr dump site@latest /srv/www/index.html" gives a file as it was, "dr dump 4f2a \
            database/shop.dump | pg_restore -d shop" the dump of a database. "dr ls 4f2a" lists \
            what a snapshot has.
            """)

    @Argument(
        help: ArgumentHelp(
            "The first digits of its id, latest, or service@moment.",
            valueName: "snapshot[:path]"))
    var snapshot: String

    @Argument(help: "A file that was captured, or a part of the snapshot.")
    var path: String?

    @Option(
        name: [.long, .customShort("o")],
        help: ArgumentHelp("Write to this file, which must not exist.", valueName: "file"),
        completion: .file())
    var output: String?

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let reference = SnapshotReference(snapshot)
        guard let text = path ?? reference.path, path == nil || reference.path == nil else {
            throw Failure(
                .usage, "dump needs the path of one file or part",
                hint: "dr ls \(reference.snapshot) lists what there is")
        }
        let open = try await application.open(try await application.configuration())
        let snapshot = try await open.snapshot(
            reference.snapshot, now: application.now)
        let (place, tree) = try await application.found(text, in: snapshot, open)
        let content = try content(place, tree?.entry, in: snapshot)
        let source = RepositoryReplaySource(
            snapshot: snapshot, repository: open.repository, index: open.index)
        guard let file = output else {
            _ = try await source.write(content, to: STDOUT_FILENO)
            return .done
        }
        let path = absolutePath(file, from: application.environment.workingDirectory)
        try await Self.write(to: path) { _ = try await source.write(content, to: $0) }
        return .done
    }

    private func content(
        _ place: SnapshotPlace, _ entry: TreeEntry?, in snapshot: SnapshotRecord
    ) throws -> ContentReference {
        guard let entry else { return place.part.content }
        let shown = printable(place.part.address(of: place.path))
        switch entry.type {
        case .file: return entry.content
        case .directory:
            throw Failure(
                .usage, "\(shown) is a directory",
                hint: "dr export \(snapshot.id.short) \(shown) | tar -x gives all of it")
        case .symlink:
            throw Failure(
                .usage, "\(shown) is a symbolic link to \(printable(entry.linkTarget))",
                hint: "dump what it points to")
        case .fifo, .characterDevice, .blockDevice:
            throw Failure(.usage, "\(shown) is no file: it holds nothing")
        }
    }

    /// Writes a file that has its name only when it is whole.
    private static func write(to path: String, _ body: (Int32) async throws -> Void) async throws {
        let temporary = "\(path).\(String(UInt32.random(in: 0 ... .max), radix: 16)).tmp"
        let files = FileSystem()
        do {
            let descriptor = try files.open(
                temporary, flags: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
            defer { _ = close(descriptor) }
            try await body(descriptor)
            try files.synchronize(descriptor, path: temporary)
            guard dr_rename_exclusive(AT_FDCWD, temporary, AT_FDCWD, path) == 0 else {
                let number = dr_errno()
                guard number != EEXIST else {
                    throw Failure(
                        .usage, "\(printable(path.utf8)) exists already",
                        hint: "name another file, or remove it", side: .target)
                }
                throw SystemError("rename", path: path, number: number)
            }
        } catch {
            _ = unlink(temporary)
            throw (error as? SystemError)?.failure(side: .target) ?? error
        }
    }
}
