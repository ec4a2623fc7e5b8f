import CLinux
import Catalog
import Glibc
import Model
import TestSupport
import Testing

@Suite struct RunLockTests {
    private let holder = RunLock.Holder(
        processID: 4711, host: "host.example.org", started: Samples.moment, purpose: "dr backup")

    @Test func theSecondRunIsToldWhoHasIt() async throws {
        try await TemporaryDirectory.with { scratch in
            let first = try RunLock.acquire(in: scratch.path, as: holder)
            let failure = #expect(throws: Failure.self) {
                try RunLock.acquire(in: scratch.path, as: holder)
            }
            #expect(failure?.code == .busy)
            #expect(
                failure?.message == "another run is going on: dr backup, process 4711 on"
                    + " host.example.org since \(Samples.moment.shortDescription)")
            first.release()
            _ = try RunLock.acquire(in: scratch.path, as: holder)
        }
    }

    @Test func aDeadProcessCannotHoldIt() async throws {
        try await TemporaryDirectory.with { scratch in
            let path = scratch.path + "/run.lock"
            // Another program takes the same lock and says so; its child inherits nothing.
            let other = try OutsideProgram(
                ["flock", "--no-fork", path, "sh", "-c", "echo held; exec sleep 600"]
            ).start()
            let end = ContinuousClock.now + .seconds(20)
            while !other.outputSoFar().contains("held"), ContinuousClock.now < end {
                try await Task.sleep(for: .milliseconds(5))
            }
            let failure = #expect(throws: Failure.self) {
                try RunLock.acquire(in: scratch.path, as: holder)
            }
            #expect(failure?.message == "another run is going on: an unknown process")
            other.signal(SIGKILL)
            _ = try await other.outcome()
            _ = try RunLock.acquire(in: scratch.path, as: holder)
        }
    }
}
