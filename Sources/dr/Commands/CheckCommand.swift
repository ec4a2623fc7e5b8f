import ArgumentParser
import Catalog
import Engine
import Model
import Repository
import Restore
import Snapshot

/// `dr check`.
struct CheckCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check that every snapshot can be restored.",
        discussion: """
            Looks at keys, records, lists and references. With --read-data it reads and opens every \
            byte, which takes as long as restoring everything; --subset does a part of that each \
            time and the whole in turn. It prints the end of every writer's chain of records: kept \
            elsewhere and given to --receipt later, they show even a machine that knows nothing \
            whether something was hidden or rolled back.

            --repair sets damaged objects aside, in the repository's folder "damaged". What is lost \
            is said first. What a copy of the repository (copies: in the configuration) still has is \
            taken from there; the next backup stores the rest again where it still exists, and every \
            snapshot that needs it is whole again.
            """)

    @Flag(name: .customLong("read-data"), help: "Read all data, not only lists.")
    var readsData = false

    @Option(
        help: ArgumentHelp(
            "Read the data of a part of the packs: 10% is another tenth each time, 3/7 the third of "
                + "seven parts.", valueName: "part"))
    var subset: String?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "A hash that an earlier check printed, or a file of them, that must still be there; can "
                + "be repeated.", valueName: "hash|file"))
    var receipt: [String] = []

    @Flag(help: "Set aside what is damaged, after asking.")
    var repair = false

    @Flag(name: .customLong("dry-run"), help: "With --repair: only say what it would do.")
    var isDryRun = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if let subset, Self.count(ofPercent: subset) == nil, CheckGroup(parsing: subset) == nil {
            throw ValidationError("--subset must be a share such as 10% or a part such as 3/7")
        }
        if isDryRun, !repair { throw ValidationError("--dry-run needs --repair") }
    }

    /// Into how many parts a share such as `10%` divides the packs; nil for anything else.
    private static func count(ofPercent text: String) -> Int? {
        guard text.hasSuffix("%"), let percent = Double(text.dropLast()), percent > 0,
            percent <= 100, 100 / percent <= 1_000_000
        else { return nil }
        return max(1, Int(100 / percent + 1e-9))
    }

    func run(in application: Application) async throws -> ExitCode {
        let receipts = try Receipts.read(receipt, from: application.environment.workingDirectory)
        // A repair is what a repository that went back in time may need: it is not refused.
        let open = try await application.openForCheck(try await application.configuration())
        var lock: RunLock?
        if repair, !isDryRun {
            lock = try RunLock.acquire(
                in: open.catalog.directory,
                as: .current(purpose: "dr check --repair", at: application.timepiece.wall))
        }
        defer { lock?.release() }
        var options = CheckOptions(readData: readsData || subset != nil, receipts: receipts)
        options.group = try await group(open.catalog)
        let report = try await check(application, open, options)
        if subset?.hasSuffix("%") == true, let group = options.group {
            try await open.catalog.remember(checkedGroup: group.number, of: group.count)
        }
        // What is damaged must still be missed the next time.
        if report.findings.isEmpty { try await open.catalog.remember(chainHeads: report.heads) }
        application.output.present(CheckPage(report: report))
        guard repair else { return report.exitCode }
        return try await carryOutRepair(application, open, report)
    }

    /// The part that is read this time; nil for everything.
    private func group(_ catalog: Catalog) async throws -> CheckGroup? {
        guard let subset else { return nil }
        guard let count = Self.count(ofPercent: subset) else { return CheckGroup(parsing: subset) }
        let last = try await catalog.checkedGroup(of: count) ?? 0
        return CheckGroup(last % count + 1, of: count)
    }

    private func check(
        _ application: Application, _ open: OpenRepository, _ options: CheckOptions
    ) async throws -> CheckReport {
        let progress = ProgressDisplay("check", on: application.output)
        let known = try await open.catalog.chainHeads()
        let began = application.timepiece.monotonic
        let report = try await progress.during {
            try await open.repository.check(index: open.index, options: options, known: known) {
                done, total in
                progress.update {
                    $0.stepsDone = done
                    $0.stepsTotal = total
                }
            }
        }
        // When data was last proven to be whole; and until a restore was measured, forecasts go by
        // how fast it can be read at all.
        if options.readData, report.exitCode == .done {
            try await open.catalog.record([
                Measurement(
                    subject: PlanRequest.readingSubject, bytes: report.bytesRead,
                    duration: application.timepiece.monotonic - began, at: application.now)
            ])
        }
        return report
    }

    /// Sets aside what is damaged, stores anew what of it can be read, and writes off what is lost.
    private func setAside(
        _ plan: RepairPlan, _ application: Application, _ open: OpenRepository
    ) async throws -> SalvageResult {
        let repairing = Repairing(
            repository: open.repository, catalog: open.catalog, index: open.index,
            timepiece: application.timepiece, host: application.host, version: Version.current)
        let progress = ProgressDisplay("repair", on: application.output)
        return try await progress.during {
            try await repairing.carryOut(
                plan, options: WriteOptions(level: open.configuration.compressionLevel)
            ) { done in
                progress.update {
                    $0.stepsDone = done
                    $0.stepsTotal = plan.packs.count
                }
            }
        }
    }

    private func carryOutRepair(
        _ application: Application, _ open: OpenRepository, _ report: CheckReport
    ) async throws -> ExitCode {
        let output = application.output
        var plan = report.repair
        guard !plan.isEmpty || (!report.findings.isEmpty && !open.configuration.copies.isEmpty)
        else {
            if !report.findings.isEmpty {
                output.warning(
                    "there is nothing to set aside",
                    hint: "back up what still exists; forget snapshots that stay incomplete")
            }
            return report.exitCode
        }
        output.present(RepairPage(plan: plan, result: nil))
        guard !isDryRun else { return report.exitCode }
        guard try await application.confirm("set this aside?") else {
            throw Failure(.interrupted, "not confirmed: nothing was changed")
        }
        // Data first: only then the index knows what has to come from the copies.
        var lost = RepairPlan()
        lost.snapshots = plan.snapshots
        lost.objects = plan.objects.filter { $0.hasPrefix("snapshots/") }
        plan.snapshots = []
        plan.objects.removeAll(where: lost.objects.contains)
        let result = try await setAside(plan, application, open)
        output.present(RepairPage(plan: plan, result: result))
        // What comes back is not written off.
        let returned = try await heal(application, open, lost: lost.snapshots)
        lost.snapshots.removeAll(where: returned.contains)
        lost.objects.removeAll { name in returned.contains { name == "snapshots/\($0)" } }
        if !lost.isEmpty { _ = try await setAside(lost, application, open) }
        // Lists and references alone: what was read a moment ago has been dealt with.
        let after = try await check(application, open, CheckOptions())
        if after.findings.isEmpty { try await open.catalog.remember(chainHeads: after.heads) }
        output.present(CheckPage(report: after))
        if !after.findings.isEmpty {
            output.warning(
                "what is listed as lost is missing until it is stored again",
                hint: "run dr backup: it reads everything and stores what still exists, then dr"
                    + " check; dr forget removes snapshots that stay incomplete")
        }
        return after.exitCode
    }
}

/// Receipts as they are given: hashes, or files that hold some.
enum Receipts {
    /// Fewer digits could be anything.
    private static let leastDigits = 16

    static func read(_ given: [String], from directory: String) throws -> [String] {
        var receipts: [String] = []
        for text in given {
            if isHash(text) {
                receipts.append(text.lowercased())
                continue
            }
            let path = absolutePath(text, from: directory)
            let bytes: [UInt8]
            do {
                bytes = try FileSystem().read(path)
            } catch {
                throw Failure(
                    .usage, "\"\(printable(text.utf8))\" is neither a receipt nor a file of them",
                    hint: "a receipt is a hash that dr check printed, or its first 16 digits",
                    cause: error.reason)
            }
            let found = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
                .compactMap { $0.split(whereSeparator: \.isWhitespace).first.map(String.init) }
                .filter(isHash)
            guard !found.isEmpty else {
                throw Failure(.usage, "the file \(printable(path.utf8)) holds no receipt")
            }
            receipts += found.map { $0.lowercased() }
        }
        return receipts
    }

    private static func isHash(_ text: String) -> Bool {
        (leastDigits...64).contains(text.utf8.count)
            && text.allSatisfy { $0.isHexDigit && $0.isASCII }
    }
}
