import CLinux
import Engine
import Glibc
import Model
import TestSupport
import Testing

@testable import Workloads

@Suite(.enabled(if: TestEnvironment.hasDocker && TestEnvironment.isRoot, "needs root and Docker"))
struct DockerCaptureTests {
    private func start(
        _ corner: DockerCorner, _ more: String...
    ) async throws -> (container: String, volume: String) {
        let volume = corner.name("data")
        try await corner.fixture.docker(
            ["run", "-d", "--name", corner.name("app"), "-v", "\(volume):/data"]
                + ["--stop-signal", "SIGKILL"] + more
                + [TestEnvironment.busybox, "sleep", "3600"])
        return (corner.name("app"), volume)
    }

    @Test(arguments: [CaptureMode.pause, .stop])
    func aSinkThatFailsLeavesNothingAtRest(_ mode: CaptureMode) async throws {
        try await DockerCorner.with { corner in
            let (container, volume) = try await start(corner)
            let during = Seen()
            let sink = TestSupport.MemorySink(in: corner.directory) { _ in
                let now = try await corner.engine.inspect(container: container)
                await during.see(mode == .pause ? now.isPaused : !now.isRunning)
                throw Failure(.failed, "the sink fails")
            }
            let failure = await #expect(throws: Failure.self) {
                try await corner.capture(
                    .container(container), mode: mode, name: volume, sink: sink)
            }
            #expect(failure?.message == "the sink fails")
            #expect(await during.all == [true])
            let after = try await corner.engine.inspect(container: container)
            #expect(after.isRunning && !after.isPaused)
        }
    }

    @Test(arguments: [CaptureMode.pause, .stop])
    func acancelledCaptureLeavesNothingAtRest(_ mode: CaptureMode) async throws {
        try await DockerCorner.with { corner in
            let (container, _) = try await start(corner)
            let sink = TestSupport.MemorySink(in: corner.directory) { _ in
                try await Task.sleep(for: .seconds(3600))
            }
            let capture = Task {
                try await corner.capture(
                    .container(container), mode: mode, name: container, sink: sink)
            }
            try await waitUntil {
                let now = try await corner.engine.inspect(container: container)
                return mode == .pause ? now.isPaused : !now.isRunning
            }
            capture.cancel()
            await #expect(throws: CancellationError.self) { _ = try await capture.value }
            let after = try await corner.engine.inspect(container: container)
            #expect(after.isRunning && !after.isPaused)
        }
    }

    @Test func aContainerThatIsReplacedMeanwhileIsNoCapture() async throws {
        try await DockerCorner.with { corner in
            let (container, volume) = try await start(corner)
            let sink = TestSupport.MemorySink(in: corner.directory) { _ in
                try await corner.engine.remove(container: container, force: true)
                try await corner.docker(
                    "run", "-d", "--name", container, "-v", "\(volume):/data",
                    TestEnvironment.busybox, "sleep", "3600")
            }
            let failure = await #expect(throws: Failure.self) {
                try await corner.capture(.container(container), name: container, sink: sink)
            }
            #expect(failure?.message.contains("was replaced while it was captured") == true)
        }
    }

    @Test func excludedMountsAreDefinitionOnly() async throws {
        try await DockerCorner.with { corner in
            let held = try corner.directory.makeDirectory("held")
            chmod(held, 0o750)
            chown(held, 70, 71)
            let (container, volume) = try await start(corner, "-v", "\(held):/held")
            let source = try await corner.capture(
                .container(container), name: container, excluding: ["/held", volume])
            #expect(!source.snapshot.parts.contains { $0.kind == .tree })
            #expect(source.snapshot.notes.count { $0.contains("its data is excluded") } == 2)
            #expect(source.snapshot.consistency == .application)
            await corner.empty()
            rmdir(held)
            try await corner.replay(source)
            // Both are there again, empty, for whoever brings the data back.
            var status = stat()
            #expect(stat(held, &status) == 0)
            #expect(status.st_uid == 70 && status.st_gid == 71 && status.st_mode & 0o777 == 0o750)
            #expect(try await corner.engine.find(volume: volume) != nil)
        }
    }

    @Test func aNameThatMatchesNothingIsAFailure() async throws {
        try await DockerCorner.with { corner in
            try await corner.docker("volume", "create", corner.name("p") + "_data")
            for subject in [
                DockerSpecification.Subject.container("data"), .volume("data"), .project("data"),
            ] {
                let failure = await #expect(throws: Failure.self) {
                    try await corner.capture(subject, name: "data")
                }
                #expect(
                    failure?.message.hasPrefix("there is no") == true
                        || failure?.message.hasPrefix("no container") == true)
                if case .volume = subject { #expect(failure?.hint?.contains("_data?") == true) }
            }
            // The Engine would take the beginning of an id for a name.
            let (container, _) = try await start(corner)
            let id = try await corner.engine.inspect(container: container).id
            await #expect(throws: Failure.self) {
                try await corner.capture(.container(String(id.prefix(10))), name: "x")
            }
        }
    }

    @Test func aVolumeThatIsBoundToADirectoryIsReadThere() async throws {
        try await DockerCorner.with { corner in
            let device = try corner.directory.makeDirectory("device")
            try corner.directory.write("device/file", "here\n")
            let volume = corner.name("bound")
            try await corner.docker(
                "volume", "create", "-o", "type=none", "-o", "o=bind", "-o", "device=\(device)",
                volume)
            // Nothing has it mounted: its mount point is empty.
            let source = try await corner.capture(.volume(volume), name: volume)
            #expect(source.snapshot.proof.files["volume/\(volume)"] == 1)
            await corner.empty()
            _ = try await OutsideProgram.run(["rm", "-rf", device])
            try await corner.replay(source)
            #expect(access("\(device)/file", R_OK) == 0)
        }
    }

    @Test func preflightFindsEverythingAtOnce() async throws {
        try await DockerCorner.with { corner in
            let port = UInt16.random(in: 20_000...29_000)
            let (container, volume) = try await start(corner, "-p", "\(port):80")
            let source = try await corner.capture(.container(container), name: container)
            try await corner.engine.remove(container: container, force: true)
            // Another container holds the volume although it never ran, a third one has the port.
            try await corner.docker(
                "create", "--name", corner.name("holder"), "-v", "\(volume):/x",
                TestEnvironment.busybox, "true")
            try await corner.docker(
                "run", "-d", "--name", corner.name("port"), "-p", "\(port):80",
                TestEnvironment.busybox, "sleep", "3600")
            let findings = try await corner.preflight(source)
            #expect(
                findings.contains {
                    $0.severity == .conflict
                        && $0.message == "volume \(volume) is held by container "
                            + "\(corner.name("holder")) (created)"
                })
            #expect(
                findings.contains {
                    $0.severity == .blocker
                        && $0.message == "port \(port)/tcp of container \(container) is taken by "
                            + "container \(corner.name("port"))"
                })
            // A volume that is held is never touched.
            let step = ReplayStep(id: "volume:\(volume)", title: "", phase: .data)
            var context = DockerCorner.context
            context.dockerHost = corner.engine.address.description
            await #expect(throws: Failure.self) {
                _ = try await DockerDriver().perform(
                    step, from: source, service: corner.service(.volume("")), target: .here,
                    context: context)
            }
        }
    }

    @Test func aStepThatFailedIsDoneAgain() async throws {
        try await DockerCorner.with { corner in
            let volume = try await corner.fillVolume("data")
            let source = try await corner.capture(.volume(volume.name), name: volume.name)
            let before = try TreeFingerprint(of: volume.mountPoint, aspects: .comparable)
            try await corner.engine.remove(volume: volume.name)
            // As a run that was killed leaves it: the volume made, its content half there beside.
            try await corner.docker("volume", "create", volume.name)
            let left = volume.mountPoint.replacing("_data", with: "._data.dr-incomplete")
            mkdir(left, 0o700)
            try FileSystem().writeDurably([1], to: "\(left)/half")
            try await corner.replay(source)
            let after = try TreeFingerprint(of: volume.mountPoint, aspects: .comparable)
            #expect(after.differences(from: before) == [])
            #expect(access(left, F_OK) != 0)
        }
    }

    @Test func aCheckWaitsForHealth() async throws {
        try await DockerCorner.with { corner in
            let (container, _) = try await start(
                corner, "--health-cmd", "test -e /ready", "--health-interval", "1s")
            let check = ContainerCheck(engine: corner.engine, container: container)
            guard case .waiting = try await check.look() else {
                Issue.record("healthy before it is")
                return
            }
            let programs = ContainerPrograms(engine: corner.engine, container: container)
            _ = try await programs.run(ProgramCall(["touch", "/ready"]))
            try await check.wait(timeout: TimeSpan(seconds: 30))
            try await corner.engine.stop(container: container, patience: 10)
            await #expect(throws: Failure.self) { try await check.wait(timeout: .zero) }
        }
    }
}

private actor Seen {
    var all: [Bool] = []
    func see(_ value: Bool) { all.append(value) }
}
