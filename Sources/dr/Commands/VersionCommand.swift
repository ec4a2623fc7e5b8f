import ArgumentParser
import Model

/// `dr version`.
struct VersionCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Say which dr this is.")

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        application.output.present(ShownVersion())
        return .done
    }
}

private struct ShownVersion: Presentable {
    var json: JSONValue { ["version": .string(Version.current)] }

    func write(to page: inout Page) { page.line("dr \(Version.current)") }
}
