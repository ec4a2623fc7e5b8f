import CLinux
import Engine
import Glibc
import Model
import TestSupport
import Testing

@testable import Workloads

@Suite struct FilesDriverTests {
    private let driver = FilesDriver()

    @Test func bringsPathsBackAndMovesWhatIsThereAside() async throws {
        try await TemporaryDirectory.with("files") { directory in
            let www = try directory.makeDirectory("www/deep")
            try directory.write("www/deep/index", "one")
            let single = try directory.write("settings", "two")
            let service = service([directory.path("www"), single])
            let (source, outcome) = try await driver.captured(
                service, into: ScriptedSink(scratch: directory))
            #expect(outcome.suspicions.isEmpty)
            #expect(outcome.proof.files == ["tree/0": 1, "tree/1": 1])

            try directory.write("www/deep/index", "changed")
            await #expect(throws: Failure.self) { try await driver.replayed(source, service) }
            let findings = try await driver.preflight(
                try await driver.replaySteps(for: source, service: service, target: .here),
                from: source, service: service, target: .here,
                context: WorkloadContext(secrets: FixedSecrets()))
            #expect(findings.map(\.severity) == [.conflict, .conflict])
            let outcomes = try await driver.replayed(source, service, replace: true)
            #expect(outcomes.flatMap(\.problems).isEmpty)
            #expect(outcomes.allSatisfy { $0.notes.count == 1 })
            #expect(try FileSystem().read("\(www)/index") == Array("one".utf8))
            #expect(try FileSystem().read(single) == Array("two".utf8))
            let names = try FileSystem().names(in: directory.path)
            let aside = try #require(names.first { $0.hasPrefix("www_before_") })
            #expect(
                try FileSystem().read(directory.path("\(aside)/deep/index"))
                    == Array("changed".utf8))
            #expect(!names.contains { $0.hasSuffix(".dr-restoring") })

            let target = directory.path("out")
            try await driver.replayed(source, service, to: .directory(target))
            #expect(
                try FileSystem().read("\(target)/site/files\(directory.path)/www/deep/index")
                    == Array("one".utf8))
        }
    }

    @Test func aMissingPathIsRefusedAtTheStartWithAllOthers() async throws {
        try await TemporaryDirectory.with("files") { directory in
            let there = try directory.makeDirectory("there")
            let sink = ScriptedSink(scratch: directory)
            let failure = await #expect(throws: Failure.self) {
                try await driver.captured(
                    service([there, "/no/such/one", "relative", "/no/such/two"]), into: sink)
            }
            for name in ["/no/such/one", "relative", "/no/such/two"] {
                #expect(failure?.message.contains(name) == true)
            }
            #expect(sink.names.isEmpty)
            // What is empty is kept and reported.
            let (_, outcome) = try await driver.captured(service([there]), into: sink)
            #expect(outcome.suspicions.count == 1)
        }
    }

    @Test func namesOfARepositoryStayInTheDirectory() {
        var record = SnapshotRecord(
            id: .random(), workload: WorkloadID(text: "../x/files:../../etc"), service: "../x",
            kind: .files, host: "h", run: .random(), asOf: Timestamp(nanoseconds: 0))
        #expect(
            ReplayDirectory.path("/out/", for: record) == "/out/%2e.%2fx/%2e%2e/%2e%2e/etc")
        record.service = "s"
        record.workload = WorkloadID(text: "s/files:files")
        #expect(ReplayDirectory.path("/out", for: record) == "/out/s/files")
        #expect(ReplayDirectory.path("/out", beneath: "/a/../b/./c") == "/out/a/%2e%2e/b/c")
    }

    private func service(_ paths: [String]) -> Service {
        Service(name: "site", workloads: [.files(FilesSpecification(paths: paths))])
    }
}
