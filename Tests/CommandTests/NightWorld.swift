import Repository
import TestSupport

/// A place of its own for nights through the real program: a repository whose password is quickly
/// tried, and a configuration that is yet to be written.
struct NightWorld {
    var scratch: TemporaryDirectory
    var dr: DrBinary

    static func with(_ body: (NightWorld) async throws -> Void) async throws {
        try await TemporaryDirectory.with("night") { scratch in
            var dr = try DrBinary(in: scratch)
            dr.environment["DR_CONFIG"] = "dr.yaml"
            dr.environment["DR_PASSWORD"] = "correct horse battery staple"
            _ = try await BackupRepository.create(
                in: DirectoryStore(root: scratch.path("repo")),
                credential: .password("correct horse battery staple"), label: "test",
                scryptCost: 2)
            try await body(NightWorld(scratch: scratch, dr: dr))
        }
    }
}

/// The same with containers.
struct DockerNight {
    var scratch: TemporaryDirectory
    var dr: DrBinary
    var stack: DockerStack

    static func with(_ body: (DockerNight) async throws -> Void) async throws {
        try await NightWorld.with { world in
            try await body(
                DockerNight(
                    scratch: world.scratch, dr: world.dr, stack: try DockerStack(in: world.scratch))
            )
        }
    }

    func state(_ name: String) async throws -> String {
        try await stack.docker("inspect", "--format", "{{.State.Status}}", stack.name(name))
    }

    /// A container that runs, with a volume that holds a file.
    func start(_ name: String, _ more: String...) async throws {
        try await stack.docker(
            ["run", "-d", "--name", stack.name(name), "--stop-signal", "SIGKILL"]
                + ["-v", "\(stack.name(name))-data:/data"] + more
                + [
                    TestEnvironment.busyboxImage ?? "", "sh", "-c",
                    "echo \(name) >/data/name; exec sleep 3600",
                ])
        _ = try await stack.eventually(in: stack.name(name), "cat", "/data/name")
    }

    func configure(_ services: String) throws {
        try scratch.write("dr.yaml", "repository: repo\nservices:\n\(services)\n")
    }
}
