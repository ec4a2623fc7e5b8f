import Engine
import Model
import Restore
import TestSupport
import Testing
import Workloads

@Suite(.timeLimit(.minutes(2))) struct LimitTests {
    /// Three trees of ten seconds each, on the disks of these places.
    private func trees(_ places: [String]) -> Stack {
        var stack = Stack()
        stack.services = []
        stack.snapshots = []
        for (number, place) in places.enumerated() {
            let name = ServiceName("tree\(number)")
            stack.services.append(
                Service(name: name, workloads: [.files(FilesSpecification(paths: [place]))]))
            stack.snapshots.append(
                Stack.snapshot(
                    UInt64(number + 1), name, .files, "files", run: stack.run, hoursOld: 1))
            let workload = WorkloadID(service: name, kind: .files, name: "files")
            stack.world.change {
                $0.steps[workload] = [
                    ReplayStep(
                        id: "files", title: "restore \(place)", bytes: ByteCount(1 << 20),
                        phase: .data, makes: ["path\(place)"])
                ]
                $0.places[workload] = ["files": place]
                $0.seconds["\(workload)/files"] = 10
            }
        }
        return stack
    }

    @Test("What goes to one disk takes turns, what goes to another does not wait for it")
    func disks() async throws {
        try await TemporaryDirectory.with("disks") { scratch in
            // Kernel memory is another file system on every machine.
            let places = [scratch.path("a"), scratch.path("deep/b"), "/dev/shm/dr-limit-test"]
            let free = try await trees(places).execute()
            #expect(free.recoveryTime == TimeSpan(seconds: 10))
            let turns = try await trees(places).execute(limits: RecoveryLimits(disk: 1))
            #expect(turns.recoveryTime == TimeSpan(seconds: 20))
            let waited = turns.steps.compactMap(\.waited).filter { $0 > .zero }
            #expect(waited == [TimeSpan(seconds: 10)])
            let shared = turns.steps.first { $0.id.hasPrefix("tree2/files") }
            #expect(shared?.waited == .zero)
        }
    }

    @Test("Downloads take turns by themselves, and keep nothing else waiting")
    func downloads() async throws {
        let stack = trees(["/srv/a"])
        let images = WorkloadID(text: "tree0/files:files")
        stack.world.change { state in
            state.steps[images] = (0..<3).map {
                ReplayStep(
                    id: "image:\($0)", title: "provide image \($0)", phase: .prepare,
                    makes: ["image/\($0)"], isDownload: true)
            }
            state.steps[images]?.append(
                ReplayStep(id: "network", title: "make network", phase: .prepare))
            for step in 0..<3 { state.seconds["\(images)/image:\(step)"] = 10 }
        }
        let report = try await stack.execute(limits: RecoveryLimits(downloads: 1))
        #expect(report.recoveryTime == TimeSpan(seconds: 30))
        #expect(report.steps.first { $0.id.hasSuffix("network") }?.ended == TimeSpan(seconds: 1))
    }
}
