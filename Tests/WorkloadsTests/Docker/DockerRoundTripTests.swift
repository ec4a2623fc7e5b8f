import CLinux
import Engine
import Glibc
import Model
import TestSupport
import Testing

@testable import Workloads

@Suite(.enabled(if: TestEnvironment.hasDocker && TestEnvironment.isRoot, "needs root and Docker"))
struct DockerRoundTripTests {
    /// A container with everything, removed wholly and brought back: the Engine says the same of it.
    @Test func aContainerComesBackAsItWas() async throws {
        try await DockerCorner.with { corner in
            let name = corner.name("web")
            let volume = try await corner.fillVolume("data")
            let bind = corner.directory.path("site")
            var maker = TreeMaker(seed: TestEnvironment.seed &+ 1)
            try maker.make(at: bind, entries: 20)
            let file = try corner.directory.write("app.conf", "listen 80\n")
            let subnet = Int.random(in: 1...250)
            try await corner.docker(
                "network", "create", "--subnet", "10.91.\(subnet).0/24", "--label", "a=b",
                "--opt", "com.docker.network.bridge.enable_icc=false", corner.name("front"))
            try await corner.docker("network", "create", "--internal", corner.name("back"))
            let port = UInt16.random(in: 20_000...29_000)
            try await corner.docker(
                "create", "--name", name, "--network", corner.name("front"), "--ip",
                "10.91.\(subnet).9", "--network-alias", "www", "-v", "\(volume.name):/data",
                "-v", "\(bind):/site:ro", "--mount", "type=bind,src=\(file),dst=/app.conf",
                "-v", "/anonymous", "--tmpfs", "/scratch:size=1m", "-p", "127.0.0.1:\(port):80",
                "-e", "WORD=a b=c", "-l", "org.example.x=y", "--restart", "unless-stopped",
                "--memory", "64m", "--cpus", "0.5", "--ulimit", "nofile=1000:2000",
                "--cap-add", "NET_ADMIN", "--cap-drop", "MKNOD", "--add-host", "db:10.0.0.1",
                "--dns", "192.0.2.1", "--sysctl", "net.core.somaxconn=99", "--shm-size", "32m",
                "--init", "--security-opt", "no-new-privileges", "--stop-signal", "SIGKILL",
                "--stop-timeout", "3", "--health-cmd", "true", "--health-interval", "1s",
                "--log-opt", "max-size=1m", "--workdir", "/data", "--user", "0:1", "--read-only",
                "--pids-limit", "100", "--entrypoint", "/bin/sh", TestEnvironment.busybox,
                "-c", "sleep 3600")
            try await corner.docker(
                "network", "connect", "--alias", "inner", corner.name("back"), name)
            try await corner.docker("start", name)
            let before = try await corner.engine.inspect(container: name)
            let anonymous = try #require(
                before.mounts.first { $0.destination == "/anonymous" }?.name)
            try await corner.write("left behind", to: anonymous)

            let source = try await corner.capture(
                .container(name), mode: .stop, name: name)
            let after = try await corner.engine.inspect(container: name)
            #expect(after.isRunning)
            #expect(source.snapshot.omissions.isEmpty)
            let dataBefore = try TreeFingerprint(of: volume.mountPoint, aspects: .comparable)
            let siteBefore = try TreeFingerprint(of: bind, aspects: .comparable)

            let conflicts = try await corner.preflight(source)
            for word in ["container", "volume", "\(bind)", file] {
                #expect(
                    conflicts.contains { $0.severity == .conflict && $0.message.contains(word) })
            }
            #expect(!conflicts.contains { $0.severity == .blocker })

            await corner.empty()
            _ = try await OutsideProgram.run(["rm", "-rf", bind, file])
            #expect(try await corner.engine.find(container: name) == nil)
            #expect(try await corner.preflight(source).isEmpty)

