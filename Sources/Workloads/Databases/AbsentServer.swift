import Model

extension PreflightFinding {
    /// What it means that a database server does not answer before a restore: the same restore may
    /// make it.
    ///
    /// - Parameter server: As it is called at the target.
    static func absent(
        _ server: WorkloadSpecification, _ failure: Failure, _ service: Service,
        _ context: WorkloadContext
    ) -> [PreflightFinding] {
        if let container = server.serverContainer?.name {
            if context.planned.contains(where: { ScopedName.local($0) == "container/\(container)" })
            {
                return []
            }
            return [
                PreflightFinding(
                    .warning, failure.description,
                    hint: "start container \(container), or bring it back with this plan")
            ]
        }
        let isMadeBefore =
            !service.after.isEmpty || service.workloads.contains { $0.kind == .docker }
        return [
            PreflightFinding(
                isMadeBefore ? .warning : .blocker, failure.description,
                hint: failure.hint ?? "start the server, or restore to a directory")
        ]
    }
}
