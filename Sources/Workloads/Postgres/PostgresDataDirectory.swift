import Engine
public import Model

/// Where a server keeps its files: what is dumped must not be copied raw as well.
public struct PostgresDataMount: Sendable, Hashable {
    /// Where the mount is in the container, as it was given.
    public var destination: String
    /// The server's directory within the mount; empty when the mount is the directory.
    public var subpath: String

    /// The mounts that hold a server's directories.
    ///
    /// - Parameters:
    ///   - directories: Absolute paths in the container.
    ///   - destinations: Absolute paths of all mounts in the container.
    public static func find(_ directories: [String], among destinations: [String])
        -> [PostgresDataMount]
    {
        func components(_ path: String) -> [Substring] { path.split(separator: "/") }
        var found: [PostgresDataMount] = []
        for directory in directories {
            let path = components(directory)
            // A mount within another hides it.
            let holder =
                destinations
                .filter { path.starts(with: components($0)) }
                .max { components($0).count < components($1).count }
            guard let holder else { continue }
            let mount = PostgresDataMount(
                destination: holder,
                subpath: path.dropFirst(components(holder).count).joined(separator: "/"))
            if !found.contains(mount) { found.append(mount) }
        }
        return found
    }
}

extension PostgresDriver {
    /// The mounts of the server's container that hold its data directory or a tablespace; they are
    /// not to be captured as volumes.
    ///
    /// - Parameter destinations: Where the container's mounts are in the container.
    public func dataDirectoryMounts(
        of specification: PostgresSpecification, among destinations: [String],
        context: WorkloadContext
    ) async throws -> [PostgresDataMount] {
        let client = try await place.client(specification, context: context)
        let directories = try await client.query(
            [String].self,
            """
            SELECT json_agg(d) FROM (SELECT current_setting('data_directory') AS d \
            UNION SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE oid >= 16384) all_
            """)
        return PostgresDataMount.find(directories, among: destinations)
    }
}
