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
        case .postgres:
            PostgresDriver { name, engine, context in
                ContainerPrograms(
                    engine: try await DockerEngine.connect(host: engine ?? context.dockerHost),
                    container: name)
            }
        }
    }
}
