import Model
import Repository

/// What a check found.
struct CheckPage: Presentable {
    /// More would scroll the reasons away.
    private static let shownLimit = 50

    var report: CheckReport

    var json: JSONValue { JSONValue(message: "summary", report) }

    func write(to page: inout Page) {
        for finding in report.findings.prefix(Self.shownLimit) {
            page.line(
                StyledText("damaged: ", .bad) + StyledText("\(finding.object): \(finding.reason)"))
        }
        let more = report.findings.count - Self.shownLimit
        if more > 0 { page.line(StyledText("and \(more) more")) }
        if !report.affected.isEmpty {
            page.line()
            page.line("cannot be restored:")
            for item in report.affected.prefix(Self.shownLimit) {
                let path = item.path.map { ": \($0)" } ?? ""
                page.line(
                    StyledText(
                        "  \(item.service) snapshot \(item.snapshot.short) \(item.part)\(path)"))
            }
            let hidden = report.affectedCount - min(report.affected.count, Self.shownLimit)
            if hidden > 0 { page.line(StyledText("  and \(hidden) more")) }
            page.line()
        }
        let verdict =
            report.findings.isEmpty
            ? StyledText("no damage", .good)
            : StyledText("\(report.findings.count) findings", .bad)
        page.line(
            verdict + StyledText(": \(report.snapshots) snapshots, \(report.packs) packs\(read)"))
        guard !report.receipts.isEmpty else { return }
        page.line("receipt, to keep elsewhere and compare with --receipt:")
        for receipt in report.receipts.prefix(Self.shownLimit) {
            page.line(
                StyledText(
                    "  \(receipt.head.hash) record \(receipt.head.sequence) of"
                        + " \(receipt.head.writer.short), \(receipt.host),"
                        + " \(receipt.at.shortDescription)"))
        }
    }

    private var read: String {
        guard report.packsRead > 0 || report.group != nil else {
            return ", none read (no --read-data)"
        }
        let part = report.group.map { ", part \($0.number) of \($0.count)" } ?? ""
        return ", \(report.packsRead) read (\(report.bytesRead)\(part))"
    }
}

/// What a repair is going to do, or has done.
struct RepairPage: Presentable {
    var plan: RepairPlan
    var result: SalvageResult?

    var json: JSONValue {
        guard let result else { return JSONValue(message: "repair_plan", plan) }
        return JSONValue(message: "repair_result", result)
    }

    func write(to page: inout Page) {
        func number(_ count: Int, _ one: String, _ many: String) -> String {
            "\(count) \(count == 1 ? one : many)"
        }
        page.line()
        if let result {
            page.line(
                StyledText(
                    "set aside \(number(result.packs, "pack", "packs"));"
                        + " \(number(result.savedChunks, "chunk", "chunks")) of them could be read"
                        + " and are stored anew, \(result.lostChunks) are lost"))
            return
        }
        page.line("a repair would")
        if !plan.packs.isEmpty {
            page.line(
                StyledText(
                    "  store anew what can be read of \(number(plan.packs.count, "pack", "packs")),"
                        + " and set aside:"))
            for pack in plan.packs { page.line(StyledText("    pack \(pack)")) }
        }
        for name in plan.objects { page.line(StyledText("  set aside \(name)")) }
        for snapshot in plan.snapshots {
            page.line(
                StyledText("  write off snapshot \(snapshot.short): it is ", .plain)
                    + StyledText("lost", .bad))
        }
        if !plan.records.isEmpty {
            page.line(
                StyledText(
                    "  stop missing \(number(plan.records.count, "record", "records")) of writers"))
        }
    }
}
