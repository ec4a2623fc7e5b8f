public import Model

extension DockerDriver {
    /// Looks at what a capture would read, without reading it.
    ///
    /// - Returns: What it would say beside its data, and what it would leave out although it should
    ///   not.
    /// - Throws: ``Failure`` when it would fail: there is no such container, or its data cannot be
    ///   reached.
    public func look(
        at docker: DockerSpecification, context: WorkloadContext
    ) async throws -> (notes: [String], omissions: [String]) {
        let engine = try await DockerEngine.connect(host: docker.engine ?? context.dockerHost)
        var surveyor = try await DockerSurveyor(engine: engine, specification: docker)
        let survey = try await surveyor.run()
        return (survey.notes, survey.omissions)
    }
}
