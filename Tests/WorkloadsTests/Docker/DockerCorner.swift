import CLinux
import Engine
import Glibc
import Model
import TestSupport

@testable import Workloads

extension TestEnvironment {
    static var busybox: String { busyboxImage ?? "" }
}

extension TreeFingerprint.Aspects {
    /// The tests' sink copies with `cp`, which makes its own holes.
    static let comparable: Self = [.owners, .times, .attributes, .hardLinks, .modes, .top]
}

/// A corner of the test Engine whose names nobody else has, spoken to both as a person and as `dr`.
struct DockerCorner: Sendable {
    let engine: DockerEngine
    let fixture: DockerStack
    let directory: TemporaryDirectory
    var prefix: String { fixture.prefix }

    /// Runs `body` with a corner of its own, and removes what is left in it in every case.
    static func with<Value>(_ body: (DockerCorner) async throws -> Value) async throws -> Value {
        let engine = try await TestEnvironment.dockerEngine()
        return try await TemporaryDirectory.with("docker") { directory in
            let corner = DockerCorner(
                engine: engine, fixture: try DockerStack(in: directory), directory: directory)
            directory.atEnd { await corner.empty() }
            return try await body(corner)
        }
    }

    func name(_ suffix: String) -> String { fixture.name(suffix) }

    @discardableResult
    func docker(_ words: String...) async throws -> String { try await fixture.docker(words) }

    /// Removes everything of this corner, images included.
    func empty() async {
        await fixture.removeEverything()
        let list = ["image", "ls", "-q", "--filter", "reference=\(prefix)*"]
        let ids = Set(((try? await fixture.docker(list)) ?? "").split(separator: "\n"))
        if !ids.isEmpty {
            _ = try? await fixture.docker(["rmi", "-f"] + ids.map(String.init).sorted())
        }
    }
}

extension DockerCorner {
    /// A volume with everything in it that a tree can hold.
    func fillVolume(_ suffix: String) async throws -> VolumeInspection {
        let created = try await engine.createVolume(
            body: .object([
                "Name": .string(name(suffix)), "Labels": .object(["kind": .string("test")]),
            ]))
        rmdir(created.mountPoint)
        var maker = TreeMaker()
        try maker.make(at: created.mountPoint, entries: 60)
        return created
    }

    /// Writes `note` into a volume.
    func write(_ text: String, to volume: String) async throws {
        let place = try await engine.find(volume: volume)?.mountPoint ?? ""
        try FileSystem().writeDurably(Array(text.utf8), to: "\(place)/note", mode: 0o644)
    }

    func docker(
        label: String, service: String, project: String, network: String, _ more: [String]
    ) async throws {
        try await fixture.docker(
            ["create", "-l", label, "-l", "com.docker.compose.service=\(service)"]
                + ["--name", "\(project)-\(service)-1", "--network", network]
                + ["--network-alias", service, "--stop-signal", "SIGKILL"] + more
                + [TestEnvironment.busybox, "sleep", "3600"])
    }

    static let context = WorkloadContext(secrets: TestSupport.MemorySecrets())

    func service(
        _ subject: DockerSpecification.Subject, mode: CaptureMode = .live,
        image: DockerSpecification.ImagePolicy = .whenLocal, excluding: [String] = []
    ) -> Service {
        let docker = DockerSpecification(
            subject: subject, engine: engine.address.description, image: image,
            excludedMounts: excluding)
        var service = Service(name: "test", workloads: [.docker(docker)])
        service.consistency = mode
        return service
    }

    func capture(
        _ subject: DockerSpecification.Subject, mode: CaptureMode = .live, name: String,
        image: DockerSpecification.ImagePolicy = .whenLocal, excluding: [String] = [],
        sink given: TestSupport.MemorySink? = nil
    ) async throws -> TestSupport.MemorySource {
        let service = service(subject, mode: mode, image: image, excluding: excluding)
        let directory = try TemporaryDirectory("trees")
        self.directory.atEnd { await directory.cleanUp() }
        let sink = given ?? TestSupport.MemorySink(in: directory)
        let outcome = try await DockerDriver().capture(
            service.workloads[0], of: service, into: sink, context: Self.context)
        return await sink.source(service: "test", kind: .docker, name: name, outcome: outcome)
    }

    private var anyService: Service { service(.volume("")) }

    func preflight(
        _ source: TestSupport.MemorySource, to target: ReplayTarget = .here
    ) async throws -> [PreflightFinding] {
        let (driver, service) = (DockerDriver(), anyService)
        var context = Self.context
        context.dockerHost = engine.address.description
        let steps = try await driver.replaySteps(for: source, service: service, target: target)
        return try await driver.preflight(
            steps, from: source, service: service, target: target, context: context)
    }

    /// Carries out all steps, each after those it needs.
    @discardableResult
    func replay(
        _ source: TestSupport.MemorySource, to target: ReplayTarget = .here
    ) async throws -> [ReplayStep] {
        let (driver, service) = (DockerDriver(), anyService)
        var context = Self.context
        context.dockerHost = engine.address.description
        let steps = try await driver.replaySteps(for: source, service: service, target: target)
        var done: Set<String> = []
        for step in steps {
            guard step.needs.allSatisfy(done.contains) else {
                throw Failure(.failed, "\(step.id) stands before one of \(step.needs)")
            }
            _ = try await driver.perform(
                step, from: source, service: service, target: target, context: context)
            done.insert(step.id)
        }
        return steps
    }
}
