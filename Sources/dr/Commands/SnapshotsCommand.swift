import ArgumentParser
import Catalog
import Model

/// `dr snapshots`.
struct SnapshotsCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshots", abstract: "List what is in the repository, newest first.")

    @Argument(help: ArgumentHelp("Only snapshots of these services.", valueName: "service"))
    var services: [String] = []

    @Option(help: ArgumentHelp("Only snapshots with this tag.", valueName: "name"))
    var tag: String?

    @Option(help: ArgumentHelp("At most so many, the newest.", valueName: "count"))
    var limit: Int?

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more") }
    }

    func run(in application: Application) async throws -> ExitCode {
        let open = try await application.open(try await application.configuration())
        // Services that are no longer configured still have snapshots: any name may be asked for.
        let names = services.isEmpty ? nil : services.map { ServiceName($0) }
        let snapshots = try await open.catalog.snapshots(
            SnapshotFilter(services: names, tag: tag, limit: limit))
        application.output.present(SnapshotList(snapshots: snapshots))
        return .done
    }
}

private struct SnapshotList: Presentable {
    var snapshots: [SnapshotRecord]

    var json: JSONValue { .array(snapshots.map(document)) }

    private func document(_ snapshot: SnapshotRecord) -> JSONValue {
        func count(_ bytes: ByteCount) -> JSONValue { .integer(Int64(clamping: bytes.bytes)) }
        return .members([
            "id": .string("\(snapshot.id)"),
            "as_of": .string("\(snapshot.asOf)"),
            "finished": .string("\(snapshot.finished)"),
            "service": .string(snapshot.service.text),
            "workload": .string(snapshot.workload.text),
            "kind": .string(snapshot.kind.rawValue),
            "host": .string(snapshot.host),
            "run": .string("\(snapshot.run)"),
            "state": .string(snapshot.state),
            "consistency": .string(snapshot.consistency.rawValue),
            "bytes": count(snapshot.statistics.bytes),
            "bytes_new": count(snapshot.statistics.bytesNew),
            "bytes_stored": count(snapshot.statistics.bytesStored),
            "tags": .strings(snapshot.tags),
            "suspicions": .strings(snapshot.suspicions),
            "omissions": .strings(snapshot.omissions),
        ])
    }

    func write(to page: inout Page) {
        guard !snapshots.isEmpty else {
            page.line("no snapshots")
            return
        }
        var table = Table(
            .left("ID"), .left("AS OF"), .flexible("WORKLOAD"), .right("SIZE"), .left("STATE"),
            .left("TAGS"))
        for snapshot in snapshots {
            let state = StyledText(snapshot.state, snapshot.isGood ? .good : .warning)
            table.add(
                StyledText(snapshot.id.short), StyledText(snapshot.asOf.shortDescription),
                StyledText(snapshot.workload.text), StyledText("\(snapshot.statistics.bytes)"),
                state, StyledText(snapshot.tags.joined(separator: ", ")))
        }
        page.table(table)
    }
}

extension SnapshotRecord {
    /// One word for how far it is to be trusted.
    var state: String {
        if !suspicions.isEmpty { return "suspicious" }
        return omissions.isEmpty ? "good" : "partial"
    }
}
