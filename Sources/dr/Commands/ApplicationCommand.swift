import ArgumentParser
import Model

/// Both modules have one; here it is always the table of `Model`.
typealias ExitCode = Model.ExitCode

/// A command that does something: parses its arguments, calls what does the work, prints.
protocol ApplicationCommand: ParsableCommand {
    var global: GlobalOptions { get }

    /// Does the work.
    ///
    /// - Returns: How the process ends; a result with problems is not an error.
    /// - Throws: `Failure`, ``Failures``, or anything else for a fault of `dr` itself.
    func run(in application: Application) async throws -> ExitCode
}

/// A command that only has commands below it: without one of them it is a mistake.
protocol CommandGroup: ParsableCommand {}
