public import Model

/// Finds what a container's capture leaves out because a dump holds it already.
public struct DumpedMounts: Sendable {
    private let postgres: PostgresDriver

    public init(postgres: PostgresDriver) { self.postgres = postgres }

    /// Volumes' names and destinations whose data `docker` must not copy raw.
    ///
    /// - Parameter services: All services: any of them may dump a server of that container.
    /// - Throws: `Failure` when a server cannot say where its data is.
    public func excluded(
        from docker: DockerSpecification, services: [Service], context: WorkloadContext
    ) async throws -> [String] {
        var excluded: [String] = []
        for workload in services.flatMap(\.workloads) {
            guard case .postgres(let server) = workload,
                case .container(let name, let host) = server.server
            else { continue }
            if case .container(let container) = docker.subject, container != name { continue }
            let engine = try await DockerEngine.connect(host: host ?? context.dockerHost)
            let mounts = try await engine.inspect(container: name).mounts
            let holders = try await postgres.dataDirectoryMounts(
                of: server, among: mounts.map(\.destination), context: context)
            for holder in holders {
                let mount = mounts.first { $0.destination == holder.destination }
                if let volume = mount?.name { excluded.append(volume) }
                if case .container = docker.subject { excluded.append(holder.destination) }
            }
        }
        return excluded
    }
}
