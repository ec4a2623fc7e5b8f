import Engine
import Model
import Restore
import TestSupport
import Testing
import Workloads

@Suite struct PlanOutputTests {
    @Test("Plans of equal inputs have no difference, and others say what differs")
    func differences() async throws {
        var stack = Stack()
        let plan = try await stack.plan()
        let read = try StableJSON.decode(RecoveryPlan.self, from: StableJSON.encode(plan))
        #expect(read == plan)
        #expect(PlanDifference(from: read, to: plan).isEmpty)
        // A newer snapshot, a dependency more, a service less.
        stack.snapshots.append(
            Stack.snapshot(
                9, "site", .files, "files", run: Stack.run(2), hoursOld: 1, bytes: 300 << 20))
        stack.services[3].after = ["umami-db"]
        stack.services.removeFirst()
        let text = PlanDifference(from: plan, to: try await stack.plan()).text
        for line in [
            "- services caddy: wave 3", "~ services site: wave 1", " after umami-db",
            "~ snapshot of site/files:files: 00000500", "- step caddy/healthy",
        ] {
            #expect(text.contains(line), "\(line)\n\(text)")
        }
    }

    @Test("The graph is one that Graphviz understands, whatever names hold")
    func graph() async throws {
        let stack = Stack()
        stack.world.change {
            $0.steps[WorkloadID(text: "caddy/docker:caddy")]?[0].title = "make \"this\" \\ \n that"
        }
        let plan = try await stack.plan()
        let dot = PlanGraph(plan).dot
        let edges = plan.steps.reduce(0) { $0 + $1.needs.count }
        #expect(dot.ranges(of: " -> ").count == edges)
        #expect(dot.ranges(of: "subgraph").count == plan.services.count)
        // Quotes are even, but for those that are escaped.
        let plain = dot.replacing("\\\\", with: "").replacing("\\\"", with: "")
        for line in plain.split(separator: "\n") {
            #expect(line.count { $0 == "\"" } % 2 == 0, "\(line)")
        }
        let html = PlanHTML(plan).text
        #expect(html.ranges(of: "<rect ").count == plan.services.count)
        for forbidden in ["<script", "href=", "src=", "url("] {
            #expect(!html.contains(forbidden))
        }
    }

    @Test("A few measurements leave a wide range, many a narrow one, outliers none")
    func ranges() async throws {
        let stack = Stack()
        let workload = WorkloadID(text: "site/files:files")
        func forecast(_ seconds: [Double]) async throws -> RecoveryForecast {
            let measurements = seconds.enumerated().map { number, span in
                Measurement(
                    subject: "restore.data", workload: workload, kind: .files,
                    step: "files:/srv/www", bytes: ByteCount(200 << 20),
                    duration: TimeSpan(seconds: span),
                    at: FakeWorld.now + TimeSpan(seconds: Double(number)))
            }
            let plan = try await stack.plan {
                $0.names = ["site"]
                $0.measurements = measurements
            }
            return try #require(plan.forecast)
        }
        let one = try await forecast([10])
        #expect(one.shortest == TimeSpan(seconds: 5) && one.longest == TimeSpan(seconds: 20))
        let many = try await forecast([10, 10.2, 9.9, 10.1, 300, 10, 10.1, 9.8])
        #expect(abs(many.expected.seconds - 10.05) < 0.1)
        #expect(many.longest.seconds < 300 && many.shortest.seconds > 8)
        // What was long ago does not count any more.
        let moved = try await forecast(
            Array(repeating: 100, count: 20) + Array(repeating: 10, count: 12))
        #expect(moved.expected == TimeSpan(seconds: 10))
    }

    @Test("With no restore measured the rate of reading back decides, and raises no alarm")
    func readBack() async throws {
        let stack = Stack()
        let plan = try await stack.plan {
            $0.objectives.rto = TimeSpan(seconds: 1)
            $0.measurements = [
                Measurement(
                    subject: PlanRequest.readingSubject, bytes: ByteCount(20 << 20),
                    duration: TimeSpan(seconds: 2), at: FakeWorld.now)
            ]
        }
        let forecast = try #require(plan.forecast)
        #expect(!forecast.isMeasured)
        // 400 MiB at 10 MiB a second decide.
        #expect(abs(forecast.expected.seconds - 40) < 16)
        let text = PlanText(plan).text
        #expect(text.contains("never measured") && !text.contains("WILL BE MISSED"))
    }

    @Test("The history tells recovery times in their order, and what was missed")
    func history() async throws {
        var reports: [RecoveryReport] = []
        for number in 1...4 {
            let stack = Stack()
            stack.world.change {
                $0.seconds["umami-db/postgres:umami-db/database:umami"] = Double(number) * 1000
            }
            var report = try await stack.execute()
            report.declared = report.declared + TimeSpan(seconds: Double(number) * 86400)
            reports.append(report)
        }
        let text = ReportHistory(reports.reversed()).text
        let lines = text.split(separator: "\n")
        #expect(lines[1].contains("2026-11-26") && lines[1].contains("1 h 06 min MISSED"))
        #expect(lines[4].contains("2026-11-23") && !lines[4].contains("MISSED"))
        #expect(text.contains("over 4 runs: ▃▅▆█"), "\(text)")
        #expect(ReportHistory([]).text == "no restores and no drills\n")
    }
}
