import ArgumentParser
import Model

/// `dr completion SHELL`.
struct CompletionCommand: ApplicationCommand {
    enum Shell: String, ExpressibleByArgument, CaseIterable { case bash, zsh, fish }

    static let configuration = CommandConfiguration(
        commandName: "completion", abstract: "Write a script that completes dr's commands.",
        discussion: "For example: dr completion bash > /etc/bash_completion.d/dr")

    @Argument(help: "bash, zsh or fish.")
    var shell: Shell

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let shell: CompletionShell =
            switch shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        application.output.document(Dr.completionScript(for: shell))
        return .done
    }
}
