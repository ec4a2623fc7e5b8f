import ArgumentParser
import CLinux
import Catalog
import Engine
import Glibc
import Model
import Repository
import Snapshot

/// `dr prune`.
struct PruneCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Free the space of what no snapshot needs.",
        discussion: """
            Deletes packs that nothing needs, and writes the needed rest of others anew: of those that \
            are mostly garbage, of many small ones, and of those that a restore of the newest \
            snapshots would read for little use. With --keep options it forgets snapshots first, as \
            dr forget does. It may be interrupted at any moment; the next one goes on. It works on a \
            full disk. While another machine writes, it prepares everything, deletes nothing and \
            ends with 11.
            """)

    @OptionGroup var retention: RetentionOptions

    @Flag(name: .customLong("dry-run"), help: "Only show what would be deleted and rewritten.")
    var isDryRun = false

    @Flag(
        name: .customLong("delete-only"),
        help: "Rewrite nothing: delete only packs that nothing needs at all.")
    var deleteOnly = false

    @Option(
        name: .customLong("max-rewrite"),
        help: ArgumentHelp("Write at most so much anew, for example 10GiB.", valueName: "size"))
    var rewriteLimit: String?

    @Flag(
        name: .customLong("rewrite-old-keys"),
        help: "Write everything anew that an older data key sealed (see dr key rotate).")
    var rewriteOldKeys = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if let rewriteLimit, ByteCount(parsing: rewriteLimit) == nil {
            throw ValidationError("--max-rewrite must be a size such as 500MiB or 10GiB")
        }
        if deleteOnly, rewriteOldKeys {
            throw ValidationError("--delete-only and --rewrite-old-keys contradict each other")
        }
    }

    private var options: PruneOptions {
        var options = PruneOptions(deleteOnly: deleteOnly)
        options.rewriteOldKeys = rewriteOldKeys
        options.moveLimit = rewriteLimit.flatMap { ByteCount(parsing: $0) }
        return options
    }

    func run(in application: Application) async throws -> ExitCode {
        let configuration = try await application.configuration()
        let open = try await application.open(configuration, writing: !isDryRun)
        let output = application.output
        let progress = ProgressDisplay("prune", on: output)
        let report = PruneReporter(progress: progress)
        guard !isDryRun else {
            var forgotten: RetentionResult?
            if let policy = retention.policy {
                forgotten = try await application.retain(
                    open, policy: policy, trustsTimes: retention.trustsTimes, isDryRun: true)
            }
            var options = options
            options.forgotten = Set(forgotten?.outcome.forgotten ?? [])
            let chosen = options
            let plan = try await progress.during {
                try await open.repository.prunePlan(
                    index: open.index, options: chosen, progress: report.report)
            }
            output.present(
                PrunePage(plan: plan, result: nil, retention: forgotten, isDryRun: true))
            return .done
        }
        let lock = try RunLock.acquire(
            in: open.catalog.directory,
            as: .current(purpose: "dr prune", at: application.timepiece.wall))
        defer { lock.release() }
        var forgotten: RetentionResult?
        if let policy = retention.policy {
            forgotten = try await application.retain(
                open, policy: policy, trustsTimes: retention.trustsTimes)
        }
        let owner = try await SessionOwner.current(open.catalog)
        let lease = try await open.repository.beginSession(
            host: application.host, processID: getpid(), timepiece: application.timepiece,
            owner: owner, usesReserve: true)
        let plan: PrunePlan
        let result: PruneResult
        do {
            (plan, result) = try await progress.during {
                let plan = try await open.repository.prunePlan(
                    index: open.index, options: options, progress: report.report)
                let result = try await open.repository.prune(
                    plan, index: open.index,
                    options: WriteOptions(level: configuration.compressionLevel), lease: lease,
                    owner: owner, progress: report.report)
                return (plan, result)
            }
        } catch {
            await lease.end()
            throw error
        }
        await lease.end()
        output.present(
            PrunePage(plan: plan, result: result, retention: forgotten, isDryRun: false))
        if result.skippedForSpace > 0 {
            let count = result.skippedForSpace
            output.warning(
                "there is no space to write \(count) \(count == 1 ? "pack" : "packs") anew",
                hint: "run dr prune again when there is more")
        }
        if result.refusedPacks > 0 {
            let count = result.refusedPacks
            output.warning(
                "the store keeps \(count) \(count == 1 ? "pack" : "packs") that nothing needs:"
                    + " \(result.refusal ?? "it refuses")",
                hint: "the next dr prune tries again, when a lock has ended or with keys that may"
                    + " delete")
        }
        if result.liveSessions > 0 {
            let count = result.waitingPacks
            output.warning(
                "\(count) \(count == 1 ? "pack waits" : "packs wait") until"
                    + " \(result.liveSessions) other"
                    + " \(result.liveSessions == 1 ? "run has" : "runs have") ended",
                hint: "the next dr prune deletes them; a run that was killed counts for an hour")
            return .busy
        }
        return forgotten?.outcome.warnings.isEmpty ?? true ? .done : .partial
    }
}

