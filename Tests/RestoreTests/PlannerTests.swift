import Engine
import Model
import Restore
import Testing
import Workloads

@Suite struct PlannerTests {
    private func json(_ plan: RecoveryPlan) throws -> String {
        String(decoding: try StableJSON.encode(plan), as: UTF8.self)
    }

    @Test func equalInputsGiveEqualPlans() async throws {
        let stack = Stack()
        let plan = try await stack.plan()
        for _ in 0..<10 {
            let again = try await stack.plan { $0.snapshots.shuffle() }
            #expect(try json(again) == json(plan))
        }
        let read = try StableJSON.decode(RecoveryPlan.self, from: StableJSON.encode(plan))
        #expect(read == plan)
    }

    @Test func stepsWaitForWhatTheyNeed() async throws {
        let plan = try await Stack().plan()
        func needs(_ id: String) throws -> Set<String> {
            Set(try #require(plan.step(id), "\(id)").needs)
        }
        // Within a service: the server runs before data is loaded into it.
        #expect(
            try needs("umami-db/postgres:umami-db/globals") == ["umami-db/docker:umami-db/start"])
        #expect(
            try needs("umami-db/docker:umami-db/start") == [
                "umami-db/docker:umami-db/network:web", "umami-db/docker:umami-db/volume:umami-db",
            ])
        // Across services: nothing of a service begins before the other is healthy...
        #expect(
            try needs("umami/docker:umami/start") == [
                "umami-db/docker:umami-db/network:web", "umami-db/healthy",
            ])
        #expect(try needs("caddy/docker:caddy/start").contains("umami/healthy"))
        // ...but what they share is made once, at the beginning.
        let network = try #require(plan.step("umami-db/docker:umami-db/network:web"))
        #expect(network.services == ["umami-db", "umami", "caddy"])
        #expect(network.needs.isEmpty)
        #expect(network.merged.map(\.service) == ["umami", "caddy"])
        #expect(plan.steps.count { $0.makes == ["network/web"] } == 1)
        #expect(plan.services.map(\.name) == ["umami-db", "site", "umami", "caddy"])
        #expect(plan.services.map(\.wave) == [1, 1, 2, 3])
        // The list itself respects every need.
        var before: Set<String> = []
        for step in plan.steps {
            #expect(step.needs.allSatisfy(before.contains), "\(step.id)")
            before.insert(step.id)
        }
    }

    @Test func filesStandBeforeTheirContainerStarts() async throws {
        var stack = Stack()
        stack.services[1].workloads.append(.files(FilesSpecification(paths: ["/etc/umami"])))
        stack.snapshots.append(
            Stack.snapshot(6, "umami", .files, "files", run: stack.run, hoursOld: 3))
        stack.world.change {
            $0.steps[WorkloadID(text: "umami/files:files")] = [
                ReplayStep(id: "files:/etc/umami", title: "restore /etc/umami", phase: .data)
            ]
        }
        let plan = try await stack.plan()
        let start = try #require(plan.step("umami/docker:umami/start"))
        #expect(start.needs.contains("umami/files:files/files:/etc/umami"))
        let files = try #require(plan.step("umami/files:files/files:/etc/umami"))
        #expect(files.needs == ["umami-db/healthy"])
    }

    @Test(
        "An application starts after its database is loaded, here and on another machine",
        arguments: ["", "ssh://root@nas.example.org "])
    func loadedBefore(scope: String) async throws {
        var stack = Stack()
        var blog = Service(
            name: "blog",
            workloads: [
                .docker(DockerSpecification(subject: .project("blog"))),
                .postgres(PostgresSpecification(server: .container("blog-db", engine: nil))),
            ])
        blog.after = []
        stack.services = [blog]
        stack.snapshots = [
            Stack.snapshot(1, "blog", .docker, "project-blog", run: stack.run, hoursOld: 1),
            Stack.snapshot(2, "blog", .postgres, "blog-db", run: stack.run, hoursOld: 1),
        ]
        stack.world.change { state in
            var steps: [ReplayStep] = []
            // The database itself needs a container that prepares its directory.
            for (name, needs) in [("prepare", []), ("blog-db", ["start:prepare"]), ("app", [])] {
                steps.append(
                    ReplayStep(
                        id: "container:\(name)", title: "", phase: .prepare,
                        makes: ["\(scope)container/\(name)"]))
                steps.append(
                    ReplayStep(
                        id: "start:\(name)", title: "", needs: ["container:\(name)"] + needs,
                        phase: .start))
            }
            state.steps[WorkloadID(text: "blog/docker:project-blog")] = steps
            state.steps[WorkloadID(text: "blog/postgres:blog-db")] = [
                ReplayStep(id: "ready", title: "", phase: .prepare),
                ReplayStep(id: "database", title: "", needs: ["ready"], phase: .data),
            ]
        }
        let plan = try await stack.plan()
        func needs(_ id: String) -> [String]? { plan.step("blog/\(id)")?.needs }
        #expect(needs("postgres:blog-db/ready") == ["blog/docker:project-blog/start:blog-db"])
        #expect(
            needs("docker:project-blog/start:app")?.contains("blog/postgres:blog-db/database")
                == true)
        #expect(
            needs("docker:project-blog/start:prepare")
                == ["blog/docker:project-blog/container:prepare"])
    }

    @Test func aSharedThingComesFromTheNewestSnapshot() async throws {
        var stack = Stack()
        stack.snapshots[3].asOf = FakeWorld.now
        let plan = try await stack.plan()
        let network = try #require(plan.steps.first { $0.makes == ["network/web"] })
        #expect(network.replay?.workload.text == "caddy/docker:caddy")
        #expect(network.merged.count == 2)
        #expect(plan.notes.count == 1)
    }

    @Test func namedServicesBringWhatTheyDependOn() async throws {
        let stack = Stack()
        let umami = try await stack.plan { $0.names = ["umami"] }
        #expect(umami.services.map(\.name) == ["umami-db", "umami"])
        let only = try await stack.plan { request in
            request.names = ["umami"]
            request.only = true
        }
        #expect(only.services.map(\.name) == ["umami"])
        #expect(only.notes == ["umami-db is not part of this plan: it must be there"])
        #expect(only.services[0].after.isEmpty)
        let failure = await #expect(throws: Failure.self) {
            try await stack.plan { $0.names = ["umani"] }
        }
        #expect(failure?.code == .usage)
        #expect(failure?.message == "no service umani")
        #expect(failure?.hint == "known are: caddy, site, umami, umami-db")
    }

    @Test func aCycleIsToldAsItsPath() async throws {
        var stack = Stack()
        stack.services[2].after = ["caddy"]
        let cyclic = stack
        let failure = await #expect(throws: Failure.self) { try await cyclic.plan() }
        #expect(failure?.code == .usage)
        #expect(
            failure?.message == "services wait for each other: caddy -> umami -> umami-db -> caddy")
    }

    @Test func whatIsMissingIsSaid() async throws {
        var stack = Stack()
        stack.snapshots.remove(at: 3)
        stack.snapshots.append(
            Stack.snapshot(7, "gone", .files, "files", run: stack.run, hoursOld: 3))
        let plan = try await stack.plan()
        #expect(
            plan.uncovered == [
                UncoveredItem(
                    service: "gone", workload: WorkloadID(text: "gone/files:files"),
                    reason: "captured, but no longer in the configuration", isWanted: false),
                UncoveredItem(
                    service: "caddy", workload: WorkloadID(text: "caddy/docker:caddy"),
                    reason: "never captured"),
            ])
        // Nobody waits for what does not come.
        #expect(plan.step("caddy/healthy") == nil)
    }

    @Test func withoutAConfigurationSnapshotsAreEnough() async throws {
        let stack = Stack()
        let plan = try await stack.plan { $0.services = PlanRequest.services(of: $0.snapshots) }
        #expect(plan.services.flatMap(\.snapshots).count == 5)
        #expect(plan.uncovered.isEmpty)
    }

    @Test func intoADirectoryNothingIsChecked() async throws {
        let plan = try await Stack().plan { $0.target = .directory("/tmp/x") }
        #expect(plan.steps.allSatisfy { $0.checks.isEmpty })
        await #expect(throws: Failure.self) {
            try await Stack().plan { $0.target = .named("standby") }
        }
    }

    @Test func theForecastFollowsTheMeasurements() async throws {
        let stack = Stack()
        let never = try #require(try await stack.plan().forecast)
        #expect(!never.isMeasured)
        let plan = try await stack.plan { request in
            // 100 MiB took 10 s, once 30: four times as much will take 40.
            request.measurements = [10, 10, 30].map {
                Measurement(
                    subject: "restore.data",
                    workload: WorkloadID(text: "umami-db/postgres:umami-db"), kind: .postgres,
                    step: "database:umami", bytes: ByteCount(100 << 20),
                    duration: TimeSpan(seconds: $0), at: FakeWorld.now)
            }
        }
        let step = try #require(plan.step("umami-db/postgres:umami-db/database:umami"))
        #expect(step.estimate == TimeSpan(seconds: 40))
        #expect(step.measurements == 3)
        let forecast = try #require(plan.forecast)
        #expect(forecast.measuredSteps == 1)
        // Nine in ten of 40, 40 and 120 s: a fifth of the way from 120 back to 40.
        #expect(forecast.longest - forecast.expected == TimeSpan(seconds: 64))
        #expect(forecast.criticalPath.contains(step.id))
    }

    @Test func thousandServicesArePlannedQuickly() async throws {
        let world = FakeWorld()
        var services: [Service] = []
        var snapshots: [SnapshotRecord] = []
        for number in 0..<1000 {
            let name = ServiceName("s\(number)")
            var service = Service(
                name: name, workloads: [.docker(DockerSpecification(subject: .container("c")))])
            if number >= 10 { service.after = [ServiceName("s\(number / 3)")] }
            services.append(service)
            for night in 0..<5 {
                snapshots.append(
                    Stack.snapshot(
                        UInt64(number * 10 + night + 1), name, .docker, "c",
                        run: Stack.run(UInt64(night)), hoursOld: Double(night)))
            }
            world.change {
                $0.steps[WorkloadID(service: name, kind: .docker, name: "c")] = [
                    ReplayStep(
                        id: "network", title: "", phase: .prepare, makes: ["network/web"]),
                    ReplayStep(id: "volume", title: "", needs: ["network"], phase: .data),
                    ReplayStep(id: "start", title: "", needs: ["volume"], phase: .start),
                ]
            }
        }
        let request = PlanRequest(
            services: services, target: .here, made: FakeWorld.now, snapshots: snapshots)
        let clock = ContinuousClock()
        let start = clock.now
        let plan = try await world.planner.plan(request)
        let took = start.duration(to: clock.now)
        #expect(plan.steps.count == 3001)
        // Under a second on an idle machine; this limit only finds what grows too fast.
        #expect(took < .seconds(30), "\(took)")
        print("PlannerTests: 1000 services planned in \(took)")
    }
}
