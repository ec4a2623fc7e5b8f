import ArgumentParser
import Model
import Restore

/// `dr plan`.
struct PlanCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Show what a restore would do, and what is in its way.",
        discussion: "Nothing is changed.")

    @OptionGroup var recovery: RecoveryOptions

    @Option(
        name: .customLong("to"),
        help: ArgumentHelp(
            "here, or a directory with a / in its path.", valueName: "here|directory"))
    var target = "here"

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let open = try await application.open(try await application.configuration())
        let wish = try await recovery.wish(
            open, target: application.target(target), now: application.now)
        let plan = try await application.prepare(wish, open).plan
        application.output.present(ShownPlan(plan: plan, json: try JSONValue(plan)))
        return .done
    }
}

private struct ShownPlan: Presentable {
    var plan: RecoveryPlan
    var json: JSONValue

    func write(to page: inout Page) { page.lines(of: PlanText(plan).text) }
}
