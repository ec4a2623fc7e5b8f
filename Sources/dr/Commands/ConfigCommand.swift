import ArgumentParser
import Model

/// `dr config …`: looks at the configuration and nothing else.
struct ConfigCommand: CommandGroup {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check, show and explain the configuration.",
        subcommands: [
            ConfigCheckCommand.self, ConfigShowCommand.self, ConfigSchemaCommand.self,
            ConfigReferenceCommand.self,
        ])

    @OptionGroup(title: "Global options") var global: GlobalOptions
}

/// `dr config check`.
struct ConfigCheckCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Find every mistake in the configuration.")

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let configuration = try await application.configuration()
        application.output.present(
            CheckedConfiguration(
                file: application.configurationFile.shownPath, configuration: configuration))
        return .done
    }
}

/// What `dr config check` says of a configuration without mistakes.
private struct CheckedConfiguration: Presentable {
    var file: String
    var configuration: Configuration

    var json: JSONValue {
        [
            "file": .string(file), "repository": .string(configuration.repository),
            "services": .strings(configuration.services.map(\.name.text)),
        ]
    }

    func write(to page: inout Page) {
        let count = configuration.services.count
        page.line(
            StyledText(
                "\(file) has no mistakes: \(count) \(count == 1 ? "service" : "services"), "
                    + "repository \(configuration.repository)"))
    }
}

/// `dr config show`.
struct ConfigShowCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show what the configuration means, with all defaults filled in.")

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        application.output.present(
            ShownConfiguration(
                document: ConfigurationDocument(
                    configuration: try await application.configuration())))
        return .done
    }
}

private struct ShownConfiguration: Presentable {
    var document: ConfigurationDocument

    var json: JSONValue { document.json }

    func write(to page: inout Page) {
        for line in document.yaml.split(separator: "\n") { page.line(StyledText(String(line))) }
    }
}

/// `dr config schema`.
struct ConfigSchemaCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Write a JSON Schema with which an editor checks the configuration.")

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        application.output.document(ConfigurationSchema.document.indented)
        return .done
    }
}

/// `dr config reference`.
struct ConfigReferenceCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "reference", abstract: "Explain every key of the configuration.")

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        application.output.document(ConfigurationReference.page)
        return .done
    }
}
