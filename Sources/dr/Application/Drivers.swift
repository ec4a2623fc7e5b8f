import Model
import Workloads

extension Application {
    /// The driver of each kind of workload that `services` have.
    ///
    /// - Throws: `Failure` with code `usage` for a kind without one.
    func drivers(
        for services: [Service]
    ) throws -> @Sendable (WorkloadKind) -> any WorkloadDriver {
        let programs = programs
        let known: [WorkloadKind: any WorkloadDriver] = [
            .files: FilesDriver(), .sqlite: SQLiteDriver(),
            .command: CommandDriver(programs: programs),
        ]
        for service in services {
            for workload in service.workloads where known[workload.kind] == nil {
                throw Failure(
                    .usage,
                    "services.\(service.name).\(workload.kind.rawValue) is not supported by this"
                        + " version",
                    hint: "name the other services on the command line")
            }
        }
        // Every kind that can be asked for was checked above.
        return { known[$0] ?? FilesDriver() }
    }
}
