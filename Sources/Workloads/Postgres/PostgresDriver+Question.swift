public import Model

extension PostgresDriver {
    /// The first value that a query of a service's server gives; empty for none.
    ///
    /// - Parameters:
    ///   - database: Nil for the first that the service names, else the maintenance one.
    ///   - target: Where the server is, under other names; nil for this machine.
    public func value(
        of query: String, in database: String?, service: Service,
        at target: TargetPlace? = nil, context: WorkloadContext
    ) async throws -> String {
        for case .postgres(let configured) in service.workloads {
            let postgres =
                try target.map { try configured.placed(at: $0, of: service) } ?? configured
            let client = try await place.client(postgres, context: context)
            let rows = try await client.text(
                query, in: database ?? postgres.databases.first ?? client.maintenance)
            let first = rows.split(separator: "\n", omittingEmptySubsequences: false).first ?? ""
            return String(first.prefix { $0 != "|" })
        }
        throw Failure(
            .usage, "service \(service.name) has no PostgreSQL server to ask",
            hint: "put the check at the service that has postgres:")
    }
}
