import ArgumentParser
import Model
import Repository

/// `dr ls`.
struct ListCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "Look into a snapshot.",
        discussion: """
            A snapshot has parts: trees of files, dumps, documents. "dr ls 4f2a" lists them, \
            "dr ls 4f2a:tree/0" or "dr ls 4f2a:/srv/www" the files at the top of one, \
            "dr ls site@latest:/srv/www/img" those of a directory in it.
            """)

    @Argument(
        help: ArgumentHelp(
            "A snapshot's id or its first digits, latest, or service@moment; a path in it.",
            valueName: "snapshot[:path]"))
    var place: String

    @Flag(name: [.customLong("recursive"), .customShort("r")], help: "Everything below, too.")
    var isRecursive = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let open = try await application.open(try await application.configuration())
        let reference = SnapshotReference(place)
        let snapshot = try await open.snapshot(
            reference.snapshot, now: application.now)
        guard let text = reference.path else {
            application.output.present(PartList(snapshot: snapshot))
            return .done
        }
        let places = try snapshot.places(at: text)
        var place = places[0]
        guard place.part.kind == .tree else {
            throw Failure(
                .usage,
                "\(place.part.name) is a \(place.part.kind.rawValue), "
                    + "there is nothing to list in it",
                hint: "dr dump \(snapshot.id.short) \(place.part.name) writes it out")
        }
        if places.count > 1 { place = try await application.found(text, in: snapshot, open).place }
        let output = application.output
        let isRecursive = isRecursive
        let address = Array(place.part.address.utf8)
        let slash = UInt8(ascii: "/")
        let rootName = Array(address[((address.lastIndex(of: slash) ?? -1) + 1)...])
        let (content, path) = (place.part.content, place.path)
        let found = try await blockingWork { check in
            var listing = TreeListing(
                path: path, rootName: rootName, isRecursive: isRecursive, output: output)
            let reader = open.repository.makeReader(index: open.index, cache: ByteCount(8 << 20))
            try reader.entries(content) {
                try check()
                listing.show($0)
            }
            listing.finish()
            return listing.foundPath
        }
        guard found else {
            throw Failure(
                .usage, "there is no \"\(printable(path))\" in \(place.part.name)",
                hint: "dr ls \(snapshot.id.short):\(place.part.name) lists what there is")
        }
        return .done
    }
}

private struct PartList: Presentable {
    var snapshot: SnapshotRecord

    var json: JSONValue {
        .array(
            snapshot.parts.map {
                [
                    "part": .string($0.name), "kind": .string($0.kind.rawValue),
                    "bytes": .integer(Int64(clamping: $0.bytes.bytes)),
                    "entries": .integer(Int64(clamping: $0.entries)),
                    "address": .string($0.address),
                ]
            })
    }

    func write(to page: inout Page) {
        var table = Table(
            .flexible("PART"), .left("KIND"), .right("SIZE"), .right("ENTRIES"), .left("FROM"))
        for part in snapshot.parts {
            table.add(
                StyledText(part.name), StyledText(part.kind.rawValue), StyledText("\(part.bytes)"),
                StyledText(part.kind == .tree ? "\(part.entries)" : ""),
                StyledText(part.attributes["path"] ?? ""))
        }
        page.table(table)
    }
}
