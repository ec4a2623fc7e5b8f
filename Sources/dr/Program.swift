import ArgumentParser
import CLinux
import Engine
import Glibc
import Model
import Restore

/// The process: prepares itself, runs one command, says how it went, ends with its exit code.
@main enum Program {
    static func main() async {
        setlocale(LC_CTYPE, "C.UTF-8")
        dr_keep_large_allocations_on_heap()
        dr_forbid_core_dumps()
        signal(SIGPIPE, SIG_IGN)
        umask(0o077)
        let environment = ProcessEnvironment.taken()
        let code = await run(Array(CommandLine.arguments.dropFirst()), in: environment)
        await SSHTunnels.shared.closeAll()
        exit(code.rawValue)
    }

    private static func run(
        _ arguments: [String], in environment: ProcessEnvironment
    ) async -> ExitCode {
        let command: any ApplicationCommand
        do {
            switch try CommandLineParser.parse(arguments) {
            case .command(let parsed): command = parsed
            case .text(let text):
                let output = Application(environment: environment, options: .init()).output
                output.document(text)
                return output.conclude(.done)
            }
        } catch {
            // The options could not be read; whether JSON is wanted can still be seen.
            let options = GlobalOptions.Values(isJSON: arguments.contains("--json"))
            return report(error, on: Application(environment: environment, options: options).output)
        }
        let interruption = Interruption()
        interruption.watch()
        let application = Application(environment: environment, options: command.global.values)
        let work = Task { try await command.run(in: application) }
        interruption.onSignal { code in
            application.output.note(StyledText("dr: \(code.meaning), ending in order"))
            work.cancel()
        }
        do {
            return application.output.conclude(try await work.value)
        } catch {
            guard let signal = interruption.received else {
                return report(error, on: application.output)
            }
            let failure = Failure(wrapping: error)
            let wasCancelled = !(error is Failures) && failure.code == .interrupted
            _ = report(
                wasCancelled ? Failure(signal, signal.meaning) : error, on: application.output)
            return signal
        }
    }

    /// Says what went wrong.
    ///
    /// - Returns: The exit code that stands for it.
    private static func report(_ error: any Error, on output: Output) -> ExitCode {
        let failures =
            switch error {
            case let several as Failures: several.all
            case let refusal as RecoveryRefused: [refusal.failure]
            default: [Failure(wrapping: error)]
            }
        for failure in failures { output.failure(failure) }
        return .combining(failures.map(\.code))
    }
}
