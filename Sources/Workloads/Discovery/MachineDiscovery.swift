public import Engine
import Model

/// Looks at a machine as it is and proposes what to save: containers, Compose projects, volumes,
/// database servers, guests of Proxmox VE, and the machine's own configuration. Changes nothing.
public struct MachineDiscovery: Sendable {
    /// What it needs of the world around it.
    public struct Surroundings: Sendable {
        /// The Engine; nil for the one that a person at this machine would talk to.
        public var dockerHost: String?
        /// Whether something of a name is wanted: a container, project, volume or service.
        public var isWanted: @Sendable (String) -> Bool
        /// The dependencies that a Compose file tells, by service; empty when it cannot be read.
        public var composeDependencies: @Sendable (_ path: String) -> [String: [String]]
        /// Whether a program can be run here.
        public var hasProgram: @Sendable (String) -> Bool
        /// Where the machine's own files are brought back to; absolute.
        public var restored: String

        public init(
            dockerHost: String?, restored: String,
            isWanted: @escaping @Sendable (String) -> Bool = { _ in true },
            composeDependencies: @escaping @Sendable (String) -> [String: [String]] = { _ in [:] },
            hasProgram: @escaping @Sendable (String) -> Bool = { _ in false }
        ) {
            self.dockerHost = dockerHost
            self.restored = restored
            self.isWanted = isWanted
            self.composeDependencies = composeDependencies
            self.hasProgram = hasProgram
        }
    }

    private let surroundings: Surroundings
    private let postgres: PostgresDriver
    private let mariadb: MariaDBDriver
    private let programs: any ProgramRunner
    private let context: WorkloadContext

    public init(
        _ surroundings: Surroundings, postgres: PostgresDriver, mariadb: MariaDBDriver,
        programs: any ProgramRunner, context: WorkloadContext
    ) {
        self.surroundings = surroundings
        self.postgres = postgres
        self.mariadb = mariadb
        self.programs = programs
        self.context = context
    }

    /// - Throws: `CancellationError`. What cannot be looked at is part of the result.
    public func run() async throws -> Discovery {
        var discovery = Discovery()
        var names = ServiceNames()
        var projects: [String] = []
        var mounted: [String] = []
        do {
            let engine = try await DockerEngine.connect(host: surroundings.dockerHost)
            if engine.address != .standard { discovery.engine = "\(engine.address)" }
            try await DockerDiscovery(
                engine: engine, postgres: postgres, mariadb: mariadb, context: context,
                isWanted: surroundings.isWanted,
                composeDependencies: surroundings.composeDependencies
            ).run(&discovery, names: &names)
            if !engine.isRemote {
                for summary in try await engine.containers() {
                    let labels = summary.labels
                    if let place = labels["com.docker.compose.project.working_dir"],
                        surroundings.isWanted(labels["com.docker.compose.project"] ?? "")
                    {
                        projects.append(place)
                    }
                    let found = try await engine.find(container: summary.id)
                    mounted += found?.mounts.filter { $0.type == "bind" }.map(\.source) ?? []
                }
            }
        } catch {
            if error is CancellationError { throw error }
            discovery.problems.append(Failure(wrapping: error).description)
        }
        let host = HostDiscovery(
            postgres: postgres, mariadb: mariadb, context: context, isWanted: surroundings.isWanted,
            restored: surroundings.restored)
        try await host.run(&discovery, names: &names)
        if surroundings.hasProgram("pvesh") {
            try await GuestDiscovery(
                programs: programs, isWanted: surroundings.isWanted,
                restored: surroundings.restored
            ).run(&discovery, names: &names)
        }
        try await host.proposeHost(
            projects: projects, mounted: mounted, hasProgram: surroundings.hasProgram,
            &discovery, names: &names)
        return discovery
    }
}
