import Engine
public import Model

/// Finds what a container's capture leaves out because a dump holds it already.
public struct DumpedMounts: Sendable {
    private let postgres: PostgresDriver
    private let mariadb: MariaDBDriver

    public init(postgres: PostgresDriver, mariadb: MariaDBDriver) {
        self.postgres = postgres
        self.mariadb = mariadb
    }

    /// Volumes' names and destinations whose data `docker` must not copy raw.
    ///
    /// - Parameter services: All services: any of them may dump a server of that container.
    /// - Throws: `Failure` when a server cannot say where its data is.
    public func excluded(
        from docker: DockerSpecification, services: [Service], context: WorkloadContext
    ) async throws -> [String] {
        var excluded: [String] = []
        for workload in services.flatMap(\.workloads) {
            guard let (name, host) = workload.serverContainer else { continue }
            if case .container(let container) = docker.subject, container != name { continue }
            // A container of the same name on another machine is another one.
            guard (docker.engine ?? context.dockerHost) == (host ?? context.dockerHost) else {
                continue
            }
            let engine = try await DockerEngine.connect(host: host ?? context.dockerHost)
            let mounts = try await engine.inspect(container: name).mounts
            let destinations = mounts.map(\.destination)
            let holders: [PostgresDataMount]
            switch workload {
            case .postgres(let server):
                holders = try await postgres.dataDirectoryMounts(
                    of: server, among: destinations, context: context)
            case .mariadb(let server):
                holders = try await mariadb.dataDirectoryMounts(
                    of: server, among: destinations, context: context)
            default: holders = []
            }
            for holder in holders {
                let mount = mounts.first { $0.destination == holder.destination }
                // What lies beside the server's directory is in no dump.
                if !engine.isRemote, let source = mount?.source, holdsMore(source, than: holder) {
                    continue
                }
                if let volume = mount?.name { excluded.append(volume) }
                if case .container = docker.subject { excluded.append(holder.destination) }
            }
        }
        return excluded
    }

    /// Whether a mount's directory on this machine holds anything but a server's own.
    private func holdsMore(_ source: String, than holder: PostgresDataMount) -> Bool {
        var directory = source
        for component in holder.subpath.split(separator: "/") {
            let names = (try? FileSystem().names(in: directory)) ?? []
            if names.contains(where: { $0 != component && $0 != "lost+found" }) { return true }
            directory += "/\(component)"
        }
        return false
    }
}
