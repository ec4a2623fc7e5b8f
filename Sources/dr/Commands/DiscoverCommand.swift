import ArgumentParser
import Catalog
import Engine
import Glibc
import Model
import Snapshot
import Workloads

/// `dr discover`.
struct DiscoverCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "discover",
        abstract: "Look at this machine and write a configuration for it.",
        discussion: """
            It looks at the Docker Engine, at what runs in its containers, at volumes, at database \
            servers, at the guests of a Proxmox VE node and at the machine itself, changes nothing, and writes a whole configuration \
            with comments to standard output, ready to run: dr discover >dr.yaml. What it leaves \
            out stands at the end with the reason.

            Where there is a configuration already it says what that does not cover; --diff writes \
            only those services.
            """)

    @Flag(name: .customLong("diff"), help: "Only services that the configuration lacks.")
    var isDifference = false

    @Option(
        name: .customLong("only"), parsing: .singleValue,
        help: ArgumentHelp(
            "Only containers, projects, volumes and services of this name, or like this pattern; "
                + "can be repeated.", valueName: "name"))
    var patterns: [String] = []

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let existing = try await existingConfiguration(application)
        var discovery = try await application.discover(existing, only: patterns)
        let coverage = existing.map(Coverage.init)
        let missing = discovery.services.filter { coverage?.covers($0) != true }
        for problem in discovery.problems {
            application.output.warning("not looked at: \(problem)")
        }
        if let existing, !isDifference { say(missing, existing, application) }
        if isDifference {
            discovery.services = renamed(missing, besides: existing)
        }
        try await present(discovery, missing, application)
        return .done
    }

    private func present(
        _ discovery: Discovery, _ missing: [ProposedService], _ application: Application
    ) async throws {
        if application.options.isJSON {
            application.output.present(DiscoveryResult(discovery: discovery, missing: missing))
            return
        }
        var place = try await BlockingPool.shared.run { RepositoryPlace.found() }
        let named = application.options.repository ?? application.environment["DR_REPOSITORY"]
        if let named, !named.isEmpty {
            place = RepositoryPlace(
                path: absolutePlace(named, from: application.environment.workingDirectory),
                remarks: [])
        }
        let moment = application.now.shortDescription
        var title = ["What dr discover found on \(application.host), \(moment)."]
        title +=
            isDifference
            ? ["Services that \(application.configurationFile.shownPath) lacks: add them there."]
            : [
                "It runs as it is: dr init, then dr backup. dr config reference explains every key."
            ]
        let text = ProposalText(
            discovery: discovery, title: title, repository: place.path,
            repositoryRemarks: place.remarks, onlyServices: isDifference)
        application.output.document(text.yaml)
    }

    private func say(
        _ missing: [ProposedService], _ existing: Configuration, _ application: Application
    ) {
        let file = application.configurationFile.shownPath
        guard !missing.isEmpty else {
            return application.output.note(
                StyledText("dr: \(file) covers everything that was found"))
        }
        let names = missing.map(\.name).joined(separator: ", ")
        application.output.warning(
            "\(file) does not cover: \(names)", hint: "dr discover --diff writes what to add")
    }

    /// Services keep clear of names that the configuration has for something else.
    private func renamed(
        _ services: [ProposedService], besides existing: Configuration?
    ) -> [ProposedService] {
        let taken = Set(existing?.services.map(\.name.text) ?? [])
        var names: [String: String] = [:]
        for service in services where taken.contains(service.name) {
            names[service.name] = "\(service.name)-new"
        }
        let present = Set(services.map(\.name))
        return services.map { service in
            var service = service
            service.name = names[service.name] ?? service.name
            // What is saved already has a name of its own there.
            service.after = service.after.filter {
                present.contains($0.service) || taken.contains($0.service)
            }.map { need in
                var need = need
                if present.contains(need.service) {
                    need.service = names[need.service] ?? need.service
                }
                return need
            }
            return service
        }
    }

    /// The configuration that there is; nil for none, and for one that is empty.
    private func existingConfiguration(_ application: Application) async throws -> Configuration? {
        let file = application.configurationFile
        let path = absolutePath(file.path, from: application.environment.workingDirectory)
        let size = try? await BlockingPool.shared.run { try FileSystem().size(of: path) }
        guard let size, size > 0 else { return nil }
        return try await application.configuration()
    }
}

extension Application {
    /// Looks at this machine.
    ///
    /// - Parameter patterns: Names of what to look for; all without any.
    func discover(
        _ existing: Configuration?, only patterns: [String] = []
    ) async throws -> Discovery {
        let environment = environment
        let wanted = patterns.map { GlobPattern($0) }
        let state = try StateDirectory.root(
            environment: environment.variables, userID: geteuid())
        let surroundings = MachineDiscovery.Surroundings(
            dockerHost: existing?.dockerHost, restored: "\(state)/restored",
            isWanted: { name in
                let path = name.hasPrefix("/") ? name : "/\(name)"
                return wanted.isEmpty || wanted.contains { $0.matches(Array(path.utf8)) }
            },
            composeDependencies: { ComposeFile.dependencies(in: $0) },
            hasProgram: { environment.hasProgram($0) })
        return try await MachineDiscovery(
            surroundings, postgres: postgresDriver, mariadb: mariadbDriver, programs: programs,
            context: context(existing ?? Configuration(repository: ""))
        ).run()
    }
}

/// What was found, for programs.
private struct DiscoveryResult: Presentable {
    var discovery: Discovery
    var missing: [ProposedService]

    var json: JSONValue {
        let lacking = Set(missing.map(\.name))
        return [
            "services": .array(
                discovery.services.map { service in
                    [
                        "name": .string(service.name), "remarks": .strings(service.remarks),
                        "subjects": .strings(service.subjects.sorted()),
                        "after": .array(
                            service.after.map {
                                ["service": .string($0.service), "reason": .string($0.reason)]
                            }),
                        "covered": .bool(!lacking.contains(service.name)),
                    ]
                }),
            "left_out": .strings(discovery.leftOut), "problems": .strings(discovery.problems),
        ]
    }

    /// People get the configuration itself.
    func write(to page: inout Page) {}
}
