import Model
import Testing

@testable import dr

@Suite("A restore on a terminal")
struct LiveViewTests {
    private func plan(_ count: Int) -> RecoveryPlan {
        var plan = RecoveryPlan(
            repository: RepositoryID(words: (1, 2, 3, 4)), target: .here,
            made: Timestamp(nanoseconds: 1_795_312_800_000_000_000))
        plan.objectives.rto = TimeSpan(seconds: 100)
        for number in 0..<count {
            let name = ServiceName("service-\(number)")
            let before = number == 0 ? [] : [ServiceName("service-\(number - 1)")]
            plan.services.append(
                PlannedService(
                    name: name, wave: number + 1, after: before, objectives: Objectives()))
            var step = PlannedStep(
                id: "\(name)/data", title: "restore \(name)", service: name, phase: .data)
            step.needs = before.map { "\($0)/data" }
            step.bytes = ByteCount(100 << 20)
            step.estimate = TimeSpan(seconds: 20)
            step.measurements = 3
            plan.steps.append(step)
        }
        return plan
    }

    private func line(_ bytes: UInt64, of total: UInt64, service: String) -> ProgressLine {
        var state = ProgressState(title: "restore")
        state.bytesDone = ByteCount(bytes)
        state.bytesTotal = ByteCount(total)
        state.bytesOf = [service: bytes]
        return ProgressLine(
            state: state, meter: ProgressMeter(), elapsed: TimeSpan(seconds: 1))
    }

    private func text(_ lines: [StyledText]) -> [String] {
        lines.map { $0.rendered(coloured: false) }
    }

    @Test("It tells the clock, what is left against the objective, and where each service stands")
    func standing() {
        let view = LiveView(plan(3), title: "restore to here") { TimeSpan(seconds: 30) }
        view.set("service-0/data", .done)
        view.set("service-1/data", .running(since: TimeSpan(seconds: 25)))
        let lines = text(
            view.lines(line(25 << 20, of: 300 << 20, service: "service-1"), columns: 100, rows: 24))
        #expect(
            lines[0]
                == "restore to here  30 s since declared, about 35 s left"
                + "  objective 1 min 40 s: on time")
        #expect(lines.contains("  service-0  back"))
        #expect(
            lines.contains("  service-1  [====>           ] 25 %  restore service-1, 5.0 s"))
        #expect(lines.contains("  service-2  waits for service-1"))
    }

    @Test("An objective that will not be met is seen while something can still be done")
    func atRisk() {
        let view = LiveView(plan(6), title: "restore to here") { TimeSpan(seconds: 10) }
        let now = text(view.lines(line(0, of: 1, service: ""), columns: 100, rows: 40))
        #expect(now[0].hasSuffix("about 2 min 00 s left  objective 1 min 40 s: at risk"))
        let late = LiveView(plan(6), title: "restore to here") { TimeSpan(seconds: 101) }
        #expect(
            text(late.lines(line(0, of: 1, service: ""), columns: 100, rows: 40))[0]
                .hasSuffix("MISSED"))
    }

    @Test("Where not all fits, what failed and what goes on stays in sight")
    func smallTerminal() {
        let view = LiveView(plan(50), title: "restore to here") { TimeSpan(seconds: 10) }
        for number in 0..<30 { view.set("service-\(number)/data", .done) }
        view.set("service-30/data", .failed)
        view.set("service-31/data", .running(since: TimeSpan(seconds: 9)))
        let lines = text(view.lines(line(0, of: 1, service: ""), columns: 80, rows: 14))
        #expect(lines.count <= 12)
        #expect(lines.contains { $0.contains("failed: restore service-30") })
        #expect(lines.contains { $0.contains("restore service-31") })
        #expect(lines.last?.contains("more") == true)
    }
}
