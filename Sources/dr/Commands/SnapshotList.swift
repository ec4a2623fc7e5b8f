import Model

/// Snapshots and what is said of them, for people and programs.
struct SnapshotList: Presentable {
    struct Entry: Sendable {
        var snapshot: SnapshotRecord
        /// Why retention keeps it, empty when it may go; nil where nothing decides.
        var kept: [String]?
        var marks: [MarkedSnapshot]

        var isAccepted: Bool { marks.contains { $0.mark == .accepted } }

        /// One word for how far it is to be trusted.
        var state: String {
            isAccepted && !snapshot.suspicions.isEmpty ? "accepted" : snapshot.state
        }

        /// Why it is kept; a pin with the reason that was given.
        var reasons: String {
            let pin = marks.first { $0.mark == .pinned }
            let pinned = pin.map { $0.reason.isEmpty ? "pinned" : "pinned: \($0.reason)" }
            guard let kept else { return pinned ?? "" }
            if kept.isEmpty { return "may go" }
            return kept.map { $0 == "pinned" ? pinned ?? $0 : $0 }.joined(separator: ", ")
        }
    }

    var entries: [Entry]

    var json: JSONValue { .array(entries.map(document)) }

    private func document(_ entry: Entry) -> JSONValue {
        let snapshot = entry.snapshot
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
            "state": .string(entry.state),
            "consistency": .string(snapshot.consistency.rawValue),
            "bytes": count(snapshot.statistics.bytes),
            "bytes_new": count(snapshot.statistics.bytesNew),
            "bytes_stored": count(snapshot.statistics.bytesStored),
            "tags": .strings(snapshot.tags),
            "suspicions": .strings(snapshot.suspicions),
            "omissions": .strings(snapshot.omissions),
            "kept": entry.kept.map { .strings($0) },
            "marks": .array(
                entry.marks.map {
                    [
                        "mark": .string($0.mark.rawValue), "reason": .string($0.reason),
                        "at": .string("\($0.at)"),
                    ]
                }),
        ])
    }

    func write(to page: inout Page) {
        guard !entries.isEmpty else {
            page.line("no snapshots")
            return
        }
        let hasReasons = entries.contains { !$0.reasons.isEmpty }
        let hasTags = entries.contains { !$0.snapshot.tags.isEmpty }
        var table = Table(
            .left("ID"), .left("AS OF"), .flexible("WORKLOAD"), .right("SIZE"), .left("STATE"))
        if hasTags { table.columns.append(.left("TAGS")) }
        if hasReasons { table.columns.append(.left("KEPT")) }
        for entry in entries {
            let snapshot = entry.snapshot
            let isGood = snapshot.isGood || entry.state == "accepted"
            var cells = [
                StyledText(snapshot.id.short), StyledText(snapshot.asOf.shortDescription),
                StyledText(snapshot.workload.text), StyledText("\(snapshot.statistics.bytes)"),
                StyledText(entry.state, isGood ? .good : .warning),
            ]
            if hasTags { cells.append(StyledText(snapshot.tags.joined(separator: ", "))) }
            if hasReasons { cells.append(StyledText(entry.reasons)) }
            table.add(row: cells)
        }
        page.table(table)
        let told = entries.filter { !$0.snapshot.suspicions.isEmpty }
        if !told.isEmpty { page.line() }
        for entry in told {
            let accepted = entry.marks.first { $0.mark == .accepted }
            let word = accepted.map {
                $0.reason.isEmpty ? " (accepted)" : " (accepted: \($0.reason))"
            }
            page.line(
                StyledText(
                    "\(entry.snapshot.id.short) suspicious\(word ?? ""): "
                        + entry.snapshot.suspicions.joined(separator: "; ")))
        }
    }
}

extension SnapshotRecord {
    /// One word for what its capture found.
    var state: String {
        if !suspicions.isEmpty { return "suspicious" }
        return omissions.isEmpty ? "good" : "partial"
    }
}
