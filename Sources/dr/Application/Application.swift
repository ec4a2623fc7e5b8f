import CLinux
import Engine
import Glibc
import Model
import Workloads

/// The one place that wires things together: what a command needs, it gets from here.
struct Application: Sendable {
    let environment: ProcessEnvironment
    let options: GlobalOptions.Values
    let output: Output
    /// When this process began to work, by the time of day.
    let started = SystemTimepiece().wall

    init(environment: ProcessEnvironment, options: GlobalOptions.Values) {
        self.environment = environment
        self.options = options
        let isColourAllowed =
            (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
        output = Output(
            Output.Manner(
                format: options.isJSON ? .json : .human, isQuiet: options.isQuiet,
                verbosity: options.verbosity,
                outputIsColoured: isColourAllowed && environment.outputColumns != nil,
                errorIsColoured: isColourAllowed && environment.errorColumns != nil,
                outputColumns: environment.outputColumns,
                errorColumns: environment["TERM"] == "dumb" ? nil : environment.errorColumns))
    }

    /// The configuration file that the options and the environment name.
    var configurationFile: ConfigurationFile {
        .located(option: options.configuration, environment: environment)
    }

    /// The configuration. Where only a repository is named and there is no default file, that is
    /// the whole configuration.
    ///
    /// - Throws: ``Failures`` or `Failure`, code `usage`.
    func configuration() async throws -> Configuration {
        let file = configurationFile
        let repository = try repositoryOverride()
        let bytes = try await BlockingPool.shared.run { try file.read() }
        guard let bytes else {
            if let repository { return Configuration(repository: repository) }
            throw Failure(
                .usage, "there is no configuration at \(file.shownPath)",
                hint: "write one (dr config reference explains every key), or name another with "
                    + "--config or DR_CONFIG")
        }
        let directory = file.directory(workingDirectory: environment.workingDirectory)
        var configuration = try ConfigurationReader(
            file: file.shownPath, directory: directory, repository: repository
        ).read(bytes)
        configuration.addContainersOfServers()
        return configuration
    }

    /// The repository that `--repository` or `DR_REPOSITORY` names.
    private func repositoryOverride() throws -> String? {
        let option = options.repository.map { ("--repository", $0) }
        let variable = environment["DR_REPOSITORY"].map { ("DR_REPOSITORY", $0) }
        guard let (name, path) = option ?? variable, option != nil || !path.isEmpty else {
            return nil
        }
        if let problem = TextRule.repository.problem(with: path) {
            throw Failure(.usage, "\(name) \(problem.message)", hint: problem.hint)
        }
        return absolutePlace(path, from: environment.workingDirectory)
    }
}
