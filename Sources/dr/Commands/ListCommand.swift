import ArgumentParser
import Catalog
import Engine
import Model
import Repository

/// `dr ls`.
struct ListCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "Look into a snapshot.",
        discussion: """
            A snapshot has parts: trees of files, dumps, documents. "dr ls 4f2a" lists them, \
            "dr ls 4f2a:tree/0" the files at the top of one, "dr ls 4f2a:tree/0/etc" those of a \
            directory in it.
            """)

    @Argument(
        help: ArgumentHelp(
            "A snapshot's id or its first digits, a part, a path.",
            valueName: "snapshot[:part[/path]]"))
    var place: String

    @Flag(name: [.customLong("recursive"), .customShort("r")], help: "Everything below, too.")
    var isRecursive = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let open = try await application.open(try await application.configuration())
        let halves = place.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let snapshot = try await open.snapshot(String(halves[0]))
        guard halves.count == 2 else {
            application.output.present(PartList(snapshot: snapshot))
            return .done
        }
        let (part, path) = try snapshot.part(at: String(halves[1]))
        let content = part.content
        let output = application.output
        let isRecursive = isRecursive
        let found = try await BlockingPool.shared.run {
            var listing = TreeListing(path: path, isRecursive: isRecursive, output: output)
            let reader = open.repository.makeReader(index: open.index, cache: ByteCount(8 << 20))
            try reader.entries(content) { listing.show($0) }
            listing.finish()
            return listing.foundPath
        }
        guard found else {
            throw Failure(
                .usage, "there is no \"\(printable(path))\" in \(part.name)",
                hint: "dr ls \(snapshot.id.short):\(part.name) lists what there is")
        }
        return .done
    }
}

extension OpenRepository {
    /// The snapshot that the first digits of an id name.
    ///
    /// - Throws: `Failure` with code `usage` when there is none, or more than one.
    func snapshot(_ prefix: String) async throws -> SnapshotRecord {
        let digits = prefix.lowercased()
        let isPlausible = !digits.isEmpty && digits.allSatisfy { $0.isHexDigit && $0.isASCII }
        let found =
            isPlausible
            ? try await catalog.snapshots(SnapshotFilter(idPrefix: digits, limit: 2)) : []
        guard let snapshot = found.first else {
            throw Failure(
                .usage, "there is no snapshot \"\(printable(prefix.utf8))\"",
                hint: "dr snapshots lists them all")
        }
        guard found.count == 1 else {
            throw Failure(
                .usage, "more than one snapshot begins with \(digits)",
                hint: "write more of its digits")
        }
        return snapshot
    }
}

extension SnapshotRecord {
    /// The tree and the path in it that `place` names: a part's name, then `/` and a path.
    func part(at place: String) throws -> (SnapshotPart, path: [UInt8]) {
        let candidates = parts.filter { place == $0.name || place.hasPrefix($0.name + "/") }
        guard let part = candidates.max(by: { $0.name.utf8.count < $1.name.utf8.count }) else {
            throw Failure(
                .usage, "snapshot \(id.short) has no part \"\(printable(place.utf8))\"",
                hint: "dr ls \(id.short) lists its parts")
        }
        guard part.kind == .tree else {
            throw Failure(
                .usage, "\(part.name) is a \(part.kind.rawValue), there is nothing to list in it",
                hint: "dr ls \(id.short) shows its size")
        }
        let path = place.utf8.dropFirst(part.name.utf8.count)
            .split(separator: UInt8(ascii: "/")).joined(separator: [UInt8(ascii: "/")])
        return (part, Array(path))
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
