import ArgumentParser
import Model

/// Makes a command of the words that `dr` was called with.
enum CommandLineParser {
    enum Parsed {
        case command(any ApplicationCommand)
        /// Text that was asked for: help, the version.
        case text(String)
    }

    /// - Parameter arguments: Without the program's own name.
    /// - Throws: `Failure` with code `usage`.
    static func parse(_ arguments: [String]) throws -> Parsed {
        if arguments.suffix(2) == ["help", "exit-codes"] { return .text(exitCodes) }
        try checkNames(arguments)
        do {
            let command = try Dr.parseAsRoot(arguments)
            if let command = command as? any ApplicationCommand { return .command(command) }
            let name = type(of: command).configuration.commandName ?? "dr"
            let whole = name == "dr" ? name : "dr \(name)"
            // Help itself is a command of the parser; a group without its subcommand is a mistake.
            if let text = helpText(command) { return .text(text) }
            throw Failure(
                .usage, "\(whole) needs a command", hint: "\(whole) --help lists them")
        } catch let failure as Failure {
            throw failure
        } catch {
            if let text = askedText(error) { return .text(text) }
            throw failure(of: error)
        }
    }

    /// How a command can end, as a table.
    static var exitCodes: String {
        let width = ExitCode.allCases.map { String($0.rawValue).count }.max() ?? 0
        return ExitCode.allCases.map { code in
            let number = String(code.rawValue)
            return String(repeating: " ", count: width - number.count)
                + "\(number)  \(code.meaning)"
        }.joined(separator: "\n")
    }

    /// What the parser's own help command would print; nil for any other command.
    private static func helpText(_ command: any ParsableCommand) -> String? {
        if command is any CommandGroup { return nil }
        var command = command
        do {
            try command.run()
            return nil
        } catch {
            return askedText(error)
        }
    }

    /// Help or the version, which the parser gives as an error; nil for a real one.
    private static func askedText(_ error: any Error) -> String? {
        guard Dr.exitCode(for: error) == .success else { return nil }
        // The parser repeats them in every line of usage, which hides what a command is about.
        let options =
            "[--config <file>] [--repository <place>] [--json] [--quiet] [--verbose ...] [--yes]"
        return Dr.fullMessage(for: error).replacing(options, with: "[global options]")
    }

    /// Refuses a name that is no command, and suggests the one that was meant.
    ///
    /// The parser itself would only say that there is an unexpected argument.
    private static func checkNames(_ arguments: [String]) throws {
        var command: any ParsableCommand.Type = Dr.self
        var path = "dr"
        var takesValue = false
        for argument in arguments {
            if argument == "--" { return }
            if takesValue || argument.hasPrefix("-") {
                takesValue = !takesValue && ["--config", "--repository"].contains(argument)
                continue
            }
            let commands = command.configuration.subcommands
            guard !commands.isEmpty, !(path == "dr" && argument == "help") else { return }
            let names = commands.compactMap { $0.configuration.commandName }
            guard let next = commands.first(where: { $0.configuration.commandName == argument })
            else {
                // What is no name is an argument of the command that is meant without one.
                if command.configuration.defaultSubcommand != nil { return }
                let near = nearestName(to: argument, among: names)
                let name = printable(argument.utf8)
                throw Failure(
                    .usage, "\(path) has no command \"\(name)\"",
                    hint: near.map { "did you mean \(path) \($0)?" }
                        ?? "\(path) --help lists them all")
            }
            command = next
            path += " \(argument)"
        }
    }

    /// The parser's words in the form of all other errors.
    private static func failure(of error: any Error) -> Failure {
        var message = Dr.message(for: error)
        var hint = "see dr --help"
        if let usage = Dr.fullMessage(for: error).firstRange(of: "Usage: dr ") {
            let rest = Dr.fullMessage(for: error)[usage.upperBound...]
            let words = rest.split(separator: "\n").first?.split(separator: " ") ?? []
            let names = words.prefix { $0.utf8.allSatisfy { (97...122).contains($0) } }
            hint = "see " + (["dr"] + names + ["--help"]).joined(separator: " ")
        }
        if let suggestion = message.firstRange(of: ". Did you mean ") {
            let name = message[suggestion.upperBound...].filter { !"'?".contains($0) }
            let typed = message.split(separator: "'").dropFirst().first ?? ""
            if nearestName(to: String(typed), among: [name]) != nil {
                hint = "did you mean \(name)?"
            }
            message = String(message[..<suggestion.lowerBound])
        }
        message = message.replacing("\n", with: " ").replacing(". Please", with: ", please")
        while message.hasSuffix(".") || message.hasSuffix(" ") { message.removeLast() }
        let first = message.prefix(1).lowercased()
        return Failure(.usage, first + message.dropFirst(), hint: hint)
    }
}