/// Passes the progress of a prune on.
private struct PruneReporter: Sendable {
    var progress: ProgressDisplay

    func report(_ event: PruneProgress) {
        progress.update {
            switch event {
            case .following(let done, let total):
                $0.current = "following snapshots"
                $0.stepsDone = done
                $0.stepsTotal = total
            case .moving(let done, let total):
                $0.current = "writing anew"
                $0.bytesDone = done
                $0.bytesTotal = total
            case .deleting(let done, let total):
                $0.current = "deleting"
                $0.stepsDone = done
                $0.stepsTotal = total
            }
        }
    }
}

/// What a prune is going to do, or has done.
private struct PrunePage: Presentable {
    var plan: PrunePlan
    var result: PruneResult?
    var retention: RetentionResult?
    var isDryRun: Bool

    var json: JSONValue {
        func bytes(_ count: ByteCount) -> JSONValue { .integer(Int64(clamping: count.bytes)) }
        func number(_ count: Int) -> JSONValue { .integer(Int64(count)) }
        return .members([
            "message_type": "summary",
            "dry_run": .bool(isDryRun),
            "snapshots": number(plan.snapshots.count),
            "delete": ["packs": number(plan.deleted.count), "bytes": bytes(plan.deletedBytes)],
            "rewrite": [
                "packs": number(plan.rewrites.count), "bytes": bytes(plan.rewrittenBytes),
                "needed_bytes": bytes(plan.movedBytes),
            ],
            "keep": ["packs": number(plan.kept), "bytes": bytes(plan.keptBytes)],
            "rewrites": .array(
                plan.rewrites.map {
                    [
                        "pack": .string("\($0.pack)"), "bytes": bytes($0.size),
                        "needed_bytes": bytes($0.needed), "reason": .string($0.reason.rawValue),
                    ]
                }),
            "restores": .array(
                plan.restores.map {
                    [
                        "workload": .string($0.workload.text), "needed_bytes": bytes($0.needed),
                        "read_bytes": bytes($0.read), "packs": number($0.packs),
                    ]
                }),
            "result": result.flatMap { try? JSONValue($0) },
            "retention": retention?.json,
        ])
    }

    func write(to page: inout Page) {
        if let retention {
            RetentionPage(result: retention).write(to: &page)
            page.line()
        }
        var table = Table(
            .left("PACKS"), .right("COUNT"), .right("SIZE"), .right("NEEDED"), .flexible("BECAUSE"))
        func add(_ what: String, _ count: Int, _ size: ByteCount, _ needed: String, _ why: String) {
            if count > 0 {
                table.add(
                    StyledText(what), StyledText("\(count)"), StyledText("\(size)"),
                    StyledText(needed), StyledText(why))
            }
        }
        add("delete", plan.deleted.count, plan.deletedBytes, "0 B", "no snapshot needs them")
        for reason in PrunePlan.Reason.allCases {
            let some = plan.rewrites.filter { $0.reason == reason }
            let size = some.reduce(into: ByteCount(0)) { $0 += $1.size }
            let needed = some.reduce(into: ByteCount(0)) { $0 += $1.needed }
            add("rewrite", some.count, size, "\(needed)", reason.rawValue)
        }
        add("keep", plan.kept, plan.keptBytes, "", "")
        page.table(table)
        for cost in plan.restores where cost.excess > 2 {
            page.line(
                StyledText(
                    "\(cost.workload): a restore reads \(cost.read) in \(cost.packs) packs"
                        + " for \(cost.needed)"))
        }
        page.line()
        guard let result else {
            return page.line(StyledText("would free about \(plan.freedBytes)"))
        }
        let freed = ByteCount(
            result.freedBytes.bytes - min(result.freedBytes.bytes, result.writtenBytes.bytes))
        let rewritten = result.rewrittenPacks
        page.line(
            StyledText(
                "\(result.deletedPacks) packs deleted, \(rewritten) written anew, \(freed) free"))
    }
}
