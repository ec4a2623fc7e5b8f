import Model
import Workloads

extension Application {
    /// The driver of a kind of workload.
    func driver(for kind: WorkloadKind) -> any WorkloadDriver {
        switch kind {
        case .files: FilesDriver()
        case .sqlite: SQLiteDriver()
        case .command: CommandDriver(programs: programs)
        case .docker: DockerDriver()
        case .postgres: postgresDriver
        case .proxmox: ProxmoxDriver(programs: programs)
        case .mariadb: mariadbDriver
        default: UnknownKindDriver(kind: kind)
        }
    }

    var postgresDriver: PostgresDriver { PostgresDriver() }

    var mariadbDriver: MariaDBDriver { MariaDBDriver() }

    /// What a container's capture leaves out because a dump of one of `services` holds it.
    func dumpedMounts(
        of services: [Service]
    ) -> @Sendable (DockerSpecification, WorkloadContext) async throws -> [String] {
        let dumped = DumpedMounts(postgres: postgresDriver, mariadb: mariadbDriver)
        return { docker, context in
            try await dumped.excluded(from: docker, services: services, context: context)
        }
    }
}
