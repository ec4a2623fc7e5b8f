import ArgumentParser
import Catalog
import Engine
import Model
import Restore

/// `dr plan`.
struct PlanCommand: ApplicationCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, dot, html }

    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Show what a restore would do, and what is in its way.",
        discussion: """
            Nothing is changed. A plan can be kept (dr plan --json >plan.json) and compared with a \
            later one (dr plan --diff plan.json); the plan of each restore and each backup is kept \
            by itself.
            """)

    @OptionGroup var recovery: RecoveryOptions

    @Option(
        name: .customLong("to"),
        help: ArgumentHelp(
            "here, a target of the configuration, or a directory with a / in its path.",
            valueName: "target"))
    var target = "here"

    @Option(
        help: "text, json, html for a page to print, or dot for a graph that Graphviz draws.")
    var format = Format.text

    @Option(
        name: .customLong("diff"),
        help: ArgumentHelp(
            "Only say what is different from another plan: a file that dr plan --json wrote, the "
                + "first digits of a run, or latest for the newest that was kept.",
            valueName: "file|run|latest"))
    var other: String?

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let open = try await application.open(try await application.configuration())
        let wish = try await recovery.wish(
            open, target: try application.target(target, open), now: application.now)
        if let other {
            let old = try await plan(other, application, open)
            let new = try await application.plan(wish, open).plan
            let difference = PlanDifference(from: old, to: new)
            application.output.present(
                ShownDifference(difference: difference, json: try JSONValue(difference)))
            return .done
        }
        if format == .dot {
            application.output.document(
                PlanGraph(try await application.plan(wish, open).plan).dot)
            return .done
        }
        let plan = try await application.prepare(wish, open).plan
        switch format {
        case .html: application.output.document(PlanHTML(plan).text)
        case .json: application.output.document(try JSONValue(plan).indented)
        case .text, .dot:
            application.output.present(ShownPlan(plan: plan, json: try JSONValue(plan)))
        }
        return .done
    }

    /// The plan that is compared with.
    private func plan(
        _ text: String, _ application: Application, _ open: OpenRepository
    ) async throws -> RecoveryPlan {
        let digits = text.lowercased()
        if digits == "latest" || digits.count >= 4 && digits.allSatisfy(\.isHexDigit) {
            let prefix = digits == "latest" ? "" : digits
            for run in try await open.catalog.runs(idPrefix: prefix, limit: 1000) {
                guard let kept = try await open.catalog.document(Catalog.planName, of: run.id)
                else { continue }
                return try StableJSON.decode(RecoveryPlan.self, from: kept)
            }
        }
        let path = absolutePath(text, from: application.environment.workingDirectory)
        do {
            let bytes = try await BlockingPool.shared.run { try FileSystem().read(path) }
            return try StableJSON.decode(RecoveryPlan.self, from: bytes)
        } catch {
            throw Failure(
                .usage, "\(printable(text.utf8)) is no plan",
                hint: "give a file that dr plan --json wrote, or the first digits of a run",
                cause: (error as? SystemError)?.failure(side: .local).description)
        }
    }
}

private struct ShownPlan: Presentable {
    var plan: RecoveryPlan
    var json: JSONValue

    func write(to page: inout Page) { page.lines(of: PlanText(plan).text) }
}

private struct ShownDifference: Presentable {
    var difference: PlanDifference
    var json: JSONValue

    func write(to page: inout Page) { page.lines(of: difference.text) }
}
