import CLinux
import Engine
import Glibc
import Model
import Repository
import Workloads

extension Application {
    var timepiece: SystemTimepiece { SystemTimepiece() }

    /// The time of day.
    var now: Timestamp { timepiece.wall }

    /// Programs of this machine.
    var programs: LocalPrograms { LocalPrograms() }

    /// The name of this machine, as snapshots record it.
    var host: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
        let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return String(decoding: bytes, as: UTF8.self)
    }

    var secrets: SystemSecretReader {
        SystemSecretReader(environment: environment, programs: programs) { [output] in
            output.warning($0, hint: $1)
        }
    }

    var password: RepositoryPassword {
        RepositoryPassword(environment: environment, secrets: secrets) { question in
            try await Terminal().ask(question, isSecret: true)
        }
    }

    /// What opens the repository at `place`.
    func credential(for place: String) async throws -> Credential {
        try await password.credential(for: place)
    }

    /// The password of something else: a new one, or that of a repository that is copied.
    ///
    /// - Parameter file: A file that the command line names, seen from the working directory.
    func otherPassword(prefix: String, file: String?) -> RepositoryPassword {
        var other = password
        other.prefix = prefix
        other.file = file.map { absolutePath($0, from: environment.workingDirectory) }
        return other
    }

    /// What drivers need of the world around them.
    func context(_ configuration: Configuration) -> WorkloadContext {
        WorkloadContext(dockerHost: configuration.dockerHost, secrets: secrets)
    }

    /// The services that are named, in the order of the configuration; all when none is.
    ///
    /// - Throws: `Failure` with code `usage` for a name that is none.
    func services(named names: [String], in configuration: Configuration) throws -> [Service] {
        let known = configuration.services.map(\.name.text)
        if known.isEmpty {
            throw Failure(
                .usage, "the configuration names no services",
                hint: "add them to \(configurationFile.shownPath) under services:")
        }
        try refuseUnknown(names, among: known)
        guard !names.isEmpty else { return configuration.services }
        return configuration.services.filter { names.contains($0.name.text) }
    }

    /// - Throws: `Failure` with code `usage` for the first of `names` that is not among `known`.
    func refuseUnknown(_ names: [String], among known: [String]) throws {
        for name in names where !known.contains(name) {
            let near = nearestName(to: name, among: known)
            throw Failure(
                .usage, "there is no service \"\(printable(name.utf8))\"",
                hint: near.map { "did you mean \"\($0)\"?" }
                    ?? "there are: \(known.joined(separator: ", "))")
        }
    }

    /// Asks a question that is answered with yes or no; `--yes` answers it.
    ///
    /// - Throws: `Failure` with code `usage` when there is nobody to ask.
    func confirm(_ question: String) async throws -> Bool {
        if options.isYes { return true }
        guard let answer = try await Terminal().ask("\(question) [y/N] ", isSecret: false) else {
            throw Failure(
                .usage, "nobody is there to answer: \(question)",
                hint: "run it on a terminal, or with --yes")
        }
        return ["y", "yes"].contains(answer.lowercased().filter { $0 != " " })
    }
}