            let steps = try await corner.replay(source)
            #expect(steps.last?.id == "healthy:\(name)")
            #expect(InspectionShape(of: before).fields.count > 50)
            let restored = try await corner.engine.inspect(container: name)
            #expect(
                InspectionShape(of: before).differences(from: InspectionShape(of: restored)) == [])
            let mount = try #require(try await corner.engine.find(volume: volume.name)?.mountPoint)
            let data = try TreeFingerprint(of: mount, aspects: .comparable)
            #expect(data.differences(from: dataBefore) == [])
            let site = try TreeFingerprint(of: bind, aspects: .comparable)
            #expect(site.differences(from: siteBefore) == [])
            let programs = ContainerPrograms(engine: corner.engine, container: name)
            let words = try await programs.run(
                ProgramCall(["cat", "/anonymous/note", "/app.conf"]))
            #expect(words.text == "left behindlisten 80\n")
            let network = try #require(
                try await corner.engine.find(network: corner.name("front")))
            #expect(network["Labels"].stringMap == ["a": "b"])
            #expect(
                network["IPAM"]["Config"].array?.first?["Subnet"].string == "10.91.\(subnet).0/24")

            // And what came back is captured the same again.
            let again = try await corner.capture(.container(name), mode: .live, name: name)
            #expect(
                again.snapshot.parts.map(\.name).sorted()
                    == source.snapshot.parts.map(\.name).sorted())

            // It has a name now, so it does not go with its container.
            await corner.empty()
            try await corner.engine.remove(volume: anonymous)
        }
    }

    @Test func aSavedImageComesBack() async throws {
        try await DockerCorner.with { corner in
            let name = corner.name("app")
            let image = "\(corner.prefix):1"
            try await corner.docker(
                "create", "--name", corner.name("base"), TestEnvironment.busybox, "true")
            let label = "LABEL only=\(corner.prefix)"
            try await corner.docker("commit", "--change", label, corner.name("base"), image)
            try await corner.docker("run", "-d", "--name", name, image, "sleep", "3600")
            let id = try await corner.engine.inspect(container: name).imageID
            let source = try await corner.capture(.container(name), name: name)
            await corner.empty()
            #expect(try await corner.engine.find(image: id) == nil)
            #expect(try await corner.preflight(source).isEmpty)
            try await corner.replay(source)
            let restored = try await corner.engine.inspect(container: name)
            #expect(restored.imageID == id)
            #expect(restored.config["Image"].string == image)
            #expect(restored.isRunning)

            // Without the saved image there is nothing to be done, and that is said before.
            let definitionOnly = try await corner.capture(
                .container(name), name: name, image: .never)
            await corner.empty()
            let findings = try await corner.preflight(definitionOnly)
            #expect(
                findings.contains {
                    $0.severity == .blocker && $0.message.contains("image \(image)")
                })
        }
    }

    @Test func aProjectComesBackInOrder() async throws {
        try await DockerCorner.with { corner in
            let project = corner.name("shop")
            let network = "\(project)_default"
            let label = "com.docker.compose.project=\(project)"
            try await corner.docker("network", "create", "--label", label, network)
            try await corner.docker("volume", "create", "--label", label, "\(project)_spare")
            func create(_ service: String, _ more: String...) async throws {
                try await corner.docker(
                    label: label, service: service, project: project, network: network, more)
            }
            try await create("db", "--health-cmd", "true", "--health-interval", "1s")
            try await create("app", "-l", "com.docker.compose.depends_on=db:service_healthy:false")
            try await create(
                "manager", "-v", "\(corner.engine.socket):/var/run/docker.sock")
            try await create("stopped")
            for service in ["db", "app", "manager"] {
                try await corner.docker("start", "\(project)-\(service)-1")
            }
            let source = try await corner.capture(
                .project(project), mode: .stop, name: "project-\(project)")
            #expect(source.snapshot.notes.contains { $0.contains("docker.sock") })
            // What was stopped before stays stopped, the others run again.
            let stopped = try await corner.engine.inspect(container: "\(project)-stopped-1")
            #expect(stopped.status == "created")
            #expect(
                try await corner.engine.inspect(container: "\(project)-db-1").isRunning)
            await corner.empty()
            let steps = try await corner.replay(source).map(\.id)
            func index(_ id: String) throws -> Int { try #require(steps.firstIndex(of: id)) }
            #expect(
                try index("healthy:\(project)-db-1") < index("start:\(project)-app-1"))
            #expect(try index("start:\(project)-app-1") < index("start:\(project)-manager-1"))
            #expect(!steps.contains("start:\(project)-stopped-1"))
            #expect(steps.contains("volume:\(project)_spare"))
            let again = try await corner.engine.inspect(container: "\(project)-stopped-1")
            #expect(again.status == "created")
        }
    }

    @Test func intoADirectory() async throws {
        try await DockerCorner.with { corner in
            let volume = try await corner.fillVolume("data")
            let source = try await corner.capture(
                .volume(volume.name), name: "volume-\(volume.name)")
            let target = corner.directory.path("out")
            try await corner.replay(source, to: .directory(target))
            let place =
                ReplayDirectory.path(target, for: source.snapshot) + "/volume/\(volume.name)"
            let before = try TreeFingerprint(of: volume.mountPoint, aspects: .comparable)
            let after = try TreeFingerprint(of: place, aspects: .comparable)
            #expect(after.differences(from: before) == [])
            #expect(access("\(place).json", F_OK) == 0)
            let findings = try await corner.preflight(source, to: .directory(target))
            #expect(findings.allSatisfy { $0.severity == .conflict } && !findings.isEmpty)
        }
    }
}
