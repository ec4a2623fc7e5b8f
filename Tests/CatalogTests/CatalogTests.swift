import Catalog
import Engine
import Model
import TestSupport
import Testing

@Suite struct CatalogTests {
    private let repository = RepositoryID.random()

    private func with(_ body: (Catalog, TemporaryDirectory) async throws -> Void) async throws {
        try await TemporaryDirectory.with("catalog") { scratch in
            let catalog = try await Catalog.open(
                at: scratch.path + "/state/dr", repository: repository)
            try await body(catalog, scratch)
        }
    }

    @Test func snapshotsComeBackWhole() async throws {
        try await with { catalog, _ in
            let record = Samples.snapshot()
            try await catalog.record(snapshot: record)
            let found = try #require(try await catalog.snapshots().first)
            // The same JSON means the same value: every field is in it.
            #expect(try StableJSON.encode(found) == StableJSON.encode(record))
            #expect(found.parts == record.parts && found.proof == record.proof)
            #expect(found.asOf == record.asOf && found.finished == record.finished)
        }
    }

    @Test func filtersFindWhatTheySay() async throws {
        try await with { catalog, _ in
            let run = RunID.random()
            var records = [
                Samples.snapshot("a", at: 0, run: run), Samples.snapshot("a", at: 10),
                Samples.snapshot("b", at: 20, run: run), Samples.snapshot("b", at: 30),
                Samples.snapshot("a", at: 40),
            ]
            records[3].omissions = ["one file"]
            records[4].suspicions = ["empty"]
            records[1].tags = []
            try await catalog.record(snapshots: records)
            func ids(_ filter: SnapshotFilter) async throws -> [SnapshotID] {
                try await catalog.snapshots(filter).map(\.id)
            }
            let all = records.map(\.id)
            #expect(try await ids(SnapshotFilter()) == all.reversed())
            #expect(try await ids(SnapshotFilter(services: ["a"])) == [all[4], all[1], all[0]])
            #expect(try await ids(SnapshotFilter(services: [])) == [])
            #expect(try await ids(SnapshotFilter(run: run)) == [all[2], all[0]])
            #expect(
                try await ids(SnapshotFilter(notAfter: records[2].asOf, limit: 2))
                    == [all[2], all[1]])
            #expect(try await ids(SnapshotFilter(onlyGood: true)) == [all[2], all[1], all[0]])
            #expect(try await ids(SnapshotFilter(tag: "before upgrade")).count == 4)
            #expect(
                try await ids(SnapshotFilter(idPrefix: String(all[2].description.prefix(20))))
                    == [all[2]])
            // A person's word makes a suspicious one good, until it is forgotten.
            let accepted = MarkedSnapshot(
                snapshot: all[4], mark: .accepted, reason: "table was dropped", at: Samples.moment)
            try await catalog.replace(marks: [accepted], read: [.zero: 7])
            #expect(try await catalog.marks() == [accepted])
            #expect(try await catalog.markedUpTo() == [.zero: 7])
            #expect(try await ids(SnapshotFilter(services: ["a"], onlyGood: true)).first == all[4])
            #expect(try await catalog.snapshots(marked: .accepted) == [all[4]])
            try await catalog.remove(snapshot: all[4])
            #expect(try await ids(SnapshotFilter()).count == 4)
            #expect(try await catalog.snapshots(marked: .accepted).isEmpty)
        }
    }

    @Test func runsKeepStepsDocumentsJournalAndTimes() async throws {
        try await with { catalog, _ in
            var run = Samples.run(.restore)
            try await catalog.beginRun(run)
            try await catalog.beginRun(Samples.run(.backup, at: 5))
            var step = StepRecord(id: "a/start", title: "start a", service: "a", state: .running)
            try await catalog.recordSteps(
                [step, StepRecord(id: "a/data", title: "restore data")], of: run.id)
            step.state = .done
            step.ended = TimeSpan(seconds: 1.5)
            try await catalog.recordStep(step, of: run.id)
            let entries = [
                JournalEntry(.making, step: "a/start", name: "container/a", at: Samples.moment),
                JournalEntry(.proven, step: "a/start", detail: "x", at: Samples.moment),
            ]
            try await catalog.journal(entries, of: run.id)
            run.finished = run.started + TimeSpan(seconds: 60)
            run.result = .objectiveMissed
            let times = (1...3).map {
                Measurement(
                    subject: "restore.data", workload: WorkloadID(text: "a/files:files"),
                    kind: .files, step: "files:/srv", bytes: ByteCount(1 << 30),
                    duration: TimeSpan(seconds: Double($0)),
                    at: Samples.moment + TimeSpan(seconds: Double($0)))
            }
            try await catalog.finishRun(run, documents: ["x": [1, 2]], measurements: times)

            #expect(try await catalog.runs().count == 2)
            #expect(try await catalog.runs(.restore) == [run])
            #expect(try await catalog.runs(idPrefix: run.id.short).first == run)
            #expect(try await catalog.steps(of: run.id).map(\.id) == ["a/start", "a/data"])
            #expect(try await catalog.steps(of: run.id).first == step)
            #expect(try await catalog.document("x", of: run.id) == [1, 2])
            #expect(try await catalog.document("y", of: run.id) == nil)
            #expect(try await catalog.report(of: run.id) == nil)
            #expect(try await catalog.journal(of: run.id) == entries)
            #expect(try await catalog.measurements(of: "restore.data") == times.reversed())
        }
    }

    @Test func aSnapshotFromTheFutureIsNoMeasureOfAge() async throws {
        try await with { catalog, _ in
            let day: Int64 = 86400
            var service = Service(
                name: "umami",
                workloads: [.docker(DockerSpecification(subject: .container("umami")))])
            service.objectives.rpo = TimeSpan(seconds: 86400)
            func freshness(after days: Int64) async throws -> Freshness {
                let now = Samples.moment + TimeSpan(nanoseconds: days * day * 1_000_000_000)
                return try #require(try await catalog.freshness(of: [service], at: now).first)
            }
            try await catalog.record(snapshot: Samples.snapshot(at: 400 * day))
            let none = try await freshness(after: 3)
            #expect(none.lastGood == nil && none.unsaved.count == 1 && none.isOverdue)
            try await catalog.record(snapshot: Samples.snapshot())
            let old = try await freshness(after: 3)
            #expect(old.lastGood == Samples.moment && old.isOverdue)
            #expect(old.age == TimeSpan(seconds: 3 * 86400))
            // Clocks may differ by a day.
            try await catalog.record(snapshot: Samples.snapshot(at: 4 * day))
            let near = try await freshness(after: 3)
            #expect(near.age == .zero && !near.isOverdue)
        }
    }

    @Test func snapshotsOfOneMachineAreFound() async throws {
        try await with { catalog, _ in
            let own = Samples.snapshot()
            var other = Samples.snapshot(at: 1)
            other.host = "other"
            try await catalog.record(snapshots: [own, other])
            let found = try await catalog.snapshots(SnapshotFilter(host: own.host))
            #expect(found.map(\.id) == [own.id])
        }
    }

    @Test func aWriterKeepsItsName() async throws {
        try await with { catalog, _ in
            let writer = try await catalog.writer()
            #expect(try await catalog.writer() == writer)
            let replaced = try await catalog.replaceWriter()
            #expect(replaced != writer)
            #expect(try await catalog.writer() == replaced)
        }
    }

    @Test func anotherRepositoryIsRefused() async throws {
        try await with { catalog, _ in
            let failure = await #expect(throws: Failure.self) {
                try await Catalog.open(at: catalog.directory, repository: .random())
            }
            #expect(failure?.code == .usage)
        }
    }

    @Test func aNewerCatalogIsRefusedAndNotTouched() async throws {
        try await TemporaryDirectory.with("catalog") { scratch in
            do {
                let database = try Database(scratch.path + "/catalog.sqlite")
                try database.setUserVersion(999)
            }
            let failure = await #expect(throws: Failure.self) {
                try await Catalog.open(at: scratch.path, repository: repository)
            }
            #expect(failure?.code == .unsupportedRepository)
            #expect(try Database(scratch.path + "/catalog.sqlite").userVersion() == 999)
        }
    }

    @Test func stateIsWhereUsersExpectIt() throws {
        #expect(
            try StateDirectory.root(environment: ["XDG_STATE_HOME": "/x"], userID: 0) == "/x/dr")
        #expect(
            try StateDirectory.root(environment: ["XDG_STATE_HOME": "x", "HOME": "/h"], userID: 7)
                == "/h/.local/state/dr")
        #expect(try StateDirectory.root(environment: ["HOME": "/root"], userID: 0) == "/var/lib/dr")
        #expect(throws: Failure.self) { try StateDirectory.root(environment: [:], userID: 7) }
    }
}
