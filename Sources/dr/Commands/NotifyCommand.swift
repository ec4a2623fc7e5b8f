import ArgumentParser
import Catalog
import Engine
import Model

/// `dr notify`.
struct NotifyCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "notify",
        abstract: "Tell receivers what is overdue.",
        discussion: """
            For a timer of its own, or on another machine that only has the repository: it looks at \
            the age of the newest good snapshots against the objectives, tells whoever the \
            configuration's notify: names when something has become overdue or is no longer, and \
            ends with 1 while something is. Each is told once. dr backup tells everything else.
            """)

    @Flag(name: .customLong("test"), help: "Send a test to every receiver and say who got it.")
    var isTest = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let configuration = try await application.configuration()
        let watch = NightWatch(application, configuration, tellsOfStart: false)
        if isTest { return try await test(watch, configuration, application) }
        let open = try await application.open(configuration, refreshing: false)
        let overdue = try await watch.lookAtAge(open.catalog)
        application.output.present(OverdueResult(overdue: overdue))
        return overdue.isEmpty ? .done : .failed
    }

    private func test(
        _ watch: NightWatch, _ configuration: Configuration, _ application: Application
    ) async throws -> ExitCode {
        guard !configuration.notify.isEmpty else {
            throw Failure(
                .usage, "\(application.configurationFile.shownPath) names nobody to tell",
                hint: "add notify: (dr config reference explains it)")
        }
        let problems = await watch.test()
        for problem in problems {
            application.output.failure(
                Failure(.failed, "\(problem.receiver) was not told: \(problem.reason)"))
        }
        let count = configuration.notify.count
        application.output.note(
            StyledText("told \(count - problems.count) of \(count) receivers"))
        return problems.isEmpty ? .done : .failed
    }
}

/// What is overdue now.
private struct OverdueResult: Presentable {
    var overdue: [Freshness]

    var json: JSONValue {
        [
            "overdue": .array(
                overdue.map { item in
                    .members([
                        "service": .string(item.service.text),
                        "last_good": item.lastGood.map { .string("\($0)") },
                        "age_seconds": item.age.map { .number($0.seconds) },
                        "objective_seconds": item.objective.map { .number($0.seconds) },
                    ])
                })
        ]
    }

    func write(to page: inout Page) {
        for item in overdue { page.line(StyledText("overdue: \(item.text)", .bad)) }
        if overdue.isEmpty { page.line("nothing is overdue") }
    }
}
