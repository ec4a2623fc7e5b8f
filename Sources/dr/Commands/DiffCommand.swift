import ArgumentParser
import Model
import Repository

/// `dr diff`.
struct DiffCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Show what changed from one snapshot to another.",
        discussion: """
            + and - came and went, M has another content, U another mode, owner, time or \
            attribute, T became something else. No data is read: it takes as long as two lists.
            """)

    @Argument(
        help: ArgumentHelp(
            "The older one: the first digits of its id, or service@moment.",
            valueName: "snapshot-a"))
    var old: String

    @Argument(help: ArgumentHelp("The newer one.", valueName: "snapshot-b"))
    var new: String

    @Argument(help: "Only what lies at or under this path.")
    var path: String?

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let open = try await application.open(try await application.configuration())
        let now = application.now
        let before = try await open.snapshot(old, now: now)
        let after = try await open.snapshot(new, now: now)
        let only = try path.map { try address(of: $0, in: [after, before]) } ?? []
        let output = application.output
        if before.workload != after.workload {
            output.warning(
                "these are snapshots of two workloads: \(before.workload) and \(after.workload)")
        }
        let totals = try await blockingWork { check in
            let reader = open.repository.makeReader(index: open.index, cache: ByteCount(32 << 20))
            var comparison = SnapshotComparison(reader: reader, only: only, check: check) {
                output.present(ShownChange(change: $0))
            }
            return try comparison.compare(before, after)
        }
        output.present(ShownTotals(totals: totals))
        return .done
    }

    /// The path as both snapshots address it.
    private func address(of text: String, in snapshots: [SnapshotRecord]) throws -> [UInt8] {
        // The directory above several parts is no part of any.
        let candidates = nameCandidates(text)
        for snapshot in snapshots {
            for candidate in candidates {
                if let place = snapshot.place(at: candidate) {
                    return place.part.address(of: place.path)
                }
            }
        }
        let literal = candidates[0]
        let trimmed = literal.count > 1 && literal.last == 47 ? literal.dropLast() : literal[...]
        let isAbove = snapshots.flatMap(\.parts).contains {
            Array($0.address.utf8).starts(with: trimmed)
        }
        guard isAbove else {
            _ = try snapshots[0].places(at: text)
            return literal
        }
        return Array(trimmed)
    }
}

private struct ShownChange: Presentable {
    var change: SnapshotChange

    var json: JSONValue {
        func count(_ bytes: UInt64?) -> JSONValue? { bytes.map { .integer(Int64(clamping: $0)) } }
        let rest: KeyValuePairs<String, JSONValue?> = [
            "type": change.type.map { .string("\($0)") }, "old_size": count(change.oldSize),
            "new_size": count(change.newSize), "bytes_added": count(change.bytes.added),
            "bytes_removed": count(change.bytes.removed),
        ]
        guard case .object(let members) = JSONValue.members(rest) else { return .null }
        return .object(
            [
                JSONMember("message_type", "change"),
                JSONMember("modifier", .string(change.kind.letter)),
                JSONMember("part", .string(change.part)),
            ] + pathMembers(change.path) + members)
    }

    func write(to page: inout Page) {
        let style: StyledText.Style =
            switch change.kind {
            case .added: .good
            case .removed: .bad
            case .content, .type: .warning
            case .metadata: .dim
            }
        let name = printable(change.path) + (change.type == .directory ? "/" : "")
        page.line(StyledText(change.kind.letter, style) + StyledText("  \(name)"))
    }
}

private struct ShownTotals: Presentable {
    var totals: SnapshotChangeTotals

    var json: JSONValue {
        func count(_ number: UInt64) -> JSONValue { .integer(Int64(clamping: number)) }
        return [
            "message_type": "statistics", "added": count(totals[.added]),
            "removed": count(totals[.removed]), "content": count(totals[.content]),
            "metadata": count(totals[.metadata]), "type": count(totals[.type]),
            "unchanged": count(totals.unchanged), "bytes_added": count(totals.bytes.added),
            "bytes_removed": count(totals.bytes.removed),
        ]
    }

    func write(to page: inout Page) {
        let words: [(SnapshotChange.Kind, String)] = [
            (.added, "added"), (.removed, "removed"), (.content, "changed"),
            (.metadata, "with other metadata"), (.type, "of another type"),
        ]
        let counts = words.filter { totals[$0.0] > 0 }.map { "\(totals[$0.0]) \($0.1)" }
        guard !counts.isEmpty else {
            page.line(StyledText("no difference in \(totals.unchanged) entries"))
            return
        }
        page.line()
        page.line(
            StyledText(
                "\(counts.joined(separator: ", ")), \(totals.unchanged) the same; "
                    + "\(ByteCount(totals.bytes.added)) came, "
                    + "\(ByteCount(totals.bytes.removed)) went"))
    }
}
