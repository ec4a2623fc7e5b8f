import Model
import Snapshot

/// Passes on what a backup run says of itself: to the progress display, to people, to programs.
struct BackupReporter: Sendable {
    var output: Output
    var progress: ProgressDisplay

    func report(_ event: BackupEvent) {
        switch event {
        case .unreadable(let pack, let reason):
            output.warning(
                "the pack \(pack.short) cannot be read: \(reason)",
                hint: "what it holds is treated as lost; dr check tells what that is")
        case .remarked(let text):
            output.event("note", ["message": .string(text)])
            output.note(StyledText("dr: \(text)"))
        case .began(let workload, _, let total):
            progress.update {
                $0.current = workload.text
                $0.stepsTotal = total
            }
            output.event("began", ["workload": .string(workload.text)])
        case .advanced(let bytes):
            progress.update { $0.bytesDone += bytes }
        case .said(let workload, let text):
            output.event("note", ["workload": .string(workload.text), "message": .string(text)])
            output.detail(StyledText("\(workload): \(text)"))
        case .saved(let snapshot, let took):
            progress.update { $0.stepsDone += 1 }
            output.event(
                "saved",
                [
                    "workload": .string(snapshot.workload.text),
                    "snapshot": .string("\(snapshot.id)"), "seconds": .number(took.seconds),
                ])
            output.detail(
                StyledText("\(snapshot.workload): snapshot \(snapshot.id.short), \(took)"))
        case .retrying(let workload, let failure, let pause):
            output.event(
                "retrying",
                [
                    "workload": .string(workload.text), "message": .string(failure.description),
                    "seconds": .number(pause.seconds),
                ])
            output.note(
                StyledText("\(workload): \(failure.description): trying again in \(pause)"))
        case .hookFailed(let service, let failure):
            output.event(
                "hook_failed",
                [
                    "service": service.map { .string($0.text) },
                    "message": .string(failure.description),
                ])
            output.failure(failure)
        case .failed(let workload, let failure, let took):
            progress.update { $0.stepsDone += 1 }
            output.event(
                "failed",
                [
                    "workload": .string(workload.text), "message": .string(failure.description),
                    "seconds": .number(took.seconds),
                ])
            // The result says it with its hint; who follows the run hears of it at once.
            output.note(StyledText("\(workload): \(failure.description)"))
        }
    }
}

/// What a backup run came to, for people and programs.
struct BackupResult: Presentable {
    var summary: BackupSummary
    /// Snapshots that retention removed; nil when it was not applied.
    var forgotten: Int?

    var json: JSONValue {
        let document = JSONValue(message: "summary", summary)
        guard case .object(let members) = document, let forgotten else { return document }
        return .object(members + [JSONMember("forgotten", .integer(Int64(forgotten)))])
    }

    func write(to page: inout Page) {
        var table = Table(
            .flexible("WORKLOAD"), .left("RESULT"), .left("SNAPSHOT"), .right("SIZE"),
            .right("NEW"), .right("TIME"))
        for item in summary.items {
            let state: StyledText =
                if item.failure != nil {
                    StyledText("failed", .bad)
                } else if !item.suspicions.isEmpty {
                    StyledText("suspicious", .warning)
                } else if !item.omissions.isEmpty {
                    StyledText("partial", .warning)
                } else {
                    StyledText("saved", .good)
                }
            let isSaved = item.snapshot != nil
            table.add(
                StyledText(item.workload.text), state, StyledText(item.snapshot?.short ?? "-"),
                StyledText(isSaved ? "\(item.statistics.bytes)" : "-"),
                StyledText(isSaved ? "\(item.statistics.bytesNew)" : "-"),
                StyledText("\(item.duration)"))
        }
        page.table(table)
        for item in summary.items {
            if let failure = item.failure {
                remark("failed", failure.description, item, &page)
                let hint = failure.hint ?? "put that right, then run: dr backup \(item.service)"
                page.line(StyledText("    hint: \(hint)"))
            }
            for text in item.suspicions { remark("suspicious", text, item, &page) }
            if let snapshot = item.snapshot, !item.suspicions.isEmpty {
                page.line(
                    StyledText(
                        "    hint: look at it; if it is as it should be: dr snapshots accept "
                            + snapshot.short))
            }
            for text in item.omissions { remark("left out", text, item, &page) }
            for text in item.notes { remark("note", text, item, &page) }
            if let text = item.recovered { remark("recovered", text, item, &page) }
        }
        for group in summary.groups {
            let state = group.consistency.map { "one moment, \($0.rawValue) consistent" }
            let moment = group.asOf.map { ", as of \($0)" } ?? ""
            page.line(
                StyledText("group \(group.name): \(state ?? "not saved as a whole")\(moment)"))
        }
        for hook in summary.hookFailures {
            page.line(StyledText("hook: \(hook.failure.description)"))
        }
        let saved = summary.items.count { $0.snapshot != nil }
        page.line()
        page.line(
            StyledText(
                "\(saved) of \(summary.items.count) saved in \(summary.duration), "
                    + "\(summary.stored) added to the repository"))
        if let forgotten, forgotten > 0 {
            page.line(
                StyledText(
                    "\(forgotten) older \(forgotten == 1 ? "snapshot" : "snapshots") forgotten"))
        }
    }

    private func remark(
        _ kind: String, _ text: String, _ item: BackupSummary.Item, _ page: inout Page
    ) {
        page.line(StyledText("\(item.workload): \(kind): \(text)"))
    }
}
