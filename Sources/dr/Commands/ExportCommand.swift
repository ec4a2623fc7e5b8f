import ArgumentParser
import CLinux
import Glibc
import Model
import Restore
import Workloads

/// `dr export`.
struct ExportCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a snapshot as a tar archive to standard output.",
        discussion: """
            With a path, its content: "dr export site@latest /srv/www | tar -xp --xattrs \
            --xattrs-include='*' --acls -C /srv/www". Without one, all parts of the snapshot under \
            their paths. Any tar reads it; GNU tar brings everything back, holes and capabilities \
            too.
            """)

    /// As `ArchiveCompression`.
    enum Method: String, CaseIterable, ExpressibleByArgument {
        case gzip, bzip2, xz, zstd, lz4
    }

    @Argument(
        help: ArgumentHelp(
            "The first digits of its id, latest, or service@moment.",
            valueName: "snapshot[:path]"))
    var snapshot: String

    @Argument(help: "A directory or file that was captured, or a part of the snapshot.")
    var path: String?

    @Option(
        help: ArgumentHelp(
            "Compress the archive: gzip, bzip2, xz, zstd or lz4.", valueName: "method"))
    var compress: Method?

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let reference = SnapshotReference(snapshot)
        guard path == nil || reference.path == nil else {
            throw Failure(.usage, "export takes one path", hint: "write it behind the snapshot")
        }
        guard isatty(STDOUT_FILENO) == 0 else {
            throw Failure(
                .usage, "an archive is nothing for a terminal",
                hint: "send it to a file or to tar: dr export \(snapshot) | tar -x")
        }
        let open = try await application.open(try await application.configuration())
        let record = try await open.snapshot(
            reference.snapshot, now: application.now)
        let compression = compress.flatMap { ArchiveCompression(rawValue: $0.rawValue) }
        let items: [TreeExport.Item]
        if let text = path ?? reference.path {
            items = [
                TreeExport.Item(try await application.found(text, in: record, open).place)
            ]
        } else {
            items = record.parts.map { part in
                TreeExport.Item(
                    SnapshotPlace(part: part),
                    prefix: Array(part.address.utf8.drop { $0 == UInt8(ascii: "/") }))
            }
        }
        let export = TreeExport(repository: open.repository, index: open.index)
        let summary = try await blockingWork { check in
            try export.write(
                items, asOf: record.asOf, to: STDOUT_FILENO, compression: compression,
                cancelled: check)
        }
        for problem in summary.problems {
            application.output.failure(
                Failure(
                    .damaged, problem,
                    hint: "run 'dr check --read-data' to see what is affected", side: .repository))
        }
        application.output.note(
            StyledText("exported \(summary.entries) entries, \(summary.bytes)"))
        return summary.problems.isEmpty ? .done : .damaged
    }
}
