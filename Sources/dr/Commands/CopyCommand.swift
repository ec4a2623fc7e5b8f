import ArgumentParser
import Model
import Repository
import Snapshot

/// `dr copy`.
struct CopyCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "copy", abstract: "Bring copies of the repository up to date.",
        discussion: """
            Copies every snapshot that a copy lacks, the newest first, without reading the sources \
            again and without compressing anew; what is already there is not sent. Everything is \
            compared with its name on the way: damage is not copied, and neither is the removal of \
            snapshots. It may be interrupted at any moment; the next one goes on. Copies stand under \
            copies: in the configuration and are made with dr init --copy NAME; dr backup brings \
            them up to date at its end.
            """)

    @Argument(help: ArgumentHelp("Copies, by name; all without any.", valueName: "copy"))
    var names: [String] = []

    @Flag(name: .customLong("dry-run"), help: "Only say how many snapshots would be copied.")
    var isDryRun = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let configuration = try await application.configuration()
        let copies = try application.copies(named: names, in: configuration)
        guard !copies.isEmpty else {
            throw Failure(
                .usage, "the configuration names no copies",
                hint:
                    "add one to \(application.configurationFile.shownPath) under copies:, and make"
                    + " it with dr init --copy NAME")
        }
        let open = try await application.open(configuration)
        if isDryRun {
            var lines: [PlannedCopy.Line] = []
            for copy in copies {
                let target = try await application.open(copy, of: configuration)
                let copying = Copying(
                    from: Copying.Side(
                        repository: open.repository, catalog: open.catalog, index: open.index),
                    to: Copying.Side(
                        repository: target.repository, catalog: target.catalog,
                        index: target.index),
                    timepiece: application.timepiece, host: application.host,
                    version: Version.current)
                lines.append(
                    PlannedCopy.Line(
                        name: copy.name, missing: try await copying.missing().missing.count))
            }
            application.output.present(PlannedCopy(lines: lines))
            return .done
        }
        let (results, failures) = try await application.bringUpToDate(copies, from: open)
        for result in results { application.output.present(CopyPage(result: result)) }
        for failure in failures { application.output.failure(failure) }
        let isPartial = results.contains { !$0.failed.isEmpty }
        return .combining(failures.map(\.code) + (isPartial ? [.partial] : []))
    }
}

/// What `dr copy --dry-run` says.
private struct PlannedCopy: Presentable {
    struct Line {
        var name: String
        var missing: Int
    }
    var lines: [Line]

    var json: JSONValue {
        [
            "dry_run": true,
            "copies": .array(
                lines.map { ["name": .string($0.name), "missing": .integer(Int64($0.missing))] }),
        ]
    }

    func write(to page: inout Page) {
        for line in lines {
            page.line(StyledText("\(line.name): \(line.missing) snapshots would be copied"))
        }
    }
}

/// What became of one copy.
struct CopyPage: Presentable {
    var result: CopyResult

    var json: JSONValue {
        .members([
            "message_type": "copy", "name": .string(result.name), "place": .string(result.place),
            "at": .string("\(result.at)"), "copied": .strings(result.copied.map { "\($0)" }),
            "failed": .object(
                result.failed.sorted { $0.key < $1.key }.map {
                    JSONMember($0.key, .string($0.value))
                }),
            "held": .integer(Int64(result.held)), "forgotten": .integer(Int64(result.forgotten)),
            "stored_bytes": .integer(Int64(clamping: result.stored.bytes)),
            "newest": result.newest.map { .string("\($0)") },
        ])
    }

    func write(to page: inout Page) {
        let count = result.copied.count
        page.line(
            StyledText(
                "\(result.name): \(count) \(count == 1 ? "snapshot" : "snapshots") copied,"
                    + " \(result.stored) stored; \(result.held) there now"))
        for (id, reason) in result.failed.sorted(by: { $0.key < $1.key }) {
            page.line(StyledText("  not copied: \(id.prefix(8)): \(reason)", .bad))
        }
    }
}
