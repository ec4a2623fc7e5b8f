import Model
import Snapshot

/// Passes on what a backup run says of itself: to the progress display, to people, to programs.
struct BackupReporter: Sendable {
    var output: Output
    var progress: ProgressDisplay

    func report(_ event: BackupEvent) {
        switch event {
        case .began(let workload, let number, let total):
            progress.update {
                $0.current = workload.text
                $0.stepsDone = number - 1
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
        case .failed(let workload, let failure, let took):
            progress.update { $0.stepsDone += 1 }
            output.event(
                "failed",
                [
                    "workload": .string(workload.text), "message": .string(failure.description),
                    "seconds": .number(took.seconds),
                ])
            output.failure(failure.during(workload.text))
        }
    }
}

/// What a backup run came to, for people and programs.
struct BackupResult: Presentable {
    var summary: BackupSummary

    var json: JSONValue { JSONValue(message: "summary", summary) }

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
            for text in item.suspicions { remark("suspicious", text, item, &page) }
            for text in item.omissions { remark("left out", text, item, &page) }
            for text in item.notes { remark("note", text, item, &page) }
        }
        let saved = summary.items.count { $0.snapshot != nil }
        page.line()
        page.line(
            StyledText(
                "\(saved) of \(summary.items.count) saved in \(summary.duration), "
                    + "\(summary.stored) added to the repository"))
    }

    private func remark(
        _ kind: String, _ text: String, _ item: BackupSummary.Item, _ page: inout Page
    ) {
        page.line(StyledText("\(item.workload): \(kind): \(text)"))
    }
}
