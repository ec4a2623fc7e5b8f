public import Workloads

/// A corner of the test Engine whose names nobody else has, emptied at the end.
public struct DockerFixture: Sendable {
    public let engine: DockerEngine
    /// Begins every name made here.
    public let prefix: String
    public let directory: TemporaryDirectory

    /// Runs `body` with a corner of its own, and removes what is left in it in every case.
    public static func with<Value>(
        _ body: (DockerFixture) async throws -> Value
    ) async throws -> Value {
        let engine = try await TestEnvironment.dockerEngine()
        return try await TemporaryDirectory.with("docker") { directory in
            let prefix = "dr-test-\(UInt32.random(in: 0 ... .max))"
            let fixture = DockerFixture(engine: engine, prefix: prefix, directory: directory)
            directory.atEnd { await fixture.empty() }
            return try await body(fixture)
        }
    }

    /// The name of a thing of this fixture.
    public func name(_ suffix: String) -> String { "\(prefix)-\(suffix)" }

    /// Removes its containers (with anonymous volumes), volumes and networks.
    public func empty() async {
        for container in (try? await engine.containers()) ?? []
        where container.name.hasPrefix(prefix) {
            try? await engine.remove(container: container.id, force: true, volumes: true)
        }
        let docker = ["docker", "-H", engine.address.description]
        for (kind, remove) in [("volume", ["volume", "rm"]), ("network", ["network", "rm"])] {
            let list = try? await OutsideProgram.run(
                docker + [kind, "ls", "-q", "--filter", "name=\(prefix)"])
            let names = (list?.text ?? "").split(separator: "\n").map(String.init)
            if !names.isEmpty { _ = try? await OutsideProgram.run(docker + remove + names) }
        }
        let images = try? await OutsideProgram.run(
            docker + ["image", "ls", "-q", "--filter", "reference=\(prefix)*"])
        let ids = Set((images?.text ?? "").split(separator: "\n").map(String.init))
        if !ids.isEmpty {
            _ = try? await OutsideProgram.run(docker + ["rmi", "-f"] + ids.sorted())
        }
    }

    /// The Docker client, as a person would use it.
    @discardableResult
    public func docker(_ words: String...) async throws -> String {
        let outcome = try await OutsideProgram.run(
            ["docker", "-H", engine.address.description] + words)
        guard outcome.status == 0 else { throw DockerProblem(description: outcome.errorText) }
        return outcome.text.split(separator: "\n").last.map(String.init) ?? ""
    }

    struct DockerProblem: Error, CustomStringConvertible { var description: String }
}
