import CLinux
import Engine
import Glibc
import Model
import TestSupport
import Testing

@testable import Workloads

@Suite struct CommandDriverTests {
    private let driver = CommandDriver()

    @Test func givesTheOutputBackToTheRestoreCommand() async throws {
        try await TemporaryDirectory.with("command") { directory in
            let content = [UInt8]((0..<300_000).map { UInt8(truncatingIfNeeded: $0) })
            let file = try directory.write("in", content)
            let out = directory.path("out")
            let service = service(["cat", file], restore: ["sh", "-c", "cat > \(out)"])
            let (source, outcome) = try await driver.captured(service)
            #expect(outcome.suspicions.isEmpty)
            let replayed = try await driver.replayed(source, service)
            #expect(replayed.map(\.bytes) == [ByteCount(300_000)])
            #expect(try FileSystem().read(out) == content)
            try await driver.replayed(source, service, to: .directory(directory.path("d")))
            #expect(try FileSystem().read(directory.path("d/app/data/output")) == content)
        }
    }

    @Test(arguments: [
        ["sh", "-c", "echo data; exit 3"], ["true"], ["sh", "-c", "echo data; kill -9 $$"],
        ["/no/such/program"],
    ])
    func aProgramThatFailsOrSaysNothingIsNoCapture(words: [String]) async throws {
        let failure = await #expect(throws: Failure.self) {
            try await driver.captured(service(words))
        }
        #expect(failure?.code == .failed)
    }

    @Test func nothingIsAllowedWhereItIsAskedFor() async throws {
        var service = service(["true"])
        service.allowEmpty = true
        _ = try await driver.captured(service)
    }

    @Test(.timeLimit(.minutes(1)))
    func aRestoreCommandThatFailsOrStopsReadingFails() async throws {
        let big = ["head", "-c", "3000000", "/dev/zero"]
        for restore in [["sh", "-c", "cat >/dev/null; echo why >&2; exit 4"], ["false"], ["true"]] {
            let service = service(big, restore: restore)
            let (source, _) = try await driver.captured(service)
            let failure = Failure(
                wrapping: await #expect(throws: (any Error).self) {
                    try await driver.replayed(source, service)
                } ?? CancellationError())
            #expect(restore.count == 1 || failure.cause == "why")
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func aSnapshotThatBreaksOffEndsTheRestoreCommand() async throws {
        try await TemporaryDirectory.with("command") { directory in
            let done = directory.path("done")
            let service = service(
                ["head", "-c", "3000000", "/dev/zero"],
                restore: ["sh", "-c", "cat > /dev/null && touch \(done)"])
            var (source, _) = try await driver.captured(service)
            source.breaksAfter = 1_000_000
            let broken = source
            let failure = await #expect(throws: Failure.self) {
                try await driver.replayed(broken, service)
            }
            #expect(failure?.side == .repository)
            // It must not take the break for the end.
            #expect(access(done, F_OK) != 0)
        }
    }

    private func service(_ capture: [String], restore: [String]? = nil) -> Service {
        Service(
            name: "app",
            workloads: [
                .command(CommandSpecification(name: "data", capture: capture, restore: restore))
            ])
    }
}
