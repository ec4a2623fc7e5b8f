extension Configuration {
    /// The Engine that a container is to be looked for on.
    ///
    /// - Parameters:
    ///   - name: As the container is called there.
    ///   - place: Where it runs under other names; nil where it was captured.
    public func engine(ofContainer name: String, at place: TargetPlace? = nil) -> String? {
        if let engine = place?.engine { return engine }
        if place?.isolation != nil { return dockerHost }
        func isIt(_ original: String) -> Bool {
            (place?.name(of: original) ?? original) == name
        }
        for workload in services.flatMap(\.workloads) {
            if case .docker(let docker) = workload, case .container(let container) = docker.subject
            {
                if isIt(container), let engine = docker.engine { return engine }
            } else if case (let container, let engine?)? = workload.serverContainer, isIt(container)
            {
                return engine
            }
        }
        return dockerHost
    }

    /// Lets a database server in a container bring its container along: without its definition
    /// there would be nothing to load the dump into.
    ///
    /// A container that some service names itself stays where it is named.
    public mutating func addContainersOfServers() {
        var named: Set<DockerSpecification> = []
        func only(_ name: String, _ engine: String?) -> DockerSpecification {
            DockerSpecification(subject: .container(name), engine: engine)
        }
        for workload in services.flatMap(\.workloads) {
            if case .docker(let docker) = workload, case .container(let name) = docker.subject {
                named.insert(only(name, docker.engine))
            }
        }
        for index in services.indices {
            for workload in services[index].workloads {
                guard let (name, engine) = workload.serverContainer,
                    named.insert(only(name, engine)).inserted
                else { continue }
                services[index].workloads.insert(.docker(only(name, engine)), at: 0)
            }
        }
    }
}
