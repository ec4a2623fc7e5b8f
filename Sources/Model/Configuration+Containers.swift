extension Configuration {
    /// Lets a PostgreSQL server in a container bring its container along: without its definition
    /// there would be nothing to load the dump into.
    ///
    /// A container that some service names itself stays where it is named.
    public mutating func addContainersOfServers() {
        var named: Set<String> = []
        for workload in services.flatMap(\.workloads) {
            if case .docker(let docker) = workload, case .container(let name) = docker.subject {
                named.insert(name)
            }
        }
        for index in services.indices {
            for workload in services[index].workloads {
                guard case .postgres(let postgres) = workload,
                    case .container(let name, let engine) = postgres.server,
                    named.insert(name).inserted
                else { continue }
                services[index].workloads.insert(
                    .docker(DockerSpecification(subject: .container(name), engine: engine)), at: 0)
            }
        }
    }
}
