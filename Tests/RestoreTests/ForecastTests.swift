import Model
import Restore
import Testing

@Suite struct ForecastTests {
    private func measurement(
        _ mebibytes: UInt64, _ seconds: Double, of workload: String, step: String = "x"
    ) -> Measurement {
        Measurement(
            subject: "restore.data", workload: WorkloadID(text: workload), kind: .postgres,
            step: step, bytes: ByteCount(mebibytes << 20), duration: TimeSpan(seconds: seconds),
            at: FakeWorld.now)
    }

    @Test("What every step takes is not multiplied by its size")
    func sizes() async throws {
        // 0.9 s and 0.1 s a MiB, seen at several sizes and once all wrong.
        let others = [
            measurement(1, 1, of: "a/postgres:a"), measurement(11, 2, of: "b/postgres:b"),
            measurement(101, 11, of: "c/postgres:c"), measurement(201, 21, of: "d/postgres:d"),
            measurement(51, 90, of: "e/postgres:e"),
        ]
        let own = measurement(100, 10.9, of: "umami-db/postgres:umami-db", step: "database:umami")
        let plan = try await Stack().plan { $0.measurements = others + [own] }
        let step = try #require(plan.step("umami-db/postgres:umami-db/database:umami"))
        #expect(abs(step.estimate.seconds - 40.9) < 0.5, "\(step.estimate)")
        #expect(step.measurements == 1)
        // Alone it says nothing of what a byte costs: four times the bytes, four times as long.
        let alone = try await Stack().plan { $0.measurements = [own] }
        #expect(
            alone.step("umami-db/postgres:umami-db/database:umami")?.estimate
                == TimeSpan(seconds: 10.9 * 4))
    }

    @Test("What comes before the first step is part of the forecast, and of each service's")
    func preparation() async throws {
        let own = measurement(400, 60, of: "umami-db/postgres:umami-db", step: "database:umami")
        let without = try await Stack().plan { $0.measurements = [own] }
        let with = try await Stack().plan {
            $0.measurements = [own]
            for seconds in [3.0, 2.0, 9.0] {
                $0.measurements.append(
                    Measurement(
                        subject: PlanRequest.planningSubject,
                        duration: TimeSpan(seconds: seconds), at: FakeWorld.now))
            }
        }
        let (short, long) = (try #require(without.forecast), try #require(with.forecast))
        #expect(long.expected - short.expected == TimeSpan(seconds: 3))
        #expect(long.longest > short.longest + TimeSpan(seconds: 3))
        for (service, other) in zip(with.services, without.services) {
            #expect(
                try #require(service.expected) - #require(other.expected) == TimeSpan(seconds: 3))
        }
        #expect(long.measuredSteps == short.measuredSteps)
    }
}
