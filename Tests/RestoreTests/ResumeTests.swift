import Catalog
import Engine
import Model
import Restore
import TestSupport
import Testing
import Workloads

@Suite(.timeLimit(.minutes(2))) struct ResumeTests {
    private let database = "umami-db/postgres:umami-db/database:umami"
    private let site = "site/files:files/files:/srv/www"

    /// A run in which one step failed for good.
    private func failed(_ stack: Stack, in catalog: Catalog) async throws -> InterruptedRun {
        let database = database
        stack.world.change {
            $0.failures[database] = (1, Failure(.noSpace, "no space left"))
            $0.seconds[database] = 60
            $0.seconds["site/files:files/files:/srv/www"] = 20
        }
        let report = try await stack.execute(catalog: catalog)
        #expect(report.result == .partial)
        #expect(report.nextCommand == "dr restore --resume \(Stack.run(9).short)")
        return try await InterruptedRun.find(nil, in: catalog)
    }

    private func resume(
        _ earlier: InterruptedRun, _ stack: Stack, _ catalog: Catalog
    ) async throws -> RecoveryReport {
        let instant = Set(
            earlier.plan.steps.filter { $0.phase == .healthy && $0.checks.isEmpty }.map(\.id))
        let active = ActivityCount(ignoring: instant)
        return try await stack.recovery(earlier.plan, catalog: catalog).resume(earlier) {
            if let moment = $0.moment { stack.world.clock.setActive(active.update(moment)) }
        }
    }

    @Test("What was proven is not done again, and the clock never stopped")
    func goesOnWhereItWas() async throws {
        try await TemporaryDirectory.with("resume") { scratch in
            let catalog = try await Catalog.open(at: scratch.path, repository: FakeWorld.repository)
            let stack = Stack()
            let earlier = try await failed(stack, in: catalog)
            #expect(earlier.done.contains(site) && !earlier.done.contains(database))
            let before = stack.world.performed
            // Somebody makes room for ten minutes.
            stack.world.clock.advance(by: TimeSpan(seconds: 600))
            let report = try await resume(earlier, stack, catalog)
            let again = stack.world.performed.dropFirst(before.count)
            #expect(Set(again).isDisjoint(with: earlier.done))
            #expect(again.first == database)
            #expect(report.run == earlier.record.id)
            #expect(report.steps.allSatisfy { $0.state == .done })
            // 63 s until the load had failed, ten minutes, the load, and what comes after it.
            #expect(report.resumed == [TimeSpan(seconds: 663)])
            #expect(report.recoveryTime == TimeSpan(seconds: 726))
            // What came back before keeps its times.
            let files = try #require(report.steps.first { $0.id == site })
            #expect(files.ended == TimeSpan(seconds: 20) && files.bytes.bytes == 200 << 20)
            #expect(report.milestones.firstByte == .zero)
            #expect(try #require(report.steps.first { $0.id == database }).attempts == 2)
            #expect(report.bytes == ByteCount(601 << 20))
            #expect(report.result == .done)
            let kept = try await catalog.report(of: earlier.record.id)
            #expect(kept == report)
            await #expect(throws: Failure.self) { try await InterruptedRun.find(nil, in: catalog) }
        }
    }

    @Test("What the run made is its own: it is made again, not in the way")
    func ownNamesAreNotInTheWay() async throws {
        try await TemporaryDirectory.with("resume") { scratch in
            let catalog = try await Catalog.open(at: scratch.path, repository: FakeWorld.repository)
            let stack = Stack()
            let earlier = try await failed(stack, in: catalog)
            let workload = WorkloadID(text: "umami-db/postgres:umami-db")
            stack.world.change {
                $0.findings[workload] = [
                    PreflightFinding(.conflict, "database umami exists", name: "database/umami"),
                    PreflightFinding(.warning, "something else"),
                ]
            }
            let recovery = stack.recovery(earlier.plan, catalog: catalog)
            #expect(await recovery.preflight().map(\.severity) == [.conflict, .warning])
            #expect(await recovery.preflight(earlier).map(\.severity) == [.warning])
            _ = try await resume(earlier, stack, catalog)
            #expect(stack.world.redone == ["database/umami"])
        }
    }

    @Test("After a restart of the machine data stays done, what ran is started and checked again")
    func afterAReboot() async throws {
        try await TemporaryDirectory.with("resume") { scratch in
            let catalog = try await Catalog.open(at: scratch.path, repository: FakeWorld.repository)
            let stack = Stack()
            let before = try await failed(stack, in: catalog)
            // The same run as another boot of the machine would find it, an hour later by the wall.
            var orders = before.orders
            orders.sessions[0].boot = "another"
            try await catalog.record(
                document: "orders.json", StableJSON.encode(orders), of: before.record.id)
            stack.world.clock.jumpWall(by: TimeSpan(seconds: 3600))
            let earlier = try await InterruptedRun.find(nil, in: catalog)
            #expect(earlier.done.contains(site))
            #expect(earlier.done.contains("umami-db/postgres:umami-db/globals"))
            #expect(!earlier.done.contains("umami-db/docker:umami-db/start"))
            let count = stack.world.performed.count
            let report = try await resume(earlier, stack, catalog)
            let again = stack.world.performed.dropFirst(count)
            #expect(again.contains("umami-db/docker:umami-db/start") && !again.contains(site))
            #expect(report.result == .objectiveMissed)
            #expect(report.resumed == [TimeSpan(seconds: 3663)])
            #expect(report.notes.contains { $0.contains("by the time of day") })
        }
    }

    @Test("Two processes never work on one run")
    func onlyOneGoesOn() async throws {
        try await TemporaryDirectory.with("resume") { scratch in
            let catalog = try await Catalog.open(at: scratch.path, repository: FakeWorld.repository)
            let stack = Stack()
            let earlier = try await failed(stack, in: catalog)
            let lock = try RestoreLock.acquire(earlier.record.id, in: catalog.directory)
            #expect(RestoreLock.isHeld(earlier.record.id, in: catalog.directory))
            let refused = await #expect(throws: Failure.self) {
                try await resume(earlier, stack, catalog)
            }
            #expect(refused?.code == .busy)
            lock.release()
            #expect(!RestoreLock.isHeld(earlier.record.id, in: catalog.directory))
            #expect(try await resume(earlier, stack, catalog).result == .done)
        }
    }

    @Test("A person's steps have their own clock, and without a person the plan is refused")
    func manualSteps() async throws {
        var stack = Stack()
        stack.services[1].manual = [ManualStep("point stats.example.org here")]
        stack.services[3].manual = [ManualStep("plug in the disk", .before)]
        let world = stack.world
        let plan = try await stack.plan()
        let manual = try #require(plan.step("umami/manual:1"))
        #expect(manual.needs.contains("umami/docker:umami/start"))
        #expect(plan.step("umami/healthy")?.needs.contains(manual.id) == true)
        #expect(plan.step(site)?.needs == ["site/manual:1"])
        let findings = await stack.recovery(plan).preflight()
        #expect(findings.map(\.severity) == [.blocker, .blocker])
        var recovery = stack.recovery(plan)
        recovery = RecoveryRun(
            plan, services: stack.services, snapshots: stack.snapshots,
            environment: stack.environment {
                $0.person = { message in
                    world.change { $0.asked.append(message) }
                    try await world.clock.sleep(for: TimeSpan(seconds: 30))
                }
            })
        let instant = Set(
            plan.steps.filter { $0.phase == .healthy && $0.checks.isEmpty }.map(\.id))
        let active = ActivityCount(ignoring: instant)
        let report = try await recovery.execute(run: Stack.run(9)) {
            if let moment = $0.moment { world.clock.setActive(active.update(moment)) }
        }
        #expect(report.result == .done)
        #expect(world.asked == ["plug in the disk", "point stats.example.org here"])
        // Both half minutes overlap; six seconds of the first go on beside the database and what is
        // built on it, and a second of the other beside the files.
        #expect(report.humanWaiting == TimeSpan(seconds: 36 - 6 - 1))
        // Nothing is started in a directory, and nobody is asked.
        let elsewhere = try await stack.plan { $0.target = .directory("/restored") }
        #expect(!elsewhere.steps.contains { $0.phase == .manual })
    }

    @Test("What manages others starts when all others are healthy")
    func managersComeLast() async throws {
        var stack = Stack()
        let manager = WorkloadID(text: "portainer/docker:portainer")
        stack.services.insert(
            Service(
                name: "portainer",
                workloads: [.docker(DockerSpecification(subject: .container("portainer")))]),
            at: 0)
        stack.snapshots.append(
            Stack.snapshot(
                6, "portainer", .docker, "portainer", run: stack.run, hoursOld: 3))
        stack.world.change {
            $0.steps[manager] = [
                ReplayStep(
                    id: "start", title: "start container portainer", phase: .start,
                    makes: ["container/portainer"], isLast: true)
            ]
        }
        let plan = try await stack.plan()
        let start = try #require(plan.step("portainer/docker:portainer/start"))
        #expect(
            Set(start.needs)
                == ["umami-db/healthy", "umami/healthy", "caddy/healthy", "site/healthy"])
        // What waits for the manager itself is not waited for.
        stack.services[1].after.append("portainer")
        let other = try await stack.plan()
        let again = try #require(other.step(start.id))
        #expect(Set(again.needs) == ["umami-db/healthy", "umami/healthy", "site/healthy"])
    }
}
