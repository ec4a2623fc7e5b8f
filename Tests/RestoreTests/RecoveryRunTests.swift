import Catalog
import Engine
import Model
import Restore
import TestSupport
import Testing
import Workloads

@Suite(.timeLimit(.minutes(2))) struct RecoveryRunTests {
    private let database = "umami-db/postgres:umami-db/database:umami"

    private func step(_ report: RecoveryReport, _ id: String) throws -> StepReport {
        try #require(report.steps.first { $0.id == id }, "\(id)")
    }

    @Test func timesAddUp() async throws {
        let stack = Stack()
        let database = database
        stack.world.change {
            $0.seconds[database] = 60
            $0.seconds["site/files:files/files:/srv/www"] = 20
            // Two refusals: 0.2 s and 0.3 s of waiting.
            $0.unhealthy["http http://127.0.0.1:3000/ answers 200"] = 2
        }
        let report = try await stack.execute()
        #expect(report.result == .done)
        // network and volume 1, start 1, roles 1, database 60, rows 1; then 1 + 0.5 and 1.
        #expect(report.recoveryTime == TimeSpan(seconds: 66.5))
        #expect(report.ended == TimeSpan(seconds: 66.5))
        #expect(report.milestones.firstByte == .zero)
        #expect(report.milestones.dataRestored == TimeSpan(seconds: 63))
        #expect(report.milestones.started == TimeSpan(seconds: 66.5))
        #expect(report.recoveryPoint == TimeSpan(seconds: 3 * 3600))
        let loaded = try step(report, database)
        #expect(loaded.started == TimeSpan(seconds: 3) && loaded.ended == TimeSpan(seconds: 63))
        #expect(loaded.throughput == ByteCount(UInt64(400 << 20) / 60))
        #expect(try step(report, "umami/healthy").attempts == 3)
        #expect(
            report.criticalPath.suffix(7)
                == [
                    database, "umami-db/postgres:umami-db/proof:umami", "umami-db/healthy",
                    "umami/docker:umami/start", "umami/healthy", "caddy/docker:caddy/start",
                    "caddy/healthy",
                ])
        let site = try #require(report.services.first { $0.name == "site" })
        #expect(site.recoveryTime == TimeSpan(seconds: 20))
        #expect(site.recoveryPoint == TimeSpan(seconds: 2.5 * 3600))
        #expect(report.services.allSatisfy { $0.state == .recovered })
    }

    @Test func aFailureStopsOnlyWhatDependsOnIt() async throws {
        let stack = Stack()
        let database = database
        stack.world.change {
            $0.failures[database] = (
                99, Failure(.failed, "role umami does not exist", hint: "restore the roles first")
            )
        }
        let report = try await stack.execute()
        #expect(report.result == .partial)
        #expect(
            report.services.map { "\($0.name) \($0.state.rawValue)" } == [
                "umami-db failed", "site recovered", "umami not executed", "caddy not executed",
            ])
        #expect(try step(report, "umami/docker:umami/start").message == "\(database) failed")
        #expect(report.recoveryTime == nil)
        #expect(report.meetsRecoveryTime == false)
        // Nothing after it was even tried; what could not pass was tried once.
        #expect(stack.world.performed.count { $0 == database } == 1)
        #expect(!stack.world.performed.contains("umami/docker:umami/start"))
    }

    @Test func whatMayPassIsTriedAgain() async throws {
        let stack = Stack()
        let database = database
        stack.world.change {
            $0.failures[database] = (2, Failure(.failed, "connection reset", isTransient: true))
        }
        let report = try await stack.execute()
        #expect(report.result == .done)
        #expect(try step(report, database).attempts == 3)
        // Three attempts of a second, pauses of one and two.
        #expect(try step(report, database).duration == TimeSpan(seconds: 6))
        #expect(
            try step(report, database).notes == [
                "attempt 1 failed: connection reset", "attempt 2 failed: connection reset",
            ])
    }

    @Test func theFirstCauseIsToldBesideTheLastError() async throws {
        let stack = Stack()
        let database = database
        stack.world.change {
            $0.failures[database] = (1, Failure(.failed, "connection reset", isTransient: true))
            $0.laterFailures[database] = Failure(.failed, "the name is taken")
        }
        let failed = try step(try await stack.execute(), database)
        #expect(failed.message == "the name is taken")
        #expect(failed.notes == ["attempt 1 failed: connection reset"])
    }

    @Test func aCheckThatNeverPassesIsVerificationFailed() async throws {
        let stack = Stack()
        stack.world.change { $0.unhealthy["http http://127.0.0.1:3000/ answers 200"] = .max }
        let report = try await stack.execute()
        #expect(report.result == .verificationFailed)
        let check = try step(report, "umami/healthy")
        #expect(check.duration == TimeSpan(seconds: 120))
        #expect(check.message?.contains("answered 502") == true)
        #expect(try step(report, "caddy/docker:caddy/start").state == .notExecuted)
    }

    @Test func whatTheStepsCameToDecidesTheExitCode() async throws {
        func result(_ change: @escaping (inout FakeWorld.State) -> Void) async throws -> ExitCode {
            let stack = Stack()
            stack.world.change(change)
            return try await stack.execute().result
        }
        let database = database
        #expect(
            try await result { $0.problems["site/files:files/files:/srv/www"] = ["1 file"] }
                == .partial)
        #expect(try await result { $0.seconds[database] = 4000 } == .objectiveMissed)
        #expect(
            try await result { state in
                state.failures[database] = (1, Failure(.damaged, "chunk is damaged"))
                state.unhealthy["http http://127.0.0.1:3000/ answers 200"] = .max
            } == .damaged)
        // Nothing came back at all: the first cause, not "partly".
        #expect(
            try await result { state in
                for id in [database, "site/files:files/files:/srv/www"] {
                    state.failures[id] = (9, Failure(.noSpace, "no space left"))
                }
            } == .noSpace)
    }

    @Test func dataOlderThanItMayBeIsAMissedObjective() async throws {
        var stack = Stack()
        stack.services[3].objectives.rpo = TimeSpan(seconds: 3600)
        let report = try await stack.execute()
        #expect(report.result == .objectiveMissed)
        #expect(report.services.first { $0.name == "site" }?.meetsRecoveryPoint == false)
    }

    @Test func whatWasNeverCapturedMakesItPartly() async throws {
        var stack = Stack()
        stack.snapshots.removeLast()
        let report = try await stack.execute()
        #expect(report.result == .partial)
        #expect(report.services.first { $0.name == "site" }?.state == .notCovered)
        #expect(report.recoveryTime == nil)
    }

    @Test func everythingInTheWayIsToldBeforeAnythingIsTouched() async throws {
        let stack = Stack()
        stack.world.change {
            $0.findings[WorkloadID(text: "site/files:files")] = [
                PreflightFinding(.conflict, "/srv/www exists"),
                PreflightFinding(.warning, "no xattrs there"),
            ]
            $0.findings[WorkloadID(text: "umami/docker:umami")] = [
                PreflightFinding(.blocker, "port 3000 is taken", hint: "stop nginx")
            ]
        }
        for replace in [false, true] {
            let refused = await #expect(throws: RecoveryRefused.self) {
                try await stack.execute(replace: replace)
            }
            #expect(refused?.findings.map(\.severity) == [.blocker, .conflict, .warning])
            #expect(refused?.failure.hint == "stop nginx")
        }
        #expect(stack.world.performed.isEmpty)
        stack.world.change { $0.findings[WorkloadID(text: "umami/docker:umami")] = nil }
        let refused = await #expect(throws: RecoveryRefused.self) { try await stack.execute() }
        #expect(
            refused?.failure.message == "one thing stands in the way: nothing was changed")
        let report = try await stack.execute(replace: true)
        #expect(report.result == .done)
        #expect(report.findings.count == 2)
        #expect(stack.world.replaced == [true])
    }

    @Test func anInterruptedRunEndsAndReports() async throws {
        let stack = Stack()
        let plan = try await stack.plan()
        let recovery = stack.recovery(plan)
        // Nobody lets time pass: the first steps sleep until they are cancelled.
        let task = Task { try await recovery.execute() }
        while stack.world.performed.count < 3 { await Task.yield() }
        task.cancel()
        let report = try await task.value
        #expect(report.result == .interrupted)
        #expect(stack.world.performed.count == 3)
        #expect(report.notExecuted.count == plan.steps.count - 3)
    }

    @Test func theOutageMayHaveBegunBefore() async throws {
        let report = try await Stack().execute(
            declared: FakeWorld.now + TimeSpan(seconds: -600))
        #expect(report.began == TimeSpan(seconds: 600))
        #expect(report.recoveryTime == TimeSpan(seconds: 607))
        #expect(report.recoveryPoint == TimeSpan(seconds: 3 * 3600 - 600))
    }

    @Test func aJumpOfTheTimeOfDayChangesNoDuration() async throws {
        let stack = Stack()
        let clock = stack.world.clock
        let plan = try await stack.plan()
        let active = ActivityCount(
            ignoring: Set(plan.steps.filter { $0.checks.isEmpty && $0.replay == nil }.map(\.id)))
        let report = try await stack.recovery(plan).execute { progress in
            guard let moment = progress.moment else { return }
            if case .done("umami-db/healthy")? = moment.progress.first {
                clock.jumpWall(by: TimeSpan(seconds: -3600))
            }
            clock.setActive(active.update(moment))
        }
        #expect(report.recoveryTime == TimeSpan(seconds: 7))
        #expect(report.notes.contains { $0.hasPrefix("the time of day was set by -1 h 00 min") })
    }

    @Test func theCatalogKnowsEveryStepBeforeAndAfter() async throws {
        try await TemporaryDirectory.with("restore") { scratch in
            let catalog = try await Catalog.open(
                at: scratch.path, repository: FakeWorld.repository)
            let stack = Stack()
            let report = try await stack.execute(catalog: catalog)
            let run = try #require(try await catalog.runs(.restore).first)
            #expect(run.result == .done)
            #expect(run.summary == "4 of 4 services back on here in 7.0 s, 601.0 MiB")
            #expect(try await catalog.report(of: run.id) == report)
            #expect(try await catalog.steps(of: run.id).map(\.state) == report.steps.map(\.state))
            // Every name stands in the journal before it is made, and the proof after.
            let journal = try await catalog.journal(of: run.id)
            for planned in try await stack.plan().steps {
                let making = planned.makes.map { name in
                    journal.firstIndex { $0.kind == .making && $0.name == name }
                }
                let proven = try #require(
                    journal.firstIndex { $0.kind == .proven && $0.step == planned.id })
                #expect(making.allSatisfy { $0 ?? .max < proven })
                for need in planned.needs {
                    let before = try #require(
                        journal.firstIndex { $0.kind == .proven && $0.step == need })
                    #expect(making.allSatisfy { $0 ?? .max > before })
                }
            }
            // The next plan has a forecast, and this run's times in it.
            let data = try await catalog.measurements(of: "restore.data")
            #expect(data.count == 3)
            let forecast = try await stack.plan { $0.measurements = data }.forecast
            #expect(forecast?.measuredSteps == 3)
        }
    }

    @Test func roomIsSharedAndWaitingIsMeasured() async throws {
        let stack = Stack()
        stack.world.change { $0.seconds["site/files:files/files:/srv/www"] = 10 }
        let report = try await stack.execute(limits: RecoveryLimits(data: 1))
        // The volume stands at the head of the longest chain, so the files wait for it.
        let files = try step(report, "site/files:files/files:/srv/www")
        #expect(files.waited == TimeSpan(seconds: 1))
        #expect(try step(report, database).waited == TimeSpan(seconds: 8))
    }
}
